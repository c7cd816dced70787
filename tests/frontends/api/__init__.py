"""Tests of :mod:`smsgw.frontends.api`."""

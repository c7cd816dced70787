"""Tests of :mod:`smsgw.frontends.smtp`."""

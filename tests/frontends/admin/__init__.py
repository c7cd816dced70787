"""Tests of :mod:`smsgw.frontends.admin`."""

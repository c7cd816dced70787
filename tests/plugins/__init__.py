"""Tests of :mod:`smsgw.plugins`."""

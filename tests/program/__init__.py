"""Tests of :mod:`smsgw.program`."""

"""Tests of :mod:`smsgw.frontends.callbacks`."""

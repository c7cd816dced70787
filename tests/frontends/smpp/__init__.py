"""Tests of :mod:`smsgw.frontends.smpp`."""

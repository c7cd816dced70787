"""Tests of :mod:`smsgw.protocols.smpp`."""

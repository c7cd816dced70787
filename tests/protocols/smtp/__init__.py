"""Tests of :mod:`smsgw.protocols.smtp`."""

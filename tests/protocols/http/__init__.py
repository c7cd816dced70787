"""Tests of :mod:`smsgw.protocols.http`."""

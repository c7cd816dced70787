"""Tests of :mod:`smsgw.services.intake`."""

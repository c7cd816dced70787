"""Tests of :mod:`smsgw.services.dispatch`."""

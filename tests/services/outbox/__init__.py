"""Tests of :mod:`smsgw.services.outbox`."""

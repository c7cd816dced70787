"""Tests of :mod:`smsgw.frontends.rostelecom`."""

"""Tests of the command ``smsgw``."""

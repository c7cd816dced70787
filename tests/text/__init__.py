"""Tests of alphabets, headers in user data and parts."""

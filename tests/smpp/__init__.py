"""Tests of SMPP as values: octets, PDUs, session rules, times and receipts."""

"""Tests of smsgw.smpp: octets, PDUs, session rules, times and receipts."""

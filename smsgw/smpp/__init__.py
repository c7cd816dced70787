"""SMPP 3.3, 3.4 and 5.0 as values: octets, PDUs and session rules, without any I/O."""

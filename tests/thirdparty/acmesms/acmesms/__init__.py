"""ACME's message centre as a way out of smsgw."""

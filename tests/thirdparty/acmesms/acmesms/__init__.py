"""A connector of smsgw to ACME's message centre."""

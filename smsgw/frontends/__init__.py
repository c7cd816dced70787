"""Front ends: the protocols over which clients submit messages and get reports."""

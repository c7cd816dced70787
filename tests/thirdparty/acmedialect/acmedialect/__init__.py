"""The dialect of an imaginary provider, ACME, for smsgw."""

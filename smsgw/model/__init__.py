"""The domain: what the gateway talks about. Pure: no I/O, no Twisted."""

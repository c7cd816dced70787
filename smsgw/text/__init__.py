"""Characters on their way to a handset: alphabets, headers in user data, parts. Pure: no I/O, no Twisted."""

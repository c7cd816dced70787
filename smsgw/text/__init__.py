"""The text of short messages: alphabets, User Data Headers, cutting into parts. Pure: no I/O, no Twisted."""

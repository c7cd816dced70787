"""The dialect of an imagined provider called ACME, for smsgw."""

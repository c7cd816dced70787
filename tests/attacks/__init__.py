"""Named attacks of hostile clients, which must all fail."""

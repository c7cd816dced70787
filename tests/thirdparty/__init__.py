"""Connectors and dialects of other packages."""

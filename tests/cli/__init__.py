"""The commands of ``python -m smsgw``."""

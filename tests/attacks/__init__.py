"""Attacks by name: what a hostile peer sends, and what it does not achieve."""

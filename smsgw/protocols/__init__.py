"""Embeddable Twisted protocols without policy: each asks a delegate and knows neither configuration nor store."""

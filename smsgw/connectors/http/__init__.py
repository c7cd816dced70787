"""Upstreams with an HTTP API."""

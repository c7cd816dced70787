"""Moments as texts."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(moment: float) -> str:
    """A time as RFC 3339 writes it, in UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

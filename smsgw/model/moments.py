"""Absolute times as text."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(moment: float) -> str:
    """A time in the format of RFC 3339, in UTC, with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

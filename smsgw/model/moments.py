"""Absolute times: the last one, and times as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

LAST: Final = 253402300799.0
"""The last second of the year 9999: the end of an unlimited validity."""


def utc(moment: float) -> str:
    """A time in the format of RFC 3339, in UTC, with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

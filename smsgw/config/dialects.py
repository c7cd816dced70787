"""Dialects: named presets of a listener's settings, so that a client of a known provider connects unchanged.

A key that the file gives wins over the preset, the preset wins over the key's own default. Only what differs from
those defaults is listed. The tables that a dialect needs on the wire live in the front ends.
"""

from __future__ import annotations

from collections.abc import Mapping

NAMES = ("standard", "quicktel", "smsc", "smsagent", "rostelecom")
"""Every dialect that exists; which of them a protocol has is told by PRESETS."""

PRESETS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "smpp": {"standard": {}},
    "smtp": {"standard": {"text_limit": 1530}, "quicktel": {"auth_without_tls": True, "text_limit": 480}},
    "http": {"standard": {}, "rostelecom": {}},
}
"""Protocol -> dialect -> attribute -> value. (000-14) AUTH without TLS, (000-26) 480 characters."""


def wrong_dialect(protocol: str, dialect: str) -> str:
    """Say what is wrong with a dialect for a protocol; nothing when it is available there."""
    available = PRESETS.get(protocol, {})
    if dialect in available:
        return ""
    what = f"is not available for {protocol}" if dialect in NAMES else "is not a dialect"
    return f'"{dialect}" {what}; allowed: {", ".join(available)}'

"""Checks addresses and messages of an SMTP client, so that they cannot inject commands. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

LONGEST_LINE: Final = 998
"""Highest number of octets of a line of a message, without its end (RFC 5321, 4.5.3.1.6)."""

_ADDRESS: Final = re.compile(r"(?=.{1,254}\Z)[!-;=?A-~]+@[A-Za-z0-9.:\[\]_-]+")
_LONG_LINE: Final = re.compile(rb"[^\r\n]{%d}" % (LONGEST_LINE + 1))


def check_addresses(sender: str, recipients: Sequence[str]) -> None:
    """Check the addresses of a mail; an empty `sender` is the null return path.

    :raises ValueError: if a command cannot contain one of them, or there is no recipient.
    """
    if not recipients:
        raise ValueError("a mail needs a recipient")
    if not all(map(_ADDRESS.fullmatch, recipients)) or (sender and not _ADDRESS.fullmatch(sender)):
        raise ValueError("SMTP cannot carry this address")


def stuffed(message: bytes) -> bytes:
    """Return the message as it follows DATA: with dots stuffed and the final dot, without the last line end.

    :raises ValueError: for octets of 8 bits, NUL, long lines, and lines that do not end with CR LF.
    """
    ends = message.count(b"\r\n")
    if message.count(b"\r") != ends or message.count(b"\n") != ends or not message.endswith(b"\r\n"):
        raise ValueError("a line of a message ends with CR LF")
    if not message.isascii() or b"\0" in message or _LONG_LINE.search(message):
        raise ValueError("a message has 7-bit lines of bounded length")
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b"."

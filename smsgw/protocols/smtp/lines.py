"""Cuts the octets of an SMTP client into command lines and messages, in bounded memory and by fast searches.

Only CR LF ends a line and only CR LF . CR LF ends a message, never a bare CR or LF: where servers disagree about that,
an attacker can smuggle one message inside another. The result is the same for any cut of the stream.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from smsgw.config import SubmissionSettings

_END: Final = b"\r\n.\r\n"
_FIELD: Final = re.compile(rb"\r\n(?![ \t])")
_SMALL_HEADER: Final = 20
"""Lines of a header whose fields need no counting."""


class BadLine(enum.Enum):
    """Why a command line is refused."""

    TOO_LONG = "longer than allowed"
    BARE = "a CR, LF or NUL inside"


class BadMessage(enum.Enum):
    """Why a message is refused."""

    BARE = "a CR, LF or NUL inside"
    TOO_BIG = "the message is too big"
    LONG_LINE = "a line is too long"
    BIG_HEADER = "the header is too big"
    LOOP = "too many Received fields"


class CommandLines:
    """Command lines from a buffer that the owner fills and may clear.

    A bad line is reported at once and only once; its rest is skipped up to the next CR LF.

    :ivar octets: the unprocessed octets.
    """

    def __init__(self) -> None:
        self.octets = bytearray()
        self._skipping = False

    def at_start(self) -> bool:
        """Skip the rest of a bad line; return whether `octets` begin with a new line."""
        return not self._skipping or self._skip()

    def next(self, limit: int) -> bytes | BadLine | None:
        """Return the next line without its end, None if it is incomplete. Call :meth:`at_start` before.

        :param limit: the most octets of a line, its end included.
        """
        octets = self.octets
        at = octets.find(b"\n", 0, limit)
        if at > 0 and octets[at - 1] == 13:
            line = bytes(octets[: at - 1])
            del octets[: at + 1]
            return BadLine.BARE if b"\r" in line or b"\0" in line else line
        if at >= 0:
            bad = BadLine.BARE
        elif len(octets) >= limit:
            bad = BadLine.TOO_LONG
        else:
            return None
        self._skipping = True
        self._skip()
        return bad

    def _skip(self) -> bool:
        octets = self.octets
        at = octets.find(b"\r\n")
        if at < 0:
            del octets[: -1 if octets.endswith(b"\r") else len(octets)]
            return False
        del octets[: at + 2]
        self._skipping = False
        return True


class MessageReader:
    """The message after a DATA command: collected up to its end, or only measured when it is too big.

    :ivar size: octets read so far.
    """

    def __init__(self, settings: SubmissionSettings) -> None:
        self._settings = settings
        self._kept = bytearray(b"\r\n")  # the end of the DATA line, which the final dot may follow
        self._bare = False
        self._too_big = False
        self.size = 0

    def take(self, octets: bytearray) -> bool:
        """Move the octets of the message out of `octets`; return whether the message is complete."""
        kept = self._kept
        seam = kept[-4:]
        known = len(seam)
        seam += octets[:4]
        end = seam.find(_END)
        if end >= 0:
            end += len(_END) - known
        else:
            end = octets.find(_END)
            if end < 0:
                self.size += len(octets)
                kept += octets
                octets.clear()
                if len(kept) > self._settings.mail_limit + 8:
                    self._drop_octets()
                return False
            end += len(_END)
        self.size += end
        kept += octets[:end]
        del octets[:end]
        del kept[-3:]
        return True

    def message(self) -> bytes | BadMessage:
        """Return header, blank line and body with the dots unstuffed and the last CR LF, or the fault."""
        self._find_bare(self._kept)
        if self._bare:
            return BadMessage.BARE
        if self._too_big or len(self._kept) - 2 > self._settings.mail_limit:
            return BadMessage.TOO_BIG
        text = bytes(self._kept)
        if b"\r\n." in text:
            text = text.replace(b"\r\n.", b"\r\n")
        return _structure(text, self._settings) or text[2:]

    def _drop_octets(self) -> None:
        """Drop all octets but the last few, which may begin the end of the message; keep whether the rest had a bare
        CR, LF or NUL."""
        self._too_big = True
        cut = len(self._kept) - 4
        if self._kept[cut - 1] == 13:
            cut -= 1
        self._find_bare(self._kept[:cut])
        del self._kept[:cut]

    def _find_bare(self, octets: bytearray) -> None:
        ends = octets.count(b"\r\n")
        if octets.count(b"\r") != ends or octets.count(b"\n") != ends or b"\0" in octets:
            self._bare = True


def _structure(text: bytes, settings: SubmissionSettings) -> BadMessage | None:
    """Return the fault of the lines or the header of `text`, or None. `text` begins with the CR LF of the DATA line."""
    if _has_line_above(settings.data_line, text):
        return BadMessage.LONG_LINE
    edge = text.find(b"\r\n\r\n")
    header = text if edge < 0 else text[:edge]
    lines = header.count(b"\r\n")
    if lines <= _SMALL_HEADER and len(header) <= settings.data_line:
        return None
    if len(header) > settings.header or lines > settings.header_lines:
        return BadMessage.BIG_HEADER
    fields = _FIELD.split(header)[1:]
    if len(fields) > settings.header_fields or max(map(len, fields)) > settings.data_line:
        return BadMessage.BIG_HEADER
    if sum(field[:9].lower() == b"received:" for field in fields) > settings.hops:
        return BadMessage.LOOP
    return None


def _has_line_above(limit: int, text: bytes) -> bool:
    """Return whether a line of `text` (without its end) is longer than `limit`. The search skips many lines in a
    step."""
    at = 0
    while len(text) - at > limit + 2:
        end = text.rfind(b"\r\n", at, at + limit + 2)
        if end < 0:
            return True
        at = end + 2
    return False

"""Cuts what an SMTP client sends into command lines and messages, in bounded memory and without a look at every octet.

Only CR LF ends a line and only CR LF . CR LF ends a message. A CR or LF of its own never does: servers that disagree
about that are how one message is smuggled inside another. Nothing here knows a verb, a reply or a transport; however
the stream is cut into pieces, the result is the same.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from smsgw.config import SubmissionSettings

_END: Final = b"\r\n.\r\n"
_FIELD: Final = re.compile(rb"\r\n(?![ \t])")
_SMALL_HEADER: Final = 20
"""Lines up to which a header needs no counting."""


class BadLine(enum.Enum):
    """Why a command line cannot be looked at."""

    TOO_LONG = "longer than allowed"
    BARE = "a CR, LF or NUL inside"


class BadMessage(enum.Enum):
    """Why a message cannot be looked at."""

    BARE = "a CR, LF or NUL inside"
    TOO_BIG = "the message is too big"
    LONG_LINE = "a line is too long"
    BIG_HEADER = "the header is too big"
    LOOP = "too many Received fields"


class CommandLines:
    """Lines of commands out of a buffer that the owner fills and may empty.

    What is bad about a line is told at once, once for the line, and its rest is swallowed up to the next CR LF.

    :ivar octets: what has not been looked at yet.
    """

    def __init__(self) -> None:
        self.octets = bytearray()
        self._swallow = False

    def at_start(self) -> bool:
        """Whether `octets` begin with a line, nothing being left to swallow."""
        return not self._swallow or self._swallowed()

    def next(self, limit: int) -> bytes | BadLine | None:
        """The next line without its end; None: it is not complete. To be called :meth:`at_start`.

        :param limit: octets that a line may have, its end included.
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
        self._swallow = True
        self._swallowed()
        return bad

    def _swallowed(self) -> bool:
        octets = self.octets
        at = octets.find(b"\r\n")
        if at < 0:
            del octets[: -1 if octets.endswith(b"\r") else len(octets)]
            return False
        del octets[: at + 2]
        self._swallow = False
        return True


class MessageReader:
    """One message behind a DATA command: collected up to its end, or only measured once it is too big.

    :ivar size: octets taken so far.
    """

    def __init__(self, settings: SubmissionSettings) -> None:
        self._settings = settings
        self._kept = bytearray(b"\r\n")  # the end of the DATA line: the final dot may follow it at once
        self._bare = False
        self._too_big = False
        self.size = 0

    def take(self, octets: bytearray) -> bool:
        """Move what belongs to the message out of `octets`; whether its end was among it."""
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
                    self._forget()
                return False
            end += len(_END)
        self.size += end
        kept += octets[:end]
        del octets[:end]
        del kept[-3:]
        return True

    def message(self) -> bytes | BadMessage:
        """Header, blank line and body with the dots unstuffed and the last CR LF, or what is wrong with it."""
        self._look(self._kept)
        if self._bare:
            return BadMessage.BARE
        if self._too_big or len(self._kept) - 2 > self._settings.mail_limit:
            return BadMessage.TOO_BIG
        text = bytes(self._kept)
        if b"\r\n." in text:
            text = text.replace(b"\r\n.", b"\r\n")
        return _structure(text, self._settings) or text[2:]

    def _forget(self) -> None:
        """Drop all but the octets with which the end may begin; what was bad about the rest is remembered."""
        self._too_big = True
        cut = len(self._kept) - 4
        if self._kept[cut - 1] == 13:
            cut -= 1
        self._look(self._kept[:cut])
        del self._kept[:cut]

    def _look(self, octets: bytearray) -> None:
        ends = octets.count(b"\r\n")
        if octets.count(b"\r") != ends or octets.count(b"\n") != ends or b"\0" in octets:
            self._bare = True


def _structure(text: bytes, settings: SubmissionSettings) -> BadMessage | None:
    """What is wrong with the lines and the header of `text`, which begins with a CR LF that is not part of it."""
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
    """Whether a line of `text` (without its end) is longer; each step of the search skips as many lines as it can."""
    at = 0
    while len(text) - at > limit + 2:
        end = text.rfind(b"\r\n", at, at + limit + 2)
        if end < 0:
            return True
        at = end + 2
    return False

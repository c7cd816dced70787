"""The replies of an ESMTP server as its client reads them: cut out of the stream in bounded memory. Pure.

A reply has one line or several, the same code in front of each (RFC 5321, 4.2). A bare LF ends a line as CR LF does:
replies never carry text of others that has to be kept apart, and some servers write one.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

LONGEST_LINE: Final = 2048
"""Octets of one line without its end. RFC 5321, 4.5.3.1.5 allows 512, which explanations of refusals often exceed."""

MOST_LINES: Final = 100
"""Lines of one reply."""

_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_CONTROLS: Final = bytes(range(32)) + b"\x7f"
_PRINTABLE: Final = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))


class MalformedReply(ValueError):
    """What the server sends is no SMTP, or exceeds the bounds."""


@attrs.frozen
class ServerReply:
    """One reply.

    :ivar lines: the text behind the code, a string for each line; control characters are blanks, what is not UTF-8 is
        replaced.
    """

    code: int
    lines: tuple[str, ...] = ()

    @property
    def positive(self) -> bool:
        """Whether the server did what it was asked to."""
        return 200 <= self.code < 300

    @property
    def transient(self) -> bool:
        """Whether the same command may succeed later (RFC 5321, 4.2.1)."""
        return 400 <= self.code < 500

    def __str__(self) -> str:
        return f"{self.code} {' '.join(self.lines)}".rstrip()


class ReplyReader:
    """Cuts replies out of what a server sends.

    :ivar octets: what has not been looked at yet; at most one incomplete line after :meth:`next` returned None.
    """

    def __init__(self) -> None:
        self.octets = bytearray()
        self._code = b""
        self._lines: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether nothing has come behind the last complete reply."""
        return not self.octets and not self._lines

    def next(self) -> ServerReply | None:
        """The next complete reply; None: its end has not come yet.

        :raises MalformedReply: when nothing further can be read.
        """
        octets = self.octets
        while (end := octets.find(b"\n", 0, LONGEST_LINE + 2)) >= 0:
            line = bytes(octets[:end]).removesuffix(b"\r")
            del octets[: end + 1]
            if self._take(line):
                reply = ServerReply(int(self._code), tuple(self._lines))
                self._lines = []
                return reply
        if len(octets) > LONGEST_LINE + 1:
            raise MalformedReply("a line of a reply is too long")
        return None

    def _take(self, line: bytes) -> bool:
        """Add a line to the reply under way; whether it is the last."""
        found = _LINE.fullmatch(line)
        if found is None:
            raise MalformedReply("a line is no SMTP reply")
        code, mark, text = found.groups()
        if self._lines and code != self._code:
            raise MalformedReply("the lines of a reply have different codes")
        if len(self._lines) >= MOST_LINES:
            raise MalformedReply("a reply has too many lines")
        self._code = code
        self._lines.append((text or b"").translate(_PRINTABLE).decode("utf-8", "replace"))
        return bool(mark != b"-")

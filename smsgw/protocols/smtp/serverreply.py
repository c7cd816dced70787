"""A parser of an ESMTP server's replies, in bounded memory. Pure.

A reply has one or more lines, each with the same code in front (RFC 5321, 4.2). A bare LF ends a line as CR LF does,
because some servers write it, and replies contain no text of third parties that could exploit it.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

LONGEST_LINE: Final = 2048
"""Highest number of octets of a line without its end. RFC 5321, 4.5.3.1.5 allows 512; refusals are often longer."""

MOST_LINES: Final = 100
"""Highest number of lines of a reply."""

_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_CONTROLS: Final = bytes(range(32)) + b"\x7f"
_PRINTABLE: Final = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))


class MalformedReply(ValueError):
    """The server's octets are not SMTP, or exceed the limits."""


@attrs.frozen
class ServerReply:
    """One reply.

    :ivar lines: the text after the code, a string for each line; control characters are replaced by blanks, invalid
        UTF-8 by replacement characters.
    """

    code: int
    lines: tuple[str, ...] = ()

    @property
    def positive(self) -> bool:
        """Whether the server executed the command."""
        return 200 <= self.code < 300

    @property
    def transient(self) -> bool:
        """Whether the same command may succeed later (RFC 5321, 4.2.1)."""
        return 400 <= self.code < 500

    def __str__(self) -> str:
        return f"{self.code} {' '.join(self.lines)}".rstrip()


class ReplyReader:
    """Splits a server's stream into replies.

    :ivar octets: the octets not parsed yet; at most one incomplete line after :meth:`next` returned None.
    """

    def __init__(self) -> None:
        self.octets = bytearray()
        self._code = b""
        self._lines: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether no octets follow the last complete reply."""
        return not self.octets and not self._lines

    def next(self) -> ServerReply | None:
        """Return the next complete reply; None if its end has not arrived.

        :raises MalformedReply: if the stream cannot be parsed further.
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
        """Add a line to the current reply; return whether it is the last."""
        found = _LINE.fullmatch(line)
        if found is None:
            raise MalformedReply("a line is not an SMTP reply")
        code, mark, text = found.groups()
        if self._lines and code != self._code:
            raise MalformedReply("the lines of a reply have different codes")
        if len(self._lines) >= MOST_LINES:
            raise MalformedReply("a reply has too many lines")
        self._code = code
        self._lines.append((text or b"").translate(_PRINTABLE).decode("utf-8", "replace"))
        return bool(mark != b"-")

"""The language of ACME's message centre, one line each way:

====================================  ==========================================================
we say                                ACME says
====================================  ==========================================================
``HELLO key``                         ``WELCOME``, or it hangs up
``SEND token number coding octets``   ``TAKEN token id``, ``BUSY token`` or ``NEVER token code``
``THANKS id``                         before that, ``DONE id`` or ``FAILED id code``
====================================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure


class AcmeUser(Protocol):
    """The user of a link: the connector."""

    def linked(self, link: AcmeLink) -> None:
        """ACME has accepted our key; messages may be sent."""

    def said(self, lines: Sequence[list[str]]) -> None:
        """Receive the lines of one read, each split into words."""

    def unlinked(self) -> None:
        """The link was lost."""


class AcmeLink(LineOnlyReceiver):
    """One connection to ACME."""

    delimiter = b"\n"
    transport: Any

    def __init__(self, user: AcmeUser, key: str) -> None:
        self._user = user
        self._key = key
        self._lines: list[list[str]] = []
        self._welcome = False

    def connectionMade(self) -> None:
        """Send our key."""
        self.say([("HELLO", self._key)])

    def say(self, lines: Sequence[Sequence[Any]]) -> None:
        """Send lines in one write."""
        text = "".join(" ".join(map(str, words)) + "\n" for words in lines)
        self.transport.write(text.encode("ascii"))

    def dataReceived(self, data: bytes) -> None:
        """Collect the lines of one read, so that they are handed on together."""
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        lines, self._lines = self._lines, []
        if lines and not self._welcome:
            self._welcome = lines.pop(0) == ["WELCOME"]
            if not self._welcome:
                self.transport.abortConnection()
                return
            self._user.linked(self)
        if lines:
            self._user.said(lines)

    def lineReceived(self, line: bytes) -> None:
        """Keep one line until the read is complete."""
        self._lines.append(line.decode("ascii", "replace").split())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Notify the user of a link that was up."""
        if self._welcome:
            self._user.unlinked()

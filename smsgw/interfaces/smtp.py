"""Mail submission: what the protocol asks of its delegate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface


@attrs.frozen
class Reply:
    """An SMTP reply: code and text (sent as given, ASCII, without line ends). `close` hangs up behind it."""

    code: int
    text: str
    close: bool = False


class IMailDelegate(Interface):
    """What the ESMTP protocol asks of the program it is embedded in, one command at a time.

    Each call returns a Deferred of :class:`Reply`; the next command of the session waits for it. A failure is
    answered 451. `session.account` is the delegate's to set; it is forgotten at STARTTLS.
    """

    def login(session: Any, login: bytes, password: bytes) -> Deferred[Reply]:
        """Check credentials; a reply of 235 means the session is authenticated."""

    def sender(session: Any, address: str, parameters: Mapping[str, str]) -> Deferred[Reply]:
        """MAIL FROM: a 250 opens the transaction."""

    def recipient(session: Any, address: str) -> Deferred[Reply]:
        """RCPT TO: a 250 adds the recipient to the envelope."""

    def message(session: Any, envelope: Any, octets: bytes) -> Deferred[Reply]:
        """The message (header, blank line, body; dots unstuffed, CRLF line ends). 250 means it is stored."""

    def status(session: Any, argument: str) -> Deferred[Reply]:
        """STATUS: what became of a message (000-32)."""

    def closed(session: Any) -> None:
        """The session is over: the connection is gone, or STARTTLS begins a new one. Once per session."""

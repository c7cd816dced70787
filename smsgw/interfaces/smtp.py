"""The port of mail submission: its delegate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface


@attrs.frozen
class Reply:
    """An SMTP reply: code and text (sent as given, ASCII, without line ends). `close` ends the connection after it."""

    code: int
    text: str
    close: bool = False


class IMailDelegate(Interface):
    """The delegate of the ESMTP server. It gets one command of a session at a time.

    Each method returns a Deferred of :class:`Reply`, which the next command of the session waits for. If it fails, the
    reply is 451. The delegate sets `session.account`; STARTTLS resets it.
    """

    def login(session: Any, login: bytes, password: bytes) -> Deferred[Reply]:
        """Check credentials; a reply of 235 means the session is authenticated."""

    def sender(session: Any, address: str, parameters: Mapping[str, str]) -> Deferred[Reply]:
        """MAIL FROM: a 250 opens the transaction."""

    def recipient(session: Any, address: str) -> Deferred[Reply]:
        """RCPT TO: a 250 adds the recipient to the envelope."""

    def message(session: Any, envelope: Any, octets: bytes) -> Deferred[Reply]:
        """The message (header, blank line, body; dots unstuffed, CRLF line ends). 250 means it is stored."""

    def wasted(session: Any, commands: int, octets: int, reply: Reply) -> Deferred[Reply]:
        """The client has sent so many commands, or a message of so many octets that the server itself refuses, from
        which no message came. Fire with `reply`, at once or later: the session waits for it."""

    def status(session: Any, argument: str) -> Deferred[Reply]:
        """STATUS: report the state of a message (000-32)."""

    def closed(session: Any) -> None:
        """The session has ended: the connection closed, or STARTTLS begins a new session. Called once per session."""

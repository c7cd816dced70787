"""What the SMTP dialogue of a connection needs around it: the connection, and the server with its settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from smsgw.config import SubmissionSettings
from smsgw.interfaces import IMailDelegate, Reply
from smsgw.protocols.smtp import replies


class Connection(Protocol):
    """The connection of a dialogue."""

    def say(self, reply: Reply) -> None:
        """Send a reply after the earlier ones."""

    def say_lines(self, octets: bytes) -> None:
        """Send an encoded reply of several lines."""

    def hang_up(self, reply: Reply) -> None:
        """Send the last reply and close."""

    def ask(self, then: Callable[[Reply], None], question: Callable[..., Deferred[Reply]], *arguments: object) -> None:
        """Call `question` with the session and `arguments`, then `then` with its answer; process no line meanwhile."""

    def start_tls(self) -> None:
        """Start TLS and give the dialogue a new session."""

    def admitted(self) -> None:
        """Mark the connection as authenticated."""


class ServerContext(Protocol):
    """The server of a dialogue: settings and delegate."""

    delegate: IMailDelegate
    settings: SubmissionSettings
    extensions: frozenset[str]
    positive: replies.Positive
    offers_tls: bool

    def capabilities(self, tls: bool) -> bytes:
        """Return the encoded answer to EHLO."""

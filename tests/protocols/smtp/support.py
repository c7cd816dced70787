"""Helpers for tests of the ESMTP server: a recording delegate, a transport that can start TLS, a client."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

from smsgw.dialects import QUICKTEL
from smsgw.interfaces import IMailDelegate, Reply
from smsgw.protocols.smtp.factory import Envelope, Session, SubmissionFactory, SubmissionProtocol, SubmissionSettings

CONTEXT = object()
"""A placeholder for a TLS context."""

PLAIN = b"AUTH PLAIN ADMAZnJlZXRlc3Q="
LOGGED_IN = b"EHLO mycomputer\r\n" + PLAIN + b"\r\n"
ENVELOPE = b"MAIL FROM:<default@mydomain.ru>\r\nRCPT TO:<89061234567@sms.qtelecom.ru>\r\n"


@implementer(IMailDelegate)
class Recorder:
    """A delegate with one account (3, freetest). It accepts addresses and ids that do not begin with ``no``, and
    records all calls.

    :ivar waste: commands and octets from which no message came.
    :ivar hold: names of methods whose answers wait in `held` until a test fires them.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.messages: list[tuple[str, list[str], bytes]] = []
        self.sessions: list[Session] = []
        self.gone: list[Session] = []
        self.waste: list[tuple[int, int]] = []
        self.hold: set[str] = set()
        self.held: list[tuple[Deferred[Reply], Reply]] = []

    def login(self, session: Session, login: bytes, password: bytes) -> Deferred[Reply]:
        if (login, password) == (b"3", b"freetest"):
            session.account = "3"
            return self._answer("login", Reply(235, "Authentication successful."), login)
        return self._answer("login", Reply(535, "5.7.8 Authentication failed"), login)

    def sender(self, session: Session, address: str, parameters: Mapping[str, str]) -> Deferred[Reply]:
        self.sessions.append(session)
        if address.startswith("unknown"):
            return self._answer("sender", Reply(553, "5.1.7 No such sender"), address)
        return self._answer("sender", Reply(250, "Ok"), address, dict(parameters))

    def recipient(self, session: Session, address: str) -> Deferred[Reply]:
        if address.startswith("unknown"):
            return self._answer("recipient", Reply(550, "5.1.1 No such number"), address)
        return self._answer("recipient", Reply(250, "Ok"), address)

    def message(self, session: Session, envelope: Envelope, octets: bytes) -> Deferred[Reply]:
        self.messages.append((envelope.sender, list(envelope.recipients), octets))
        return self._answer("message", Reply(250, f"{len(self.messages)} message accepted"), len(octets))

    def wasted(self, session: Session, commands: int, octets: int, reply: Reply) -> Deferred[Reply]:
        self.waste.append((commands, octets))
        return self._answer("wasted", reply)

    def status(self, session: Session, argument: str) -> Deferred[Reply]:
        if argument == "4418":
            return self._answer("status", Reply(250, "4418 1 0 0 Message is accepted for delivery"), argument)
        return self._answer("status", Reply(550, f"{argument} message not found"), argument)

    def closed(self, session: Session) -> None:
        self.gone.append(session)

    def fire(self) -> None:
        """Fire the oldest held answer."""
        deferred, reply = self.held.pop(0)
        deferred.callback(reply)

    def bodies(self) -> list[bytes]:
        """The messages, without their envelopes."""
        return [octets for _, _, octets in self.messages]

    def _answer(self, name: str, reply: Reply, *arguments: object) -> Deferred[Reply]:
        if name != "wasted":
            self.calls.append((name, *arguments))
        if name not in self.hold:
            return succeed(reply)
        deferred: Deferred[Reply] = Deferred()
        self.held.append((deferred, reply))
        return deferred


class Wire(StringTransport):
    """A transport in memory that can start TLS and records each write.

    :ivar writes: octets of each write.
    :ivar encrypted_from: number of writes before TLS started, or None.
    """

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "192.0.2.7", 40000))
        self.writes: list[bytes] = []
        self.encrypted_from: int | None = None
        self.context: object = None

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)

    def startTLS(self, contextFactory: object) -> None:
        self.context = contextFactory
        self.encrypted_from = len(self.writes)
        directlyProvides(self, ISSLTransport)


@attrs.define(eq=False)
class Client:
    """The client's end of a connection in memory, with the server's end."""

    factory: SubmissionFactory
    protocol: SubmissionProtocol
    wire: Wire
    delegate: Recorder
    clock: Clock

    def send(self, *pieces: bytes) -> bytes:
        """Send octets piece by piece until the server closes; return its replies."""
        before = len(self.wire.value())
        for piece in pieces:
            if not self.wire.disconnecting:
                self.protocol.dataReceived(piece)
        answer: bytes = self.wire.value()[before:]
        return answer

    def say(self, line: bytes) -> bytes:
        """Send one line; return the replies to it."""
        return self.send(line + b"\r\n")

    def code(self, line: bytes) -> int:
        """Send one line; return the code of the last reply to it."""
        replies = self.say(line).splitlines()
        return int(replies[-1][:3]) if replies else 0

    def codes(self, octets: bytes) -> list[int]:
        """Send octets in one segment; return the codes of the replies, one for each."""
        return codes(self.send(octets))

    def log_in(self) -> Client:
        """Send EHLO and AUTH."""
        assert self.codes(LOGGED_IN) == [250, 235]
        return self

    def open_transaction(self) -> Client:
        """Send EHLO, AUTH, MAIL and RCPT."""
        self.log_in()
        assert self.codes(ENVELOPE) == [250, 250]
        return self

    def begin_data(self) -> Client:
        """Open a transaction and send DATA."""
        self.open_transaction()
        assert self.code(b"DATA") == 354
        return self

    def leave(self) -> None:
        """Lose the connection."""
        self.protocol.connectionLost(Failure(ConnectionDone()))


def codes(replies: bytes) -> list[int]:
    """Return the codes of replies; a reply of several lines counts once."""
    return [int(line[:3]) for line in replies.splitlines() if line[3:4] == b" "]


def quicktel(**changed: Any) -> SubmissionSettings:
    """Settings of the dialect quicktel with STARTTLS on offer, some of them changed."""
    assert QUICKTEL.smtp is not None
    known = attrs.fields_dict(SubmissionSettings)
    manner = {name: value for name, value in QUICKTEL.smtp.settings.items() if name in known}
    return SubmissionSettings(**{"tls": "optional", **manner, **changed})


def connect(
    settings: SubmissionSettings | None = None,
    tls: object | None = CONTEXT,
    delegate: Recorder | None = None,
    factory: SubmissionFactory | None = None,
) -> Client:
    """Connect a client, which has read the greeting; the default dialect is quicktel."""
    clock = Clock()
    delegate = delegate or Recorder()
    if factory is None:
        factory = SubmissionFactory(delegate, settings or quicktel(), clock, tls, "gw.example")
    else:
        assert isinstance(factory.clock, Clock)
        assert isinstance(factory.delegate, Recorder)
        clock, delegate = factory.clock, factory.delegate
    wire = Wire()
    protocol = factory.buildProtocol(None)
    protocol.makeConnection(wire)
    return Client(factory, protocol, wire, delegate, clock)


def wait(client: Client, seconds: float) -> None:
    """Advance the clock in steps of a second, so that every sweep runs."""
    while seconds > 0:
        client.clock.advance(min(1.0, seconds))
        seconds -= 1.0


def encoded(octets: bytes) -> bytes:
    """Encode in base64 without line ends."""
    return base64.b64encode(octets)

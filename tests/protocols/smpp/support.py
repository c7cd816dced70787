"""Helpers for tests of SMPP sessions: a recording delegate, a transport that can be slow, a peer in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

from smsgw.interfaces import BindAccepted, ISmppDelegate
from smsgw.protocols.smpp.server import SmppServer, SmppServerFactory, SmppServerSettings
from smsgw.smpp.codec import Framer, decode_many, encode_many
from smsgw.smpp.pdus import (
    Bind,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DeliverSm,
    Pdu,
    Response,
    SubmitSm,
    SubmitSmResp,
)

BINDS: dict[str, type[Bind]] = {"tx": BindTransmitter, "rx": BindReceiver, "trx": BindTransceiver}


@implementer(ISmppDelegate)
class Recorder:
    """A delegate with one account (demo, demo). It gives every submit_sm an id and records all calls.

    :ivar hold: with "bind" or "requests" in it, those answers wait in `held` until a test fires them.
    :ivar reply: returns the answer to one request.
    """

    def __init__(self) -> None:
        self.binds: list[Pdu] = []
        self.batches: list[list[Pdu]] = []
        self.answered: list[tuple[object, int, Pdu | None]] = []
        self.bound_sessions: list[Any] = []
        self.ready_calls = 0
        self.gone: list[str] = []
        self.window = 100
        self.hold: set[str] = set()
        self.held: list[Callable[[], None]] = []
        self.on_requests: Callable[[Any], None] | None = None
        self.on_answers: Callable[[Any], None] | None = None
        self.on_bound: Callable[[Any], None] | None = None

    @property
    def requested(self) -> list[Pdu]:
        """The requests of all batches."""
        return [pdu for batch in self.batches for pdu in batch]

    def reply(self, pdu: Pdu) -> Pdu | int:
        if isinstance(pdu, SubmitSm):
            return SubmitSmResp(0, 0, b"id-%d" % pdu.sequence_number)
        return 0

    def bind(self, session: SmppServer, pdu: Pdu) -> Deferred[BindAccepted | int]:
        self.binds.append(pdu)
        right = isinstance(pdu, Bind) and (pdu.system_id, pdu.password) == (b"demo", b"demo")
        return self._later("bind", BindAccepted("demo", b"", self.window) if right else 0x0E)

    def requests(self, session: SmppServer, pdus: Sequence[Pdu]) -> Deferred[list[Pdu | int]]:
        self.batches.append(list(pdus))
        if self.on_requests is not None:
            self.on_requests(session)
        return self._later("requests", [self.reply(pdu) for pdu in pdus])

    def answers(self, session: SmppServer, answers: Sequence[tuple[object, int, Pdu | None]]) -> None:
        self.answered += answers
        if self.on_answers is not None:
            self.on_answers(session)

    def bound(self, session: SmppServer) -> None:
        self.bound_sessions.append(session)
        if self.on_bound is not None:
            self.on_bound(session)

    def ready(self, session: SmppServer) -> None:
        self.ready_calls += 1

    def closed(self, session: SmppServer, why: str) -> None:
        self.gone.append(why)

    def _later(self, what: str, answer: Any) -> Deferred[Any]:
        if what not in self.hold:
            return succeed(answer)
        waiting: Deferred[Any] = Deferred()
        self.held.append(lambda: waiting.callback(answer))
        return waiting


class SlowTransport(StringTransport):
    """Records each write separately.

    :ivar stuck: whether the peer has stopped reading.
    :ivar takes: octets that it buffers before it pauses its producer.
    """

    def __init__(self) -> None:
        super().__init__(lenient=True)
        directlyProvides(self, ITCPTransport)
        self.writes: list[bytes] = []
        self.stuck = False
        self.takes = 65536
        self.buffered = 0
        self.no_delay = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)
        if self.stuck:
            self.buffered += len(data)
            if self.buffered > self.takes and self.producer is not None:
                self.producer.pauseProducing()

    def drain(self) -> None:
        """Let the peer read everything."""
        self.stuck, self.buffered = False, 0
        assert self.producer is not None
        self.producer.resumeProducing()

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled


@attrs.define(eq=False)
class Peer:
    """An ESME in memory: its octets arrive at once, and it decodes our output."""

    factory: SmppServerFactory
    clock: Clock
    delegate: Recorder
    transport: SlowTransport = attrs.field(factory=SlowTransport)
    version: int = 0x34
    session: SmppServer = attrs.field(init=False)
    _framer: Framer = attrs.field(factory=Framer, init=False)
    _seen: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.session = self.factory.buildProtocol(self.transport.getPeer())
        self.session.makeConnection(self.transport)

    def send(self, *pdus: Pdu) -> list[Any]:
        """Send PDUs in one segment; return those received meanwhile."""
        return self.write(encode_many(pdus, self.version))

    def write(self, octets: bytes) -> list[Any]:
        """Send octets in one segment; return the PDUs received meanwhile."""
        self.session.dataReceived(octets)
        return self.read()

    def read(self) -> list[Any]:
        """Return the PDUs received since the last call."""
        octets = self.transport.value()[self._seen :]
        self._seen += len(octets)
        return decode_many(self._framer.feed(octets), self.version)

    def bind(self, how: str = "trx", password: bytes = b"demo", interface_version: int = 0x34) -> Any:
        """Bind with sequence_number 1; return the answer."""
        self.version = min(self.version, interface_version)
        return self.send(BINDS[how](1, b"demo", password, b"", interface_version))[0]

    def pass_time(self, seconds: float) -> list[Any]:
        """Advance the clock second by second; return the PDUs received meanwhile."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
        return self.read()

    def lose(self) -> None:
        """Lose the connection."""
        self.session.connectionLost(Failure(ConnectionDone()))

    @property
    def closing(self) -> bool:
        """Whether our end is closing."""
        return self.transport.disconnecting

    @property
    def reads(self) -> bool:
        """Whether our end reads from its transport."""
        return bool(self.transport.producerState == "producing")


def connect(delegate: Recorder | None = None, clock: Clock | None = None, **settings: Any) -> Peer:
    """Connect a peer to a server of its own with these settings."""
    clock = clock or Clock()
    delegate = delegate or Recorder()
    return Peer(SmppServerFactory(delegate, SmppServerSettings(**settings), clock), clock, delegate)


def bound(how: str = "trx", delegate: Recorder | None = None, clock: Clock | None = None, **settings: Any) -> Peer:
    """Connect and bind a peer."""
    peer = connect(delegate, clock, **settings)
    assert peer.bind(how).command_status == 0
    return peer


def submits(*numbers: int) -> list[Pdu]:
    """Build submit_sm with these sequence numbers."""
    return [SubmitSm(number, b"", 5, 0, b"DEMO", 1, 1, b"79161234567", short_message=b"hi") for number in numbers]


def delivers(count: int) -> list[tuple[object, Pdu]]:
    """Build deliver_sm with the tokens 0, 1, 2 ..."""
    return [(token, DeliverSm(0, b"", 1, 1, b"79161234567", 5, 0, b"DEMO", 4)) for token in range(count)]


def summary(pdus: Sequence[Any]) -> list[tuple[str, int, int]]:
    """Return (name, sequence_number, command_status) of each, with status 0 for requests."""
    return [(pdu.name, pdu.sequence_number, pdu.command_status if isinstance(pdu, Response) else 0) for pdu in pdus]


def make_tls(transport: SlowTransport) -> SlowTransport:
    """Make a transport appear encrypted."""
    directlyProvides(transport, ISSLTransport)
    return transport

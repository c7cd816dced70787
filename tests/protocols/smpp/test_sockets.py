"""SMPP over real sockets, with and without TLS: both of our ends, and a peer that does not read."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock, deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from smsgw.program.certificates import options, self_signed
from smsgw.protocols.smpp.client import Esme, SmppClientSettings
from smsgw.protocols.smpp.server import SmppServerFactory, SmppServerSettings
from smsgw.smpp.codec import encode, encode_many
from smsgw.smpp.pdus import BindTransceiver, Pdu
from tests.protocols.smpp.support import Recorder, delivers, submits

PATIENT = 1000.0
"""Seconds for timers that must not run out: a test that waits for one fails by its timeout."""


class SocketTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.clock: Any = reactor
        self.delegate = Recorder()

    def serve(self, *, tls: bool = False, **settings: Any) -> IStreamClientEndpoint:
        """Listen on a free port of loopback; return the endpoint to connect to."""
        self.factory = SmppServerFactory(self.delegate, SmppServerSettings(close_wait=PATIENT, **settings), self.clock)
        outer: Any = self.factory
        if tls:
            certificate, key, _ = self_signed(Path(self.mktemp()))
            outer = TLSMemoryBIOFactory(options(certificate, key), False, self.factory)
        port = self.reactor.listenTCP(0, outer, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port: int = port.getHost().port
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.port)
        return wrapClientTLS(CertificateOptions(), endpoint) if tls else endpoint

    async def talk(self, endpoint: IStreamClientEndpoint, tls: bool) -> None:
        """Bind, submit, receive, and be unbound by the server."""
        delivered: list[Pdu] = []

        def deliver(pdus: list[Pdu]) -> list[Pdu | int]:
            delivered.extend(pdus)
            return [0] * len(pdus)

        esme = Esme(self.reactor, deliver, SmppClientSettings(requests=100, close_wait=PATIENT))
        response = await esme.connect(endpoint, BindTransceiver(0, b"demo", b"demo", b"", 0x34))
        self.assertEqual(response.command_status, 0)
        session: Any
        (session,) = self.factory.sessions
        assert esme.session is not None
        self.assertEqual((session.peer, session.tls, esme.session.tls), ("127.0.0.1", tls, tls))
        answers = await esme.submit(submits(*range(2000)))
        self.assertEqual([status for status, _ in answers], [0] * 2000)
        done: Deferred[None] = Deferred()

        def answered(_: Any) -> None:
            if len(self.delegate.answered) == 50:
                done.callback(None)

        self.delegate.on_answers = answered
        session.send(delivers(50))
        await done
        self.assertEqual(len(delivered), 50)
        self.delegate.on_answers = None
        await self.factory.shut_down()
        await esme.unbind()
        self.assertEqual(self.delegate.gone, ["we are shutting down"])

    async def test_tcp(self) -> None:
        """Both ends over TCP: all requests are answered, and both ends close in order without a timer."""
        await self.talk(self.serve(), tls=False)

    async def test_tls(self) -> None:
        """The same over TLS, which is closed in order too."""
        await self.talk(self.serve(tls=True), tls=True)

    async def test_unbind_by_the_client(self) -> None:
        """A client that unbinds over TLS gets its answer, and both connections end."""
        endpoint = self.serve(tls=True)
        esme = Esme(self.reactor, settings=SmppClientSettings(close_wait=PATIENT))
        await esme.connect(endpoint, BindTransceiver(0, b"demo", b"demo", b"", 0x34))
        await esme.unbind()
        await self.factory.shut_down()
        self.assertEqual(self.delegate.gone, ["the peer has unbound"])

    async def test_paused_under_tls(self) -> None:
        """Octets that TLS delivers during a pause wait, and are answered in order after it."""
        endpoint = self.serve(tls=True)
        esme = Esme(self.reactor, settings=SmppClientSettings(requests=5000, close_wait=PATIENT))
        await esme.connect(endpoint, BindTransceiver(0, b"demo", b"demo", b"", 0x34))
        self.delegate.on_requests = lambda session: (
            session.pause(),
            self.reactor.callLater(0.001, session.resume),
        )[0]
        answers = await esme.submit(submits(*range(5000)))
        self.assertEqual([status for status, _ in answers], [0] * 5000)
        numbers = [pdu.sequence_number for pdu in self.delegate.requested]
        self.assertEqual(numbers, sorted(numbers))
        self.assertGreater(len(self.delegate.batches), 1)
        await esme.unbind()
        await self.factory.shut_down()

    async def test_a_peer_that_does_not_read(self) -> None:
        """A peer that only writes is stopped by full sockets; the server buffers a bounded amount for it."""
        self.serve(inactivity=0)
        peer = socket.create_connection(("127.0.0.1", self.port), 10)
        self.addCleanup(peer.close)
        peer.setblocking(False)
        peer.send(encode(BindTransceiver(1, b"demo", b"demo", b"", 0x34)))
        segment = encode_many(submits(*range(500)))
        blocked = written = 0
        while blocked < 50:
            try:
                written += peer.send(segment[written % len(segment) :])
                blocked = 0
            except BlockingIOError:
                blocked += 1
            await deferLater(self.reactor, 0.002)
        session: Any
        (session,) = self.factory.sessions
        self.assertEqual(session.room(), 0)
        self.assertLess(len(self.delegate.requested) * len(segment) // 500, written)
        transport = session.transport
        kept = len(transport.dataBuffer) + sum(map(len, transport._tempDataBuffer))
        self.assertLess(kept, 256 * 1024)
        await self.factory.shut_down(0.01)

    async def test_no_handshake(self) -> None:
        """A silent connection to a TLS port is closed by session_init, which runs from the connection on."""
        clock = Clock()
        self.patch(self, "clock", clock)
        self.serve(tls=True)
        lost: Deferred[None] = Deferred()

        class Silent(Protocol):
            def connectionLost(self, reason: Any = None) -> None:
                lost.callback(None)

        await connectProtocol(TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.port), Silent())
        while not self.factory.sessions:
            await deferLater(self.reactor, 0.001)
        clock.pump([1.0] * 9)
        self.assertFalse(lost.called)
        clock.advance(1.0)
        await lost

    async def test_the_wrong_kind_of_port(self) -> None:
        """A plain peer on a TLS port and a TLS peer on a plain one are closed; the port still works."""
        lost: Deferred[None] = Deferred()

        class PlainClient(Protocol):
            def connectionLost(self, reason: Any = None) -> None:
                lost.callback(None)

        endpoint = self.serve()
        wrapped = wrapClientTLS(CertificateOptions(), TCP4ClientEndpoint(self.reactor, "127.0.0.1", self.port))
        await connectProtocol(wrapped, PlainClient())
        await lost
        esme = Esme(self.reactor)
        self.assertEqual((await esme.connect(endpoint, BindTransceiver(0, b"demo", b"demo"))).command_status, 0)
        await esme.unbind()
        await self.factory.shut_down()

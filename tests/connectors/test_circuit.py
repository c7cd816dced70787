"""The circuit breaker of connectors that connect when they send; and the failover from a relay that is down."""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import ConnectorSettings
from smsgw.connectors.circuit import Circuit
from smsgw.connectors.smtp import SmtpConnector, SmtpConnectorSettings
from smsgw.connectors.templates import TEMPLATE
from smsgw.model.lifecycle import State
from smsgw.model.message import Message, Part
from smsgw.services.commits import Commits
from smsgw.services.dispatch import Dispatch
from tests.configured import configured
from tests.connectors.test_http import Sink
from tests.services.dispatch.support import (
    DAY,
    DispatchTestCase,
    HandConnector,
    RecordingIncoming,
    RecordingOutbox,
    message,
)

RESOLVING = 0.5
"""Seconds after which an endpoint knows that a host has no further address."""


class CircuitTests(SynchronousTestCase):
    """One circuit, with attempts that the test ends."""

    def setUp(self) -> None:
        """A circuit without jitter."""
        self.clock = Clock()
        self.dice = 0.0
        self.attempts: list[Deferred[str]] = []
        self.changes: list[bool] = []
        self.circuit = Circuit("up", self.clock, self.attempt, self.changed, lambda: self.dice)

    def attempt(self) -> Deferred[str]:
        """Begin an attempt."""
        self.attempts.append(Deferred())
        return self.attempts[-1]

    def changed(self) -> None:
        """Record the new state."""
        self.changes.append(self.circuit.up)

    def pauses(self, count: int) -> list[float]:
        """The seconds to each of the next attempts, which fail."""
        pauses = []
        for _ in range(count):
            (call,) = self.clock.getDelayedCalls()
            pauses.append(call.getTime() - self.clock.seconds())
            self.clock.advance(pauses[-1])
            self.attempts.pop().callback("refused")
        return pauses

    def test_back_off(self) -> None:
        """Attempts follow each other after pauses that double up to a minute; the jitter makes them shorter."""
        self.circuit.fail("refused")
        self.assertEqual(self.pauses(8), [1, 2, 4, 8, 16, 32, 60, 60])
        self.dice = 1.0
        self.pauses(1)
        self.assertEqual(self.pauses(1), [45])

    def test_one_line(self) -> None:
        """A downtime gives one warning and one line at its end, whatever fails meanwhile; the next begins anew."""
        with capturedLogs() as lines:
            self.circuit.fail("refused")
            self.circuit.fail("refused too")
            self.pauses(5)
            self.clock.advance(60)
            self.circuit.fail("refused")
            self.attempts.pop().callback("")
        self.assertEqual([line["log_level"] for line in lines], [LogLevel.warn, LogLevel.info])
        self.assertEqual(self.changes, [False, True])
        self.circuit.fail("refused")
        self.assertEqual(self.pauses(1), [1])

    def test_one_attempt(self) -> None:
        """While an attempt is under way there is no other one, and nothing to end early."""
        self.circuit.fail("refused")
        self.clock.advance(1)
        self.circuit.retry()
        self.clock.advance(100)
        self.assertEqual(len(self.attempts), 1)

    def test_fault(self) -> None:
        """A fault of the code in an attempt is logged, and the attempts go on."""
        self.circuit.fail("refused")
        self.clock.advance(1)
        self.attempts.pop().errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.pauses(1), [2])

    def test_stop(self) -> None:
        """A stopped circuit does nothing, in a pause as in an attempt."""
        self.circuit.fail("refused")
        self.circuit.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.setUp()
        self.circuit.fail("refused")
        self.clock.advance(1)
        self.circuit.stop()
        self.circuit.fail("refused")
        self.assertEqual((self.changes, self.clock.getDelayedCalls()), ([False], []))


def relay() -> SmtpConnectorSettings:
    """The section of a relay without TLS."""
    to = TEMPLATE.take("{to}@mail.example")
    return SmtpConnectorSettings(
        name="mail", type="smtp", host="127.0.0.1", tls="none", sender="a@b.example", to=to, timeout=20.0, rate=0.0,
    )  # fmt: skip


class Network(MemoryReactorClock):
    """A reactor in memory: connections stay pending until the test ends them."""

    def refuse(self) -> None:
        """Refuse all pending connections."""
        while self.tcpClients:
            factory: Any = self.tcpClients.pop()[2]
            factory.clientConnectionFailed(None, Failure(error.ConnectionRefusedError()))
        self.advance(RESOLVING)
        self.advance(0)


def accept(network: Network, *lines: bytes) -> None:
    """Accept the pending connection, send these lines, if any, and close it."""
    protocol: Any = network.tcpClients.pop()[2].buildProtocol(None)
    transport = StringTransport()
    transport.abortConnection = lambda: None  # type: ignore[method-assign]
    protocol.makeConnection(transport)
    for line in lines:
        protocol.dataReceived(line + b"\r\n")
    if lines:
        protocol.connectionLost(Failure(error.ConnectionDone()))


class RelayDownTests(SynchronousTestCase):
    """The connector to a relay that cannot be reached."""

    def setUp(self) -> None:
        """A connector that sends two messages."""
        self.network = Network()
        self.sink = Sink()
        self.connector = SmtpConnector(relay(), self.network, lambda: 1_700_000_000.0)
        self.connector.start(self.sink)
        self.connector.send([Part(message(id), 1) for id in (1, 2, 3)])
        self.network.advance(0)

    def test_refused(self) -> None:
        """A refused connection makes the connector down; mails that wait for a connection fail at once. It is up when
        a session can be opened."""
        self.network.refuse()
        self.assertEqual((self.sink.kinds(), self.connector.up), (["Busy"] * 3, False))
        self.connector.release(3)
        self.network.advance(0.5)
        self.network.refuse()
        self.assertEqual((self.connector.up, self.connector.room()), (False, 0))
        self.network.advance(2)
        wants = self.sink.wants
        accept(self.network, b"220 relay.example", b"250 relay.example", b"221 Bye")
        self.assertEqual((self.connector.up, self.sink.wants), (True, wants + 1))

    def test_timeout(self) -> None:
        """So does a connection that is not made in time."""
        self.network.advance(21)
        self.network.advance(0)
        self.assertEqual((self.sink.kinds(), self.connector.up), (["Busy"] * 3, False))

    def test_busy_relay(self) -> None:
        """A relay that refuses a session with 4xx is up, one that refuses it with 5xx is down."""
        accept(self.network, b"421 Too many connections")
        self.network.advance(0)
        self.assertEqual((self.sink.kinds(), self.connector.up), (["Busy"], True))
        accept(self.network, b"554 No service")
        self.network.advance(0)
        self.assertFalse(self.connector.up)

    def test_stop_in_an_attempt(self) -> None:
        """The stop does not wait for an attempt to connect, nor for its session."""
        self.network.refuse()
        self.network.advance(1)
        accept(self.network)
        self.successResultOf(self.connector.stop())


class FailoverTests(DispatchTestCase):
    """A relay that refuses connections, first in a route, behind dispatch."""

    def reroute(self, one: Message) -> str:
        """What routing does for the route ``mail, spare``."""
        return "spare" if "mail" in self.down else one.connector

    def test_spare(self) -> None:
        """All its messages are sent over the next connector at once; when the relay works it gets messages again."""
        network, spare = Network(), HandConnector("spare")
        mail = SmtpConnector(relay(), network, self.now)
        outbox = self.outbox = RecordingOutbox()
        self.dispatch = Dispatch(
            configured(
                relay(), ConnectorSettings(name="spare", window=10), report_timeout=DAY
            ), self.store, Commits(self.store, outbox), self.clock,
            self.time, {"mail": mail, "spare": spare}, self.reroute, incoming=RecordingIncoming(),
            metrics=self.metrics, down=self.down,
        )  # fmt: skip
        self.successResultOf(self.dispatch.start())
        self.accept(*[message(id, connector="mail") for id in (1, 2, 3)])
        network.refuse()
        self.clock.advance(0)
        self.assertEqual((self.down, sorted(spare.sent)), ({"mail"}, [(1, 1), (2, 1), (3, 1)]))
        spare.answer()
        self.assertEqual(self.found(1).connector, "spare")
        network.advance(1)
        accept(network, b"220 relay.example", b"250 relay.example", b"221 Bye")
        self.dispatch.tick()
        self.assertEqual(self.down, set())
        self.accept(message(4, connector="mail"))
        accept(network, b"220 relay.example", b"250 Hi", b"250 Ok", b"250 Ok", b"354 Go", b"250 Taken")
        network.advance(0)
        self.clock.advance(0)
        self.assertEqual((self.state(4), len(spare.sent)), (State.DELIVERED, 3))

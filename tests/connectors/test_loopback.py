from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from smsgw.config import Globs, Settings, parse
from smsgw.connectors.loopback import Loopback, LoopbackSettings
from smsgw.connectors.loopback.connector import MOST_REPORTS, MOST_UNACKNOWLEDGED, REPEAT_AFTER
from smsgw.interfaces import Awaited, IConnector, IConnectorSink, ISimulator
from smsgw.model import errors
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Incoming, IncomingKind, Message, Part
from smsgw.model.outcome import Lost, Outcome, Sent
from smsgw.plugins import dialects
from tests.connectors import port
from tests.services.dispatch.support import NOON, message


@implementer(IConnectorSink)
class RecordingSink:
    """Records the reports of a connector; acknowledges receipts as the test sets."""

    def __init__(self) -> None:
        self.answers: list[tuple[Part, Outcome]] = []
        self.batches: list[int] = []
        self.reports: list[DeliveryReport] = []
        self.came: list[Incoming] = []
        self.refusal: errors.Refused | None = None
        self.unacknowledged: list[Deferred[None]] = []
        self.by_hand = False
        self.broken: Exception | None = None
        self.readies = 0
        self.log: list[str] = []

    def outcomes(self, connector: str, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        """See IConnectorSink."""
        self.log.append("outcomes")
        self.answers += outcomes

    def receipts(self, connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """See IConnectorSink."""
        if self.broken is not None:
            return fail(self.broken)
        self.log.append("receipts")
        self.batches.append(len(reports))
        self.reports += reports
        if not self.by_hand:
            return succeed(None)
        self.unacknowledged.append(Deferred())
        return self.unacknowledged[-1]

    def incoming(self, connector: str, incoming: Sequence[Incoming]) -> Deferred[list[errors.Refused | None]]:
        """See IConnectorSink."""
        if self.broken is not None:
            return fail(self.broken)
        self.came += incoming
        return succeed([self.refusal for _ in incoming])

    def ready(self, connector: str) -> None:
        """See IConnectorSink."""
        self.readies += 1

    def said(self) -> list[tuple[str, State | None, int]]:
        """(id, state, error) of every receipt."""
        return [(report.remote_id, report.state, report.error) for report in self.reports]


class LoopbackTestCase(SynchronousTestCase):
    """A simulated SMSC on a stopped clock."""

    def make(self, **settings: Any) -> Loopback:
        """A started connector, by default with a delay of 2 seconds and no rate."""
        self.clock = Clock()
        self.sink = RecordingSink()
        made = {"name": "sim", "delay": 2.0, "rate": 0.0, **settings}
        for key, value in made.items():
            if isinstance(value, tuple):
                made[key] = Globs(value)
        loopback = Loopback(LoopbackSettings(**made), self.clock, lambda: NOON + self.clock.seconds())
        loopback.start(self.sink)
        return loopback

    def send(self, loopback: Loopback, *messages: Message) -> list[Part]:
        """Send all parts of these messages, and run the next turn of the reactor."""
        parts = [Part(one, seq) for one in messages for seq in range(1, one.parts + 1)]
        port.send(loopback, parts, self.sink.answers, self.sink.reports)
        self.clock.advance(0)
        return parts

    def outcomes(self) -> list[type]:
        """The kinds of outcomes so far, in order."""
        return [type(outcome) for _, outcome in self.sink.answers]


class PlainTests(LoopbackTestCase):
    """The usual behaviour of the simulated SMSC."""

    def test_interface(self) -> None:
        """It provides the interface, and is up between start and stop."""
        loopback = self.make()
        self.assertTrue(verifyObject(IConnector, loopback))
        self.assertTrue(loopback.up)
        self.successResultOf(loopback.stop())
        self.assertEqual((loopback.up, loopback.room()), (False, 0))

    def test_takes_and_reports(self) -> None:
        """Each part is accepted at once and reported delivered after the delay, in order and in one batch."""
        loopback = self.make()
        parts = self.send(loopback, message(1), message(2, parts=2))
        self.assertEqual([part for part, _ in self.sink.answers], parts)
        taken = [outcome.remote_id for _, outcome in self.sink.answers if isinstance(outcome, Sent)]
        self.assertEqual(len(set(taken)), 3)
        self.clock.advance(1.9)
        self.assertEqual(self.sink.reports, [])
        self.clock.advance(0.1)
        self.assertEqual(self.sink.said(), [(id, State.DELIVERED, 0) for id in taken])
        self.assertEqual(self.sink.batches, [3])
        self.assertEqual(self.sink.reports[0].at, NOON + 2)

    def test_no_delay(self) -> None:
        """Without a delay receipts are reported after the outcomes."""
        loopback = self.make(delay=0.0)
        self.send(loopback, *[message(id) for id in range(1, 11)])
        self.assertEqual((self.sink.log, self.sink.batches), (["outcomes", "receipts"], [10]))

    def test_one_turn(self) -> None:
        """All parts sent in one turn of the reactor have their outcomes together in the next."""
        loopback = self.make()
        for id in range(1, 4):
            port.send(loopback, [Part(message(id), 1)], self.sink.answers, self.sink.reports)
        self.clock.advance(0)
        self.assertEqual((self.sink.log, len(self.sink.answers)), (["outcomes"], 3))

    def test_one_timer(self) -> None:
        """One timer serves all outstanding receipts."""
        loopback = self.make(window=1000)
        for id in range(1, 101):
            self.send(loopback, message(id))
            self.clock.advance(0.001)
        self.assertEqual(len(self.clock.calls), 1)
        self.clock.advance(2)
        self.assertEqual(len(self.sink.reports), 100)

    def test_latency(self) -> None:
        """With a latency, outcomes are reported after it; the delay of the receipt starts then."""
        loopback = self.make(latency=1.0)
        self.send(loopback, message(1))
        self.assertEqual(self.sink.answers, [])
        self.clock.advance(1)
        self.assertEqual(self.outcomes(), [Sent])
        self.clock.advance(1.5)
        self.assertEqual(self.sink.reports, [])
        self.clock.advance(0.5)
        self.assertEqual(len(self.sink.reports), 1)

    def test_ids_differ(self) -> None:
        """A part that is sent again, after a restart too, gets another id than before."""
        seen = set()
        for attempts in (0, 1):
            self.send(self.make(), message(1, parts=2, attempts=attempts))
            seen |= {outcome.remote_id for _, outcome in self.sink.answers if isinstance(outcome, Sent)}
        self.assertEqual(len(seen), 4)

    def test_window(self) -> None:
        """The room is the free part of the window; when it grows from 0, the sink is called."""
        loopback = self.make(window=3)
        self.assertEqual(loopback.room(), 3)
        self.send(loopback, message(1), message(2), message(3))
        self.assertEqual(loopback.room(), 0)
        before = self.sink.readies
        loopback.release(2)
        self.assertEqual((loopback.room(), self.sink.readies), (2, before + 1))

    def test_rate(self) -> None:
        """The rate holds over any period except bursts of a tenth of a second; the sink is called for new tokens."""
        loopback = self.make(rate=100.0, window=1000)
        total = 0
        for _ in range(100):
            room = loopback.room()
            if room:
                self.send(loopback, *[message(total + n) for n in range(1, room + 1)])
                loopback.release(room)
                total += room
            before = self.sink.readies
            self.assertEqual(loopback.room(), 0)
            self.clock.advance(0.05)
            self.assertGreater(self.sink.readies, before)
        self.assertTrue(500 <= total <= 510, total)

    def test_memory(self) -> None:
        """The number of outstanding receipts is bounded; at the bound the room is 0."""
        loopback = self.make(memory=5)
        self.send(loopback, *[message(id) for id in range(1, 6)])
        loopback.release(5)
        self.assertEqual(loopback.room(), 0)
        before = self.sink.readies
        self.clock.advance(2)
        self.assertEqual((loopback.room() > 0, self.sink.readies), (True, before + 1))

    def test_big_batches_are_cut(self) -> None:
        """Receipts are reported in bounded batches; the number of unacknowledged ones is bounded."""
        count = MOST_UNACKNOWLEDGED + 1234
        loopback = self.make(window=10_000)
        self.sink.by_hand = True
        self.send(loopback, *[message(id) for id in range(1, count + 1)])
        self.clock.advance(2)
        self.assertEqual(max(self.sink.batches), MOST_REPORTS)
        self.assertEqual(len(self.sink.reports), MOST_UNACKNOWLEDGED)
        while self.sink.unacknowledged:
            self.sink.unacknowledged.pop().callback(None)
        self.assertEqual(len({report.remote_id for report in self.sink.reports}), count)

    def test_repeats_what_is_not_stored(self) -> None:
        """Receipts that cannot be stored are repeated, as a real message centre does."""
        loopback = self.make()
        self.send(loopback, message(1), message(2))
        self.sink.broken = StoreDown("full")
        self.clock.advance(2)
        self.clock.advance(REPEAT_AFTER)
        self.assertEqual(self.sink.reports, [])
        self.sink.broken = None
        self.clock.advance(REPEAT_AFTER)
        self.assertEqual(len(self.sink.reports), 2)

    def test_resume(self) -> None:
        """After a restart it reports the receipts that the gateway still awaits."""
        for settings in ({}, {"expired": ("7916*",)}):
            loopback = self.make(**settings)
            awaited = [Awaited("1.1.0", message(1), 1, 0.0), Awaited("2.1.3", message(2), 1, 0.0)]
            port.resume(loopback, awaited, self.sink.answers, self.sink.reports)
            self.clock.advance(2)
            state, error = (State.EXPIRED, 6) if settings else (State.DELIVERED, 0)
            self.assertEqual(self.sink.said(), [("1.1.0", state, error), ("2.1.3", state, error)])


class StopTests(LoopbackTestCase):
    """The stop."""

    def test_waits_for_answers(self) -> None:
        """The stop waits for outstanding answers; no timer remains."""
        loopback = self.make(latency=1.0)
        self.send(loopback, message(1))
        stopping = loopback.stop()
        self.assertNoResult(stopping)
        self.clock.advance(1)
        self.successResultOf(stopping)
        self.assertEqual(self.outcomes(), [Sent])
        self.assertEqual(self.clock.calls, [])

    def test_gives_up_the_unanswered(self) -> None:
        """Parts that would never be answered are lost at once."""
        loopback = self.make(unanswered=("*",))
        self.send(loopback, message(1))
        self.successResultOf(loopback.stop())
        self.assertEqual(self.outcomes(), [Lost])
        self.assertEqual(self.clock.calls, [])

    def test_cut_short(self) -> None:
        """Cancelling the stop makes unanswered parts lost."""
        loopback = self.make(latency=1.0, rate=1.0)
        self.send(loopback, message(1))
        self.assertEqual(loopback.room(), 0)
        stopping = loopback.stop()
        stopping.cancel()
        self.successResultOf(stopping)
        self.assertEqual(self.outcomes(), [Lost])
        self.assertEqual(self.clock.calls, [])


class SettingsTests(SynchronousTestCase):
    """The section in gw.ini."""

    def test_read(self) -> None:
        """The keys are read as documented; by default no recipient has special behaviour."""
        text = "[listen api]\nprotocol = http\nendpoint = tcp:0:interface=127.0.0.1\ndialect = rostelecom\n"
        text += "[connector sim]\ntype = loopback\ndelay = 0.5\nundeliverable = 7999*, 79161234567\n"
        made: Settings = parse(text, "gw.ini", {"loopback": LoopbackSettings}, dialects())
        sim = made.connectors["sim"]
        assert isinstance(sim, LoopbackSettings)
        self.assertEqual((sim.delay, sim.latency, sim.rate), (0.5, 0.0, 1000.0))
        self.assertTrue(sim.undeliverable.matches("79991112233"))
        for name in ("expired", "rejected", "throttled", "unanswered", "early", "twice", "never"):
            self.assertFalse(getattr(LoopbackSettings(name="sim"), name))


class SimulationTests(LoopbackTestCase):
    """The simulation of subscribers."""

    def made_up(self) -> Incoming:
        """A message of a subscriber."""
        return Incoming(0, "", "", IncomingKind.MESSAGE, "", "79161234567", "79031112233", "hello", 0.0)

    def test_interface(self) -> None:
        """The connector provides ISimulator."""
        self.assertTrue(verifyObject(ISimulator, self.make()))

    def test_hands_it_on(self) -> None:
        """A simulated item is reported as if a subscriber had sent it now; the Deferred fires with the result."""
        loopback, one = self.make(), self.made_up()
        self.clock.advance(5)
        self.assertIsNone(self.successResultOf(loopback.simulate(one)))
        self.assertEqual((self.sink.came, one.connector, one.at), ([one], "sim", NOON + 5))
        self.sink.refusal = errors.Refused(errors.Refusal.NO_ROUTE)
        self.assertIs(self.successResultOf(loopback.simulate(self.made_up())), self.sink.refusal)
        self.sink.broken = StoreDown("full")
        self.failureResultOf(loopback.simulate(self.made_up()), StoreDown)

    def test_stopped(self) -> None:
        """A stopped connector simulates nothing."""
        loopback = self.make()
        loopback.stop()
        answer = self.successResultOf(loopback.simulate(self.made_up()))
        assert answer is not None
        self.assertIs(answer.refusal, errors.Refusal.UPSTREAM_DOWN)
        self.assertEqual(self.sink.came, [])

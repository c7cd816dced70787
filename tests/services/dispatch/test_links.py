from __future__ import annotations

from typing import Any

from smsgw.config import ConnectorSettings
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.model.outcome import Lost
from smsgw.services.dispatch.guard import MOST_EXCEPTIONS
from smsgw.services.dispatch.links import GRACE
from smsgw.services.dispatch.retrypolicy import MOST_ATTEMPTS
from tests.configured import configured
from tests.services.dispatch.support import DAY, NOON, DispatchTestCase, HandConnector, ids, message


class UnknownTests(DispatchTestCase):
    """What becomes of parts whose answer never came."""

    def lose(self, name: str, **settings: Any) -> HandConnector:
        """Send message 1 over a connector and lose its link."""
        sim = self.begin(HandConnector(name), **settings)
        self.accept(message(1, connector=name))
        sim.go_down()
        return sim

    def test_resend(self) -> None:
        """By default it is sent again when the link is back, and counted."""
        sim = self.lose("resend", retry_first=2.0)
        self.assertEqual((self.metrics.ambiguous["resend"], self.metrics.resends["resend"]), (1, 1))
        self.assertEqual((self.found(1).due, self.found(1).attempts), (NOON + 2, 1))
        sim.come_up()
        self.clock.advance(2)
        self.promote()
        self.assertEqual(sim.sends, [[(1, 1)], [(1, 1)]])

    def test_hold(self) -> None:
        """Held, it is not sent again: it waits until it is cancelled, or until the end of its validity."""
        sim = self.lose("hold", on_unknown="hold")
        sim.come_up()
        self.assertEqual((self.state(1), self.found(1).due), (State.QUEUED, NOON + DAY))
        self.clock.advance(DAY + 1)
        self.promote()
        self.assertEqual(self.state(1), State.EXPIRED)
        self.assertEqual(sim.sends, [[(1, 1)]])
        self.assertEqual((self.metrics.ambiguous["hold"], self.metrics.resends["hold"]), (1, 0))

    def test_fail(self) -> None:
        """Or its state is unknown, at once."""
        self.lose("fail", on_unknown="fail")
        self.assertEqual((self.state(1), self.found(1).error), (State.UNKNOWN, ErrorCode.NO_RECEIPT))
        self.assertEqual(self.outbox.reported, [(1, State.UNKNOWN)])

    def test_not_for_ever(self) -> None:
        """A message with unknown outcomes is not sent again without end: after a number of attempts it fails."""
        sim = self.begin(retry_first=0.1, retry_limit=0.1)
        self.accept(message(1))
        while sim.waiting:
            sim.answer(Lost())
            self.clock.advance(1)
            self.promote()
        self.assertEqual(len(sim.sends), MOST_ATTEMPTS)
        self.assertEqual(self.state(1), State.FAILED)
        self.assertEqual(self.outbox.reported, [(1, State.FAILED)])


class FailoverTests(DispatchTestCase):
    """Links that go, and the other connectors of the route."""

    def reroute(self, one: Message) -> str:
        """What routing does for a route of both, except for messages to numbers that end in 9."""
        if one.connector not in self.down or one.recipient.endswith("9"):
            return one.connector
        return "two" if one.connector == "one" else "one"

    def pair(self, window: int = 10, **settings: Any) -> tuple[HandConnector, HandConnector]:
        """Two connectors."""
        one, two = HandConnector("one", window), HandConnector("two", window)
        self.begin(one, two, **settings)
        return one, two

    def test_lost_goes_to_the_other(self) -> None:
        """What was under way when the link went is sent over the other connector at once."""
        one, two = self.pair()
        self.accept(*[message(id, connector="one") for id in (1, 2, 3)])
        one.go_down()
        self.assertEqual(two.sent, [(1, 1), (2, 1), (3, 1)])
        two.answer()
        self.assertEqual((self.state(1), self.found(1).connector), (State.ENROUTE, "two"))

    def test_waiting_goes_to_the_other(self) -> None:
        """So is what waits for a link that is down, except what has no other way."""
        one, two = self.pair(window=3)
        one.up = False
        self.accept(*[message(id, connector="one") for id in range(1, 31)])
        for _ in range(30):
            self.dispatch.tick()
            self.clock.advance(0)
            two.answer()
        self.assertEqual([id for id, _ in two.sent], [id for id in range(1, 31) if id % 10 != 9])
        self.assertEqual(self.waiting("one"), 3)
        one.come_up()
        self.assertEqual([id for id, _ in one.sent], [9, 19, 29])

    def test_no_more_than_a_window_in_doubt(self) -> None:
        """While messages move, no more are claimed at any time than the window of the one that they leave."""
        one, _ = self.pair(window=3)
        one.up = False
        self.accept(*[message(id, connector="one") for id in range(1, 31)])
        self.runner.by_hand = True
        self.dispatch.tick()
        self.assertEqual([len(changes.claims) for changes in self.store.commits[1:]], [3])

    def test_sets(self) -> None:
        """Routing knows which links are down, and which for longer than new messages shall wait."""
        one, _ = self.pair(refuse_after=60.0)
        one.up = False
        self.dispatch.tick()
        self.assertEqual((self.down, self.refusing), ({"one"}, set()))
        self.clock.advance(60)
        self.dispatch.tick()
        self.assertEqual((self.down, self.refusing), ({"one"}, {"one"}))
        one.come_up()
        self.assertEqual((self.down, self.refusing), (set(), set()))

    def test_grace_at_start(self) -> None:
        """A link that is not there yet at the start gets a moment before messages take another way."""
        one, two = HandConnector("one"), HandConnector("two")
        one.up = False
        self.begin(one, two)
        self.accept(message(1, connector="one"))
        self.dispatch.tick()
        self.assertEqual((self.down, two.sends), (set(), []))
        self.clock.advance(GRACE)
        self.dispatch.tick()
        self.assertEqual((self.down, two.sends), ({"one"}, [[(1, 1)]]))

    def test_claimed_but_not_sent(self) -> None:
        """What was claimed when the link went, but not sent yet, goes back to the queue and is not in doubt."""
        self.reroute = lambda one: one.connector  # type: ignore[method-assign]
        one = self.begin(HandConnector("held"))
        self.runner.by_hand = True
        self.accept(message(1, connector="held"), message(2, connector="held", parts=3))
        one.up = False
        self.runner.work()
        self.assertEqual(one.sends, [])
        self.assertFalse(self.found(1).claimed or self.found(2).claimed)
        self.assertEqual((self.found(1).attempts, self.metrics.ambiguous["held"]), (0, 0))
        one.come_up()
        self.assertEqual(one.sends, [[(1, 1), (2, 1), (2, 2), (2, 3)]])

    def test_isolation(self) -> None:
        """A connector that is down or full does not keep the others from their messages."""
        one, two = self.pair(window=2)
        one.up = False
        self.accept(*[message(id, connector="one", recipient="79990000009") for id in range(1, 11)])
        self.accept(*[message(id, connector="two") for id in range(11, 21)])
        while two.waiting:
            two.answer()
        self.assertEqual(len(two.sent), 10)


class ConfigurationTests(DispatchTestCase):
    """Dispatch goes by the configuration that it was given last."""

    def configure(self, report_timeout: float = DAY, **own: Any) -> None:
        """Give it another one."""
        section = ConnectorSettings(name="sim", window=10, **own)
        self.dispatch.apply(configured(section, report_timeout=report_timeout), {})

    def test_report_timeout(self) -> None:
        """report_timeout = bounds how long a part waits for its receipt, as configured when its outcome came."""
        sim = self.begin()
        for id, report_timeout in ((1, DAY), (2, 60.0)):
            self.configure(report_timeout)
            self.accept(message(id))
            sim.answer()
            *_, last = self.successResultOf(self.store.awaited_receipts("sim", (0, 0), 10))
            self.assertEqual((last.message.id, last.due), (id, self.now() + report_timeout))

    def test_on_unknown(self) -> None:
        """A part without an answer is dealt with as is configured when it comes back."""
        sim = self.begin(on_unknown="hold")
        self.accept(message(1), message(2))
        sim.answer(Lost("gone"), 1)
        self.configure(on_unknown="fail")
        sim.answer(Lost("gone"), 1)
        self.assertEqual((self.state(1), self.state(2)), (State.QUEUED, State.UNKNOWN))

    def test_refuse_after(self) -> None:
        """A link that is down is refused after the time that is configured now."""
        sim = self.begin()
        sim.up = False
        self.clock.advance(30)
        self.dispatch.tick()
        self.clock.advance(30)
        self.dispatch.tick()
        self.assertEqual(self.refusing, set())
        self.configure(refuse_after=20.0)
        self.dispatch.tick()
        self.assertEqual(self.refusing, {"sim"})


class FaultyConnectorTests(DispatchTestCase):
    """Connectors with faults of their own."""

    def test_poison(self) -> None:
        """A message at which the connector raises stops no others; after some tries it fails, with an event."""
        sim = self.begin(HandConnector(window=5), retry_first=1.0, retry_limit=1.0)
        sim.poison = {3}
        self.accept(*[message(id) for id in range(1, 9)])
        for _ in range(2 * MOST_EXCEPTIONS):
            sim.answer()
            self.clock.advance(1)
            self.promote()
        sim.answer()
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
        self.assertEqual(self.metrics.exceptions["sim", "send"], MOST_EXCEPTIONS)
        self.assertEqual(self.state(3), State.FAILED)
        self.assertEqual({self.state(id) for id in (1, 2, 4, 5, 6, 7, 8)}, {State.ENROUTE})
        self.assertIn((3, State.FAILED), self.outbox.reported)
        self.accept(message(9), message(10))
        self.assertEqual(sim.sends[-1], [(9, 1), (10, 1)])

    def test_poison_is_forgotten(self) -> None:
        """One that ends otherwise before that is forgotten, and offers go in batches again."""
        sim = self.begin(retry_first=1.0)
        sim.poison = {2}
        self.accept(message(1), message(2, expires=NOON + 3))
        self.clock.advance(1)
        self.promote()
        self.flushLoggedErrors(ZeroDivisionError)
        self.clock.advance(5)
        self.promote()
        self.assertEqual(self.state(2), State.EXPIRED)
        sim.answer()
        self.accept(message(3), message(4))
        self.assertEqual(sim.sends[-1], [(3, 1), (4, 1)])

    def test_raises_at_room(self) -> None:
        """A connector that cannot say its room has none, and the others go on."""
        one, two = HandConnector("one"), HandConnector("two")
        self.begin(one, two)
        self.patch(one, "room", lambda: 1 // 0)
        self.accept(message(1, connector="one"), message(2, connector="two"))
        self.assertEqual((one.sends, two.sends), ([], [[(2, 1)]]))
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))

    def test_raises_at_release(self) -> None:
        """A connector that raises in release loses nothing."""
        sim = self.begin()
        self.patch(sim, "release", lambda count: 1 // 0)
        self.accept(message(1))
        sim.answer()
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
        self.accept(message(2))
        self.assertEqual(ids(message for message in map(self.found, (1, 2)) if message.claimed), [2])

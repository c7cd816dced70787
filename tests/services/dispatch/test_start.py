from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.logger import capturedLogs, formatEvent

from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import Part
from smsgw.model.outcome import Sent
from smsgw.services.dispatch.retrypolicy import MOST_ATTEMPTS
from tests.services.dispatch.support import NOON, DispatchTestCase, HandConnector, message


class StartTests(DispatchTestCase):
    """What the last run left."""

    def killed(self, name: str, window: int = 3, **settings: Any) -> HandConnector:
        """Send messages, get the answer to the first, be killed, start again."""
        sim = self.begin(HandConnector(name, window))
        self.accept(*[message(id, connector=name) for id in range(1, 8)])
        sim.answer(Sent("A1"), count=1)
        self.crash()
        return self.begin(HandConnector(name, window), **settings)

    def test_resends(self) -> None:
        """Exactly what was claimed and not answered is sent again, first and in order, and counted; it is no more
        than a window."""
        sim = self.killed("first")
        self.assertEqual(sim.sent, [(2, 1), (3, 1), (4, 1)])
        self.assertEqual((self.metrics.ambiguous["first"], self.metrics.resends["first"]), (3, 3))
        while sim.waiting:
            sim.answer()
        self.assertEqual(sim.sent, [(id, 1) for id in range(2, 8)])
        self.assertEqual(self.found(2).attempts, 1)

    def test_doubt_is_logged(self) -> None:
        """The log says how many parts are in doubt."""
        with capturedLogs() as logged:
            self.killed("first")
        lines = [formatEvent(line) for line in logged]
        self.assertIn("3 parts may or may not have been sent when the last run ended", lines)

    def test_one_doubt_is_logged(self) -> None:
        """One part is not several."""
        with capturedLogs() as logged:
            self.killed("first", 1)
        lines = [formatEvent(line) for line in logged]
        self.assertIn("1 part may or may not have been sent when the last run ended", lines)

    def test_hold(self) -> None:
        """Under `hold` it is kept unsent; what was never claimed is sent."""
        sim = self.killed("second", on_unknown="hold")
        while sim.waiting:
            sim.answer()
        self.assertEqual(sim.sent, [(5, 1), (6, 1), (7, 1)])
        self.assertEqual((self.metrics.ambiguous["second"], self.metrics.resends["second"]), (3, 0))
        self.assertEqual([self.state(id) for id in (2, 3, 4)], [State.QUEUED] * 3)

    def test_fail(self) -> None:
        """Under `fail` it ends unknown, with an event."""
        sim = self.killed("third", on_unknown="fail")
        self.assertEqual(self.outbox.reported, [(id, State.UNKNOWN) for id in (2, 3, 4)])
        self.assertEqual(sim.sent, [(5, 1), (6, 1), (7, 1)])

    def test_crash_loop(self) -> None:
        """A message that was under way at every crash of many is not sent for ever: it fails."""
        self.begin()
        self.accept(message(1))
        starts = 0
        while self.state(1) is State.QUEUED:
            self.crash()
            sim = self.begin()
            starts += 1
            self.assertLess(starts, 100)
        self.assertEqual(starts, MOST_ATTEMPTS)
        self.assertEqual(self.state(1), State.FAILED)
        self.assertEqual(sim.sends, [])

    def test_expired_meanwhile(self) -> None:
        """What may have been sent before a long stop is not sent after its validity."""
        self.begin()
        self.accept(message(1, expires=NOON + 60))
        self.clock.advance(61)
        self.crash()
        sim = self.begin()
        self.assertEqual(sim.sends, [])
        self.assertEqual(self.state(1), State.EXPIRED)

    def test_parts(self) -> None:
        """Of a message of several parts only those without an answer are sent again."""
        sim = self.begin()
        self.accept(message(1, parts=3))
        sim.answer(Sent("A1"), count=1)
        self.crash()
        sim = self.begin()
        self.assertEqual(sim.sent, [(1, 2), (1, 3)])
        sim.answer()
        self.assertEqual(self.state(1), State.ENROUTE)

    def test_smaller_window(self) -> None:
        """If the window was made smaller meanwhile, what is in doubt goes out window by window."""
        self.begin(HandConnector(window=10))
        self.accept(*[message(id) for id in range(1, 13)])
        self.crash()
        sim = self.begin(HandConnector(window=4))
        self.accept(message(20))
        while sim.waiting:
            self.assertLessEqual(len(sim.waiting), 4)
            sim.answer()
        self.assertEqual(sim.sent, [(id, 1) for id in [*range(1, 13), 20]])

    def test_connector_gone(self) -> None:
        """If the connector is no longer configured its messages take another way."""
        self.begin(HandConnector("old"))
        self.accept(message(1, connector="old"))
        self.crash()
        self.reroute = lambda one: "new"  # type: ignore[method-assign]
        sim = self.begin(HandConnector("new"))
        self.assertEqual(sim.sends, [[(1, 1)]])
        self.assertEqual(self.metrics.resends["old"], 1)

    def test_queue_of_a_connector_gone(self) -> None:
        """What waits for a connector that is no longer configured takes another way, at its old place; what has
        none waits on."""
        self.begin(HandConnector("old", window=2), HandConnector("new"))
        self.accept(*[message(id, connector="old") for id in range(1, 6)])
        self.accept(message(6, connector="old", account="stays"))
        self.crash()
        self.reroute = lambda one: one.connector if one.account == "stays" else "new"  # type: ignore[method-assign]
        sim = self.begin(HandConnector("new", window=10))
        while sim.waiting:
            sim.answer()
        self.assertEqual(sorted(sim.sent), [(id, 1) for id in range(1, 6)])
        self.assertEqual((self.waiting("old"), self.waiting("new")), (1, 0))
        self.assertEqual(self.state(6), State.QUEUED)

    def test_scheduled_for_a_connector_gone(self) -> None:
        """A message whose time comes when its connector is gone takes another way then."""
        self.begin(HandConnector("old"), HandConnector("new"))
        self.accept(message(1, connector="old", state=State.SCHEDULED, due=NOON + 60))
        self.crash()
        self.reroute = lambda one: "new"  # type: ignore[method-assign]
        sim = self.begin(HandConnector("new"))
        self.clock.advance(61)
        self.promote()
        self.assertEqual(sim.sent, [(1, 1)])
        sim.answer(Sent("A1"))
        self.assertEqual(self.found(1).connector, "new")

    def test_owed(self) -> None:
        """The connector gets every awaited receipt before any part."""
        sim = self.begin(HandConnector(window=100))
        self.accept(*[message(id, parts=2) for id in range(1, 21)], message(99))
        sim.answer(count=40)
        self.crash()
        again = HandConnector()
        seen = []
        send = again.send

        def watched(parts: Sequence[Part]) -> None:
            seen.append(len(again.resumed))
            send(parts)

        self.patch(again, "send", watched)
        self.begin(again)
        self.assertEqual([(one.message.id, one.seq) for one in again.resumed],
                         [(id, seq) for id in range(1, 21) for seq in (1, 2)])
        self.assertEqual(seen, [40])

    def test_backlog(self) -> None:
        """What waited in the store leaves after the start, in order; new messages wait behind it."""
        sim = self.begin(HandConnector(window=1))
        self.accept(*[message(id) for id in range(1, 31)])
        self.crash()
        sim = self.begin(HandConnector(window=2))
        self.accept(message(40))
        while sim.waiting:
            sim.answer()
        self.assertEqual(sim.sent, [(id, 1) for id in [*range(1, 31), 40]])

    def test_down_at_start(self) -> None:
        """If the link is not there yet nothing stays claimed for long, and nothing is lost."""
        self.killed("late")
        self.crash()
        sim = HandConnector("late", 3)
        sim.up = False
        self.begin(sim)
        self.dispatch.tick()
        self.assertFalse(any(self.found(id).claimed for id in range(1, 8)))
        sim.come_up()
        while sim.waiting:
            sim.answer()
        self.assertEqual(sim.sent, [(id, 1) for id in range(2, 8)])

    def test_store_down(self) -> None:
        """If the store fails meanwhile the start fails."""
        self.begin(HandConnector("x"))
        self.accept(message(1, connector="x"))
        self.crash()
        self.store.trouble = StoreDown("full")
        self.assertRaises(AssertionError, self.begin, HandConnector("x"), on_unknown="fail")

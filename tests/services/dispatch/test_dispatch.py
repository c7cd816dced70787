from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, succeed
from zope.interface.verify import verifyObject

from smsgw.interfaces import IConnectorSink
from smsgw.model.changes import Cancel, Changes, PartSent
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.outcome import Busy, Rejected, Sent
from smsgw.services.dispatch.retries import FIRST_PAUSE
from tests.services.dispatch.support import DAY, NOON, DispatchTestCase, HandConnector, message


class ClaimTests(DispatchTestCase):
    """What is claimed with its acceptance, and what waits."""

    def test_interface(self) -> None:
        """Connectors find the sink they expect."""
        self.assertTrue(verifyObject(IConnectorSink, self.begin().sink))

    def test_room(self) -> None:
        """Messages that find room are claimed by the accepting commit itself and leave in one offer."""
        sim = self.begin()
        self.accept(*[message(id) for id in range(1, 6)])
        self.assertEqual(sim.sends, [[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]])
        self.assertEqual(len(self.store.commits), 1)
        self.assertTrue(self.found(3).claimed)

    def test_window(self) -> None:
        """What does not fit the window waits unclaimed in the store."""
        sim = self.begin(HandConnector(window=3))
        self.accept(*[message(id) for id in range(1, 6)])
        self.assertEqual(sim.sent, [(1, 1), (2, 1), (3, 1)])
        self.assertEqual([self.found(id).claimed for id in range(1, 6)], [True, True, True, False, False])
        self.assertEqual(self.waiting(), 2)

    def test_window_over_commits(self) -> None:
        """Room that was promised to a commit under way is not promised twice."""
        sim = self.begin(HandConnector(window=3))
        self.runner.by_hand = True
        self.accept(message(1), message(2))
        self.accept(message(3), message(4))
        self.assertEqual(sim.sent, [])
        self.runner.work()
        self.assertEqual(sim.sent, [(1, 1), (2, 1), (3, 1)])

    def test_no_overtaking(self) -> None:
        """While one message waits, none that comes later is claimed before it, not even before it is stored."""
        sim = self.begin(HandConnector(window=4))
        self.runner.by_hand = True
        self.accept(message(1), message(2, parts=4), message(3))
        self.accept(message(4))
        self.runner.work()
        self.assertEqual(sim.sent, [(1, 1)])
        self.assertEqual(self.waiting(), 3)

    def test_slot_after_commit(self) -> None:
        """A slot of the window is free when the outcome is on the disk, not before."""
        sim = self.begin(HandConnector(window=1))
        self.accept(message(1), message(2))
        self.runner.by_hand = True
        sim.answer()
        self.assertEqual((sim.taken, sim.sent), (1, [(1, 1)]))
        self.runner.work()
        self.assertEqual((sim.taken, sim.sent), (1, [(1, 1), (2, 1)]))

    def test_claims_with_outcomes(self) -> None:
        """The commit that frees slots also claims who gets them."""
        sim = self.begin(HandConnector(window=2))
        self.accept(*[message(id) for id in range(1, 6)])
        del self.store.commits[:]
        sim.answer()
        (changes,) = self.store.commits
        self.assertEqual([type(change) for change in changes.outcomes], [PartSent, PartSent])
        self.assertEqual([one.id for one in changes.claims], [3, 4])
        self.assertEqual(sim.sends, [[(1, 1), (2, 1)], [(3, 1), (4, 1)]])

    def test_all_leave(self) -> None:
        """A backlog leaves in order, each message once, whether outcomes come in the next turn or later."""
        for quick in (False, True):
            sim = self.begin(HandConnector(window=3))
            if quick:
                sim.quick = lambda part: Sent(f"{part.message.id}")
            first = 1000 * quick + 1
            self.accept(*[message(id) for id in range(first, first + 150)])
            while sim.waiting:
                sim.answer(count=2)
            self.clock.advance(0)
            self.assertEqual(sim.sent, [(id, 1) for id in range(first, first + 150)])
            self.assertEqual(self.state(first + 149), State.ENROUTE)
            self.assertEqual(sim.taken, 0)

    def test_connector_down(self) -> None:
        """Nothing is claimed for a connector that is down; it leaves when the link is there."""
        sim = self.begin()
        sim.up = False
        self.accept(message(1))
        self.assertFalse(self.found(1).claimed)
        sim.come_up()
        self.assertEqual(sim.sent, [(1, 1)])

    def test_two_connectors(self) -> None:
        """Each connector has a window of its own; one that is full does not hold up the other."""
        one = self.begin(HandConnector("one", 1), HandConnector("two", 5))
        two = self.dispatch._pumps["two"].connector
        assert isinstance(two, HandConnector)
        self.accept(*[message(id, connector="one" if id % 2 else "two") for id in range(1, 9)])
        self.assertEqual(one.sent, [(1, 1)])
        self.assertEqual(two.sent, [(2, 1), (4, 1), (6, 1), (8, 1)])

    def test_unstored(self) -> None:
        """If the accepting commit fails, the room goes back and nothing is offered."""
        sim = self.begin(HandConnector(window=2))
        self.store.trouble = StoreDown("disk full")
        self.accept(message(1), message(2), message(3))
        self.store.trouble = None
        self.accept(message(4), message(5))
        self.assertEqual(sim.sent, [(4, 1), (5, 1)])

    def test_others_left_alone(self) -> None:
        """Scheduled messages and those that are final already pass through without a trace."""
        sim = self.begin(HandConnector(window=2))
        self.accept(
            message(1, state=State.SCHEDULED, due=NOON + 60), message(2, state=State.REFUSED, connector=""), message(3)
        )
        self.assertEqual(sim.sent, [(3, 1)])
        self.accept(message(4))
        self.assertEqual(sim.sent, [(3, 1), (4, 1)])

    def test_rate(self) -> None:
        """Claims never exceed the window even where the rate holds the connector back, and all leave in the end."""
        sim = self.begin(HandConnector(window=5))
        sim.tokens = 1
        self.accept(*[message(id) for id in range(1, 31)])
        for _ in range(200):
            sim.answer()
            claimed = sum(self.found(id).claimed for id in range(1, 31))
            self.assertLessEqual(claimed, 5)
            sim.tokens = 1
            sim.ready()
        self.assertEqual(sim.sent, [(id, 1) for id in range(1, 31)])

    def test_expired_while_waiting(self) -> None:
        """A message whose validity ended while it waited is not sent: it ends expired, with an event."""
        sim = self.begin(HandConnector(window=1))
        self.accept(message(1), message(2, expires=NOON + 10), message(3))
        self.clock.advance(11)
        sim.answer()
        self.assertEqual(sim.sent, [(1, 1), (3, 1)])
        self.assertEqual(self.state(2), State.EXPIRED)
        self.assertIn((2, State.EXPIRED), self.outbox.reported)

    def test_cancelled(self) -> None:
        """A message that was cancelled while it waited is not sent, whether dispatch withdrew it or not."""
        sim = self.begin(HandConnector(window=1))
        waiting = [message(id) for id in range(1, 5)]
        self.accept(*waiting)
        for id in (2, 3):
            self.cancel(id)
        self.dispatch.withdraw([waiting[1]])
        sim.answer()
        self.assertEqual(sim.sent, [(1, 1), (4, 1)])

    def cancel(self, id: int) -> None:
        """Cancel a message in the store."""
        self.successResultOf(self.store.commit(Changes(cancels=[Cancel("demo", id)])))


class OutcomeTests(DispatchTestCase):
    """What the answers of an upstream do."""

    def test_accepted(self) -> None:
        """A part that was taken makes its message enroute, with the upstream's id and an event."""
        sim = self.begin()
        self.accept(message(1))
        sim.answer(Sent("A1"))
        self.assertEqual((self.state(1), self.found(1).remote_id), (State.ENROUTE, "A1"))
        self.assertEqual(self.outbox.reported, [(1, State.ENROUTE)])

    def test_refused(self) -> None:
        """A rejection is final, with an event that has its code."""
        sim = self.begin()
        self.accept(message(1))
        sim.answer(Rejected(255))
        self.assertEqual((self.state(1), self.found(1).error), (State.REJECTED, 255))
        self.assertEqual(self.outbox.reported, [(1, State.REJECTED)])
        self.assertEqual(sim.taken, 0)

    def test_busy(self) -> None:
        """A busy upstream gets the message again after a pause that doubles, and each attempt is counted."""
        sim = self.begin(retry_first=2.0, retry_limit=8.0)
        self.accept(message(1))
        pauses = []
        for _ in range(4):
            sim.answer(Busy())
            pauses.append(self.found(1).due - self.now())
            self.advance_to_due(1)
        self.assertEqual(pauses, [2.0, 4.0, 8.0, 8.0])
        self.assertEqual(self.found(1).attempts, 4)
        self.assertEqual(len(sim.sends), 5)

    def advance_to_due(self, id: int) -> None:
        """Go to the time of a message's next attempt and do what the sweep does."""
        self.clock.advance(max(self.found(id).due - self.now(), 0))
        self.promote()

    def test_busy_seconds(self) -> None:
        """An upstream that names the pause gets its wish."""
        sim = self.begin()
        self.accept(message(1))
        sim.answer(Busy(30.0))
        self.assertEqual(self.found(1).due, NOON + 30)

    def test_throttled(self) -> None:
        """A throttled connector is not offered the message before it is ready; nothing overtakes or is charged."""
        sim = self.begin(HandConnector(window=2))
        self.accept(*[message(id) for id in range(1, 5)])
        sim.tokens = 0
        sim.answer(Busy(0.0, charged=False))
        self.assertEqual(len(sim.sends), 1)
        self.assertEqual(self.found(1).attempts, 0)
        sim.tokens = 10
        sim.ready()
        self.assertEqual(sim.sends[1], [(1, 1), (2, 1)])

    def test_busy_without_pause(self) -> None:
        """A connector that says busy without a pause and without closing its room does not set the gateway spinning."""
        sim = self.begin()
        sim.quick = lambda part: Busy(0.0, charged=False)
        self.accept(message(1))
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertLess(len(sim.sends), 3)

    def test_busy_until_expired(self) -> None:
        """Retries end with the validity: the last comes shortly before, then the message ends expired."""
        sim = self.begin(retry_first=5.0, retry_limit=600.0)
        self.accept(message(1, expires=NOON + 100))
        times = []
        while sim.waiting:
            times.append(self.clock.seconds())
            sim.answer(Busy())
            if self.state(1) is not State.EXPIRED:
                self.advance_to_due(1)
        self.assertEqual(times, [0.0, 5.0, 15.0, 35.0, 75.0, 95.0])
        self.assertEqual(self.outbox.reported, [(1, State.EXPIRED)])

    def test_stray(self) -> None:
        """Outcomes for parts a connector does not have are counted and change nothing."""
        sim = self.begin(HandConnector("stray"))
        self.accept(message(1, connector="stray"))
        part = sim.waiting[0]
        sim.answer()
        sim.sink.outcomes("stray", [(part, Rejected(1))])
        self.assertEqual(self.state(1), State.ENROUTE)
        self.assertEqual(self.metrics.stray_outcomes["stray"], 1)
        self.assertEqual(sim.taken, 0)


class DrainTests(DispatchTestCase):
    """How dispatch ends."""

    def test_drain(self) -> None:
        """Draining waits for the outcomes under way and their commit, offers nothing more, and stops the links."""
        sim = self.begin(HandConnector(window=2))
        self.accept(*[message(id) for id in range(1, 6)])
        draining: Deferred[None] = self.dispatch.drain()
        self.assertNoResult(draining)
        self.runner.by_hand = True
        sim.answer()
        self.assertNoResult(draining)
        self.runner.work()
        self.successResultOf(draining)
        self.assertEqual(sim.sent, [(1, 1), (2, 1)])
        self.assertEqual([self.state(id) for id in (2, 3)], [State.ENROUTE, State.QUEUED])

    def test_drain_cut_short(self) -> None:
        """Draining can be cancelled: the connectors stop at once, and unanswered parts stay in doubt."""
        sim = self.begin()
        self.accept(message(1))
        draining = self.dispatch.drain()
        draining.cancel()
        self.successResultOf(draining)
        assert sim.stopping is not None
        self.assertTrue(sim.stopping.called)
        self.assertTrue(self.found(1).claimed)

    def test_drain_cut_short_at_the_store(self) -> None:
        """Patience also ends while only the store is waited for: it cannot write, so nothing will ever be quiet."""
        sim = self.begin()
        self.accept(message(1))
        draining = self.dispatch.drain()
        self.runner.by_hand = True
        sim.answer()
        assert sim.stopping is not None
        self.assertTrue(sim.stopping.called)
        self.assertNoResult(draining)
        draining.cancel()
        self.failureResultOf(draining, CancelledError)

    def test_drain_with_a_fault(self) -> None:
        """A connector that fails to stop is logged; the others are waited for."""
        one, two = HandConnector("one"), HandConnector("two")
        self.begin(one, two)
        self.accept(message(1, connector="two"))
        self.patch(one, "stop", lambda: 1 // 0)
        draining = self.dispatch.drain()
        self.assertNoResult(draining)
        two.answer()
        self.successResultOf(draining)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_drain_idle(self) -> None:
        """Where nothing is under way draining is done at once."""
        self.begin()
        self.successResultOf(self.dispatch.drain())

    def test_nothing_in_doubt(self) -> None:
        """After a drain nothing is claimed: the next start sends nothing twice."""
        sim = self.begin(HandConnector(window=4))
        sim.tokens = 2
        self.accept(*[message(id, parts=2) for id in (1, 2, 3)])
        draining = self.dispatch.drain()
        sim.answer()
        self.successResultOf(draining)
        self.assertEqual(self.successResultOf(self.store.recover_claims(0, 100)), [])
        self.assertFalse(any(self.found(id).claimed for id in (1, 2, 3)))

    def test_claim_under_way(self) -> None:
        """Messages whose claim was under way when draining began go back to the queue, even if the link has room."""
        for up in (False, True):
            base = 10 * up
            sim = self.begin(HandConnector(window=1))
            self.accept(message(base + 1), message(base + 2))
            self.runner.by_hand = True
            sim.answer()

            def stop(sim: HandConnector = sim, up: bool = up) -> Deferred[None]:
                sim.up, sim.window = up, 0
                return succeed(None)

            self.patch(sim, "stop", stop)
            draining = self.dispatch.drain()
            self.runner.work()
            self.successResultOf(draining)
            self.assertEqual(sim.sent, [(base + 1, 1)])
            self.assertFalse(self.found(base + 2).claimed)
            self.successResultOf(self.store.commit(Changes(cancels=[Cancel(None, base + 2)])))

    def test_store_down(self) -> None:
        """Draining waits for a store that is down for a moment."""
        sim = self.begin(HandConnector(window=3))
        sim.tokens = 2
        self.accept(message(1, parts=3))
        self.store.trouble = StoreDown("full")
        draining = self.dispatch.drain()
        sim.answer()
        self.assertNoResult(draining)
        self.store.trouble = None
        self.clock.advance(FIRST_PAUSE)
        self.successResultOf(draining)
        self.assertFalse(self.found(1).claimed)
        self.assertEqual(self.found(1).unsent, (3,))

    def test_link_not_news(self) -> None:
        """That links go because they are stopped sends nothing to other connectors."""
        self.reroute = lambda one: "two"  # type: ignore[method-assign]
        one = self.begin(HandConnector("one", 5), HandConnector("two", 5))
        self.accept(message(1, connector="one"))
        draining = self.dispatch.drain()
        one.answer(Busy())
        self.successResultOf(draining)
        self.assertEqual(self.down, set())

    def test_expiry_of_validity_without_end(self) -> None:
        """A message without an end of validity is tried again for as long as it takes."""
        sim = self.begin(retry_first=1.0, retry_limit=DAY)
        self.accept(message(1, expires=0.0))
        for _ in range(40):
            sim.answer(Busy())
            self.clock.advance(2 * DAY)
            self.promote()
        self.assertEqual(len(sim.sends), 41)

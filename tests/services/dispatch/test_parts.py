from __future__ import annotations

from smsgw.model.changes import PartEnded, PartSent, Requeued
from smsgw.model.lifecycle import State
from smsgw.model.outcome import Busy, Lost, Rejected, Sent
from tests.services.dispatch.support import NOON, DispatchTestCase, HandConnector, message


class PartsTests(DispatchTestCase):
    """Messages of several parts."""

    def test_in_order(self) -> None:
        """Parts are sent in order, and one outcome for each makes the message enroute."""
        sim = self.begin()
        self.accept(message(1, parts=3), message(2))
        self.assertEqual(sim.sends, [[(1, 1), (1, 2), (1, 3), (2, 1)]])
        sim.answer(count=2)
        self.assertTrue(self.found(1).claimed)
        sim.answer()
        self.assertFalse(self.found(1).claimed)
        self.assertEqual(self.state(1), State.ENROUTE)

    def test_all_or_none(self) -> None:
        """A message is claimed when there is room for all of it."""
        sim = self.begin(HandConnector(window=4))
        self.accept(message(1, parts=2), message(2, parts=3), message(3))
        self.assertEqual(sim.sent, [(1, 1), (1, 2)])
        sim.answer()
        self.assertEqual(sim.sent[2:], [(2, 1), (2, 2), (2, 3), (3, 1)])

    def test_longer_than_the_window(self) -> None:
        """A message longer than the window goes out as soon as the connector is idle, a window at a time."""
        sim = self.begin(HandConnector(window=2))
        self.accept(message(1), message(2, parts=5), message(3))
        self.assertEqual(sim.sent, [(1, 1)])
        while sim.waiting:
            self.assertLessEqual(len(sim.waiting), 2)
            sim.answer(count=1)
        self.assertEqual(sim.sent, [(1, 1), *[(2, seq) for seq in range(1, 6)], (3, 1)])
        self.assertEqual([self.state(id) for id in (1, 2, 3)], [State.ENROUTE] * 3)
        self.assertEqual(sim.taken, 0)

    def test_longer_than_the_window_at_once(self) -> None:
        """It is claimed with its acceptance where the connector is idle already."""
        sim = self.begin(HandConnector(window=2))
        self.accept(message(1, parts=3))
        self.assertEqual(sim.sends, [[(1, 1), (1, 2)]])
        self.assertTrue(self.found(1).claimed)

    def test_rest_is_requeued(self) -> None:
        """Where some parts were taken only the others are sent again, from memory and from the store."""
        for restart in (False, True):
            sim = self.begin(retry_first=1.0)
            id = 2 if restart else 1
            self.accept(message(id, parts=4))
            sim.answer(Sent("a"), count=1)
            sim.answer(Busy(), count=1)
            sim.answer(Sent("c"), count=1)
            self.assertTrue(self.found(id).claimed)
            sim.answer(Lost())
            self.assertFalse(self.found(id).claimed)
            self.assertEqual(sim.taken, 0)
            if restart:
                self.crash()
                sim = self.begin()
            self.clock.advance(5)
            self.promote()
            self.assertEqual(sim.sends[-1], [(id, 2), (id, 4)])
            sim.answer()
            self.assertEqual(self.state(id), State.ENROUTE)

    def test_slots_of_a_message_that_comes_back(self) -> None:
        """The slots of parts that came back are free when the whole message is back in the queue, in one commit."""
        sim = self.begin(HandConnector(window=3))
        self.accept(message(1, parts=3))
        sim.answer(Sent("a"), count=1)
        self.assertEqual(sim.taken, 2)
        sim.answer(Busy(), count=1)
        self.assertEqual(sim.taken, 2)
        sim.answer(Sent("c"))
        self.assertEqual(sim.taken, 0)
        last = self.store.commits[-1]
        self.assertEqual([type(change) for change in last.outcomes], [PartSent, Requeued])

    def test_busy_holds_back_the_rest(self) -> None:
        """When one part finds the upstream busy, parts that were not sent yet are not sent now."""
        sim = self.begin(HandConnector(window=2))
        self.accept(message(1, parts=5))
        sim.answer(Sent("a"), count=1)
        self.assertEqual(sim.sent, [(1, 1), (1, 2), (1, 3)])
        sim.answer(Busy(30.0), count=1)
        sim.answer(Sent("c"))
        self.assertEqual(sim.sent, [(1, 1), (1, 2), (1, 3)])
        self.assertEqual((self.found(1).due, self.found(1).unsent), (NOON + 30, (2, 4, 5)))
        self.assertEqual(sim.taken, 0)
        self.assertTrue(self.dispatch._pumps["sim"].quiet)

    def test_one_part_refused(self) -> None:
        """A part that is refused is final at once; the message is when the others are."""
        sim = self.begin()
        self.accept(message(1, parts=2))
        sim.answer(Rejected(17), count=1)
        self.assertEqual([type(change) for change in self.store.commits[-1].outcomes], [PartEnded])
        sim.answer(Rejected(18))
        self.assertEqual((self.state(1), self.found(1).error), (State.REJECTED, 17))
        self.assertEqual(self.outbox.reported, [(1, State.REJECTED)])

    def test_expiry_spares_what_was_sent(self) -> None:
        """When the validity ends, parts that were taken still wait for their receipts."""
        sim = self.begin(retry_first=5.0)
        self.accept(message(1, parts=2, expires=NOON + 8))
        sim.answer(Sent("a"), count=1)
        sim.answer(Busy())
        self.clock.advance(9)
        self.promote()
        traced = self.successResultOf(self.store.details(1))
        assert traced is not None
        self.assertEqual([state for _, state, _, _ in traced.parts], [State.ENROUTE, State.EXPIRED])
        self.assertEqual(self.state(1), State.ENROUTE)

from __future__ import annotations

from smsgw.model.changes import Changes
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport
from smsgw.model.outcome import Busy, Sent
from smsgw.services.dispatch.retries import FIRST_PAUSE
from tests.services.dispatch.support import NOON, DispatchTestCase, HandConnector, message


def receipt(id: str) -> DeliveryReport:
    """The upstream says that this part was delivered."""
    return DeliveryReport(id, State.DELIVERED, 0, NOON)


class OrderTests(DispatchTestCase):
    """What a connector gives is stored in the order in which it gave it."""

    def test_outcomes_first(self) -> None:
        """Outcomes are committed before receipts that come in the same turn: no receipt is parked for them."""
        sim = self.begin()
        self.accept(message(1), message(2))
        self.runner.by_hand = True
        sim.answer(Sent("A1"), count=1)
        stored = self.links["sim"].sink.receipts("sim", [receipt("A1"), receipt("A2")])
        sim.answer(Sent("A2"))
        commits = self.store.commits[1:]
        self.assertEqual([(len(one.outcomes), len(one.receipts)) for one in commits], [(1, 0), (0, 2), (1, 0)])
        self.runner.work()
        self.successResultOf(stored)
        self.assertEqual([self.state(id) for id in (1, 2)], [State.DELIVERED, State.DELIVERED])

    def test_receipts_do_not_overtake(self) -> None:
        """While outcomes wait for the store the receipts of that connector are not taken; those of others are."""
        one, two = HandConnector("one"), HandConnector("two")
        self.begin(one, two)
        self.accept(message(1, connector="one"), message(2, connector="two"))
        two.answer(Sent("B2"))
        self.store.trouble = StoreDown("full")
        one.answer(Sent("A1"))
        self.store.trouble = None
        self.failureResultOf(self.links["one"].sink.receipts("one", [receipt("A1")]), StoreDown)
        self.successResultOf(self.links["two"].sink.receipts("two", [receipt("B2")]))
        self.clock.advance(FIRST_PAUSE)
        self.successResultOf(self.links["one"].sink.receipts("one", [receipt("A1")]))
        self.assertEqual([self.state(id) for id in (1, 2)], [State.DELIVERED, State.DELIVERED])

    def test_outcomes_in_order(self) -> None:
        """Outcomes that come while others wait for the store are committed behind those."""
        sim = self.begin(HandConnector(window=5), retry_first=1.0)
        self.accept(message(1, parts=3))
        self.store.trouble = StoreDown("full")
        sim.answer(Sent("A1"), count=1)
        self.store.trouble = None
        sim.answer(Busy(), count=1)
        sim.answer(Sent("A3"))
        self.assertEqual(len(self.store.commits), 1)
        self.clock.advance(FIRST_PAUSE)
        kinds = [[type(change).__name__ for change in one.outcomes] for one in self.store.commits[1:]]
        self.assertEqual([len(one) for one in kinds], [1, 2])
        self.assertEqual((self.found(1).unsent, sim.taken), ((2,), 0))

    def test_requeued_behind_outcomes(self) -> None:
        """So is what goes back to the queue: a message is not queued again before what was sent of it is stored."""
        sim = self.begin(HandConnector(window=5))
        sim.tokens = 2
        self.accept(message(1, parts=4))
        self.assertEqual(sim.sent, [(1, 1), (1, 2)])
        self.store.trouble = StoreDown("full")
        sim.answer()
        self.store.trouble = None
        sim.up = False
        self.dispatch.tick()
        self.assertEqual(len(self.store.commits), 1)
        self.clock.advance(FIRST_PAUSE)
        self.assertFalse(self.found(1).claimed)
        self.assertEqual(self.found(1).unsent, (3, 4))
        sim.tokens = None
        sim.come_up()
        self.assertEqual(sim.sent, [(1, seq) for seq in range(1, 5)])

    def test_an_outcome_that_cannot_be_stored(self) -> None:
        """It keeps the receipts of its connector back only until it is given up."""
        sim = self.begin()
        self.accept(message(1), message(2))

        def unstorable(changes: Changes) -> Exception | None:
            return ValueError("no") if any(getattr(one, "remote_id", "") == "bad" for one in changes.outcomes) else None

        self.store.trouble = unstorable
        sim.answer(Sent("bad"), count=1)
        sim.answer(Sent("A2"))
        taken: list[bool] = []
        for id in range(100, 200):
            self.clock.advance(0.1)
            self.accept(message(id))
            sim.answer()
            stored = self.links["sim"].sink.receipts("sim", [receipt("A2")])
            stored.addCallbacks(lambda _: taken.append(True), lambda failure: failure.trap(StoreDown) and None)
            if taken:
                break
        self.assertLess(id, 110)
        self.assertTrue(self.flushLoggedErrors(ValueError))
        self.assertEqual([self.state(id) for id in (1, 2)], [State.UNKNOWN, State.DELIVERED])

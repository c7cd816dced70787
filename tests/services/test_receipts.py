from __future__ import annotations

from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport
from smsgw.model.outcome import Sent
from tests.services.dispatch.support import NOON, DispatchTestCase, HandConnector, message


class ReceiptTests(DispatchTestCase):
    """What upstreams state about parts."""

    def report(self, id: str, state: State | None = State.DELIVERED) -> DeliveryReport:
        """A receipt."""
        return DeliveryReport(id, state, 0, NOON)

    def test_matched(self) -> None:
        """A batch of receipts is one commit: new states, and events to the senders after it."""
        sim = self.begin(HandConnector("r1"))
        self.accept(message(1, connector="r1"), message(2, connector="r1"))
        sim.answer(Sent("A1"), count=1)
        sim.answer(Sent("A2"))
        before = len(self.store.commits)
        del self.outbox.events[:]
        self.runner.by_hand = True
        stored = self.links["r1"].sink.receipts("r1", [self.report("A2"), self.report("A1", State.UNDELIVERABLE)])
        self.assertNoResult(stored)
        self.assertEqual(self.outbox.reported, [])
        self.runner.work()
        self.successResultOf(stored)
        self.assertEqual(len(self.store.commits), before + 1)
        self.assertEqual(self.outbox.reported, [(2, State.DELIVERED), (1, State.UNDELIVERABLE)])
        self.assertEqual(self.metrics.receipts["r1", "matched"], 2)

    def test_early(self) -> None:
        """A receipt before the answer is parked, and matched when the answer is committed."""
        sim = self.begin(HandConnector("r2"))
        self.accept(message(1, connector="r2"))
        self.successResultOf(self.links["r2"].sink.receipts("r2", [self.report("A1")]))
        self.assertEqual(self.outbox.reported, [])
        sim.answer(Sent("A1"))
        self.assertEqual(self.outbox.reported, [(1, State.ENROUTE), (1, State.DELIVERED)])
        self.assertEqual(self.metrics.receipts["r2", "parked"], 1)

    def test_repeated_and_ignored(self) -> None:
        """A repetition and an intermediate state change nothing and are counted as what they are."""
        sim = self.begin(HandConnector("r3"))
        self.accept(message(1, connector="r3"))
        sim.answer(Sent("A1"))
        for state in (None, State.DELIVERED, State.EXPIRED):
            self.successResultOf(self.links["r3"].sink.receipts("r3", [self.report("A1", state)]))
        self.assertEqual(self.state(1), State.DELIVERED)
        counts = {result: count for (_, result), count in self.metrics.receipts.items()}
        self.assertEqual(counts, {"ignored": 1, "matched": 1, "repeated": 1})

    def test_store_down(self) -> None:
        """If receipts cannot be stored the connector gets the failure, and no event is announced."""
        sim = self.begin(HandConnector("r4"))
        self.accept(message(1, connector="r4"))
        sim.answer(Sent("A1"))
        self.store.trouble = StoreDown("full")
        self.failureResultOf(self.links["r4"].sink.receipts("r4", [self.report("A1")]), StoreDown)
        self.assertEqual(self.outbox.reported, [(1, State.ENROUTE)])
        self.assertEqual(self.metrics.receipts["r4", "matched"], 0)

"""Dispatch while the store or the outbox fails."""

from __future__ import annotations

from smsgw.model.changes import Changes, PartSent
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from smsgw.model.outcome import Sent
from smsgw.services.dispatch.retries import FIRST_PAUSE, LONGEST_PAUSE
from tests.services.dispatch.support import DispatchTestCase, HandConnector, message


class OutboxTroubleTests(DispatchTestCase):
    """What a fault of the outbox does."""

    def test_goes_on(self) -> None:
        """Messages are sent all the same."""
        sim = self.begin(HandConnector(window=1))
        self.patch(self.outbox, "events", None)
        self.accept(message(1), message(2))
        sim.answer()
        self.assertEqual(sim.sent, [(1, 1), (2, 1)])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class StoreTroubleTests(DispatchTestCase):
    """What happens to outcomes while the store is down."""

    def test_kept(self) -> None:
        """Outcomes that the store does not take are kept and offered to it again; their slots stay taken."""
        for trouble in (StoreDown("full"), UnknownOutcome("I/O error")):
            sim = self.begin(HandConnector(window=2))
            first = 10 if isinstance(trouble, StoreDown) else 20
            self.accept(*[message(first + n) for n in range(4)])
            self.store.trouble = trouble
            sim.answer()
            self.assertEqual((sim.taken, len(sim.sends)), (2, 1))
            self.store.trouble = None
            self.clock.advance(FIRST_PAUSE)
            self.assertEqual(self.state(first), State.ENROUTE)
            self.assertEqual(sim.sends[1:], [[(first + 2, 1), (first + 3, 1)]])
            sim.answer()

    def test_backs_off(self) -> None:
        """The pause doubles up to a limit, and starts anew after a success."""
        sim = self.begin(HandConnector(window=2))
        self.accept(message(1))
        self.store.trouble = StoreDown("full")
        sim.answer()
        pauses = []
        for _ in range(9):
            pauses.append(self.clock.calls[0].getTime() - self.clock.seconds())
            self.clock.advance(pauses[-1])
        self.assertAlmostEqual(pauses[0], FIRST_PAUSE)
        self.assertAlmostEqual(pauses[1], 2 * FIRST_PAUSE)
        self.assertAlmostEqual(pauses[-1], LONGEST_PAUSE)
        self.store.trouble = None
        self.clock.advance(LONGEST_PAUSE)
        self.assertEqual(self.state(1), State.ENROUTE)
        self.assertEqual(self.clock.calls, [])

    def test_one_that_cannot_be_stored(self) -> None:
        """An outcome that cannot be written down stops no others: its message ends unknown, its slot is freed."""
        sim = self.begin(HandConnector(window=3))
        self.accept(*[message(id) for id in range(1, 10)])

        def unstorable(changes: Changes) -> Exception | None:
            bad = [one for one in changes.outcomes if isinstance(one, PartSent) and one.remote_id == "bad"]
            return StoreDown("these changes cannot be stored") if bad else None

        self.store.trouble = unstorable
        part = sim.waiting[1]
        sim.sink.outcomes("sim", [(each, Sent("bad" if each is part else f"{each.message.id}"))
                                  for each in sim.waiting])
        sim.waiting.clear()
        for _ in range(200):
            sim.answer()
            self.clock.advance(0.1)
        self.assertEqual([self.state(id) for id in (1, 2, 3)], [State.ENROUTE, State.UNKNOWN, State.ENROUTE])
        self.assertEqual(self.state(9), State.ENROUTE)
        self.assertEqual(sim.taken, 0)

    def test_claims_fail(self) -> None:
        """Messages whose claim was not committed wait on, in their old order, and leave when the store is back."""
        sim = self.begin(HandConnector(window=2))
        sim.tokens = 0
        self.accept(*[message(id) for id in range(1, 6)])
        self.store.trouble = StoreDown("full")
        sim.tokens = 100
        sim.ready()
        self.assertEqual(sim.sends, [])
        self.store.trouble = None
        self.clock.advance(FIRST_PAUSE)
        while sim.waiting:
            sim.answer()
        self.assertEqual(sim.sent, [(id, 1) for id in range(1, 6)])

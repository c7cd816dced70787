"""Connectors that are added, replaced and removed while the gateway runs."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from smsgw.config import ConnectorSettings
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.model.outcome import Busy, Lost, Sent
from smsgw.services.dispatch.stranded import RECOUNT
from tests.configured import configured
from tests.metrics import value
from tests.services.dispatch.support import DAY, DispatchTestCase, HandConnector, message

DRAIN = 15.0


class RosterTestCase(DispatchTestCase):
    """A dispatch whose connectors change."""

    def setUp(self) -> None:
        """No message has another connector, unless a test says which."""
        super().setUp()
        self.elsewhere = ""

    def reroute(self, one: Message) -> str:
        """The message's own connector while there is one, else the one that the test has chosen."""
        own = one.connector in self.configured_names
        return one.connector if own or not self.elsewhere else self.elsewhere

    def begin(self, *connectors: HandConnector, **settings: Any) -> HandConnector:
        """Start dispatch over connectors."""
        self.configured_names = {one.name for one in connectors or (HandConnector(),)}
        return super().begin(*connectors, **settings)

    def change(self, *names: str, made: tuple[HandConnector, ...] = (), **settings: Any) -> None:
        """Apply a configuration with connectors of these names, some of them made anew."""
        self.configured_names = {*names}
        for one in made:
            one.clock = self.clock
        sections = [ConnectorSettings(name=name, window=10, **settings) for name in names]
        self.dispatch.apply(configured(*sections, report_timeout=DAY, drain=DRAIN), {one.name: one for one in made})

    @property
    def known(self) -> dict[str, Any]:
        """The connectors that dispatch shows to the other parts."""
        shown: dict[str, Any] = self.dispatch._roster._connectors
        return shown


class AddedTests(RosterTestCase):
    def test_new(self) -> None:
        """A new connector is started and gets messages at once; the others go on with what they have."""
        sim = self.begin()
        self.accept(message(1))
        new = HandConnector("new")
        self.change("sim", "new", made=(new,))
        self.accept(message(2, connector="new"), message(3))
        self.assertEqual((new.sent, sim.sent), ([(2, 1)], [(1, 1), (3, 1)]))
        self.assertEqual(self.known, {"sim": sim, "new": new})
        new.answer()
        sim.answer()
        self.assertEqual([self.state(id) for id in (1, 2, 3)], [State.ENROUTE] * 3)

    def test_came_back(self) -> None:
        """Messages that waited for a connector without a section are sent when it has one again, and the receipts that
        it still owes are resumed."""
        self.begin(HandConnector("old", 1), HandConnector("sim"))
        old = self.links["old"]
        self.accept(*[message(id, connector="old") for id in (1, 2, 3)])
        old.answer(count=1)
        self.assertEqual(old.sent, [(1, 1), (2, 1)])
        self.change("sim")
        old.answer()
        self.assertEqual(self.dispatch.without_connector, {"old": 1})
        again = HandConnector("old")
        self.change("sim", "old", made=(again,))
        self.assertEqual([one.remote_id for one in again.resumed], ["old-1", "old-2"])
        self.assertEqual(again.sent, [(3, 1)])
        self.assertEqual(self.dispatch.without_connector, {})
        self.assertNotIn("old", self.metrics.without_connector)

    def test_store_in_trouble(self) -> None:
        """A store that fails while a new connector is prepared delays it."""
        self.begin()
        self.accept(message(1, connector="sim"))
        new = HandConnector("new")
        asked = self.store.awaited_receipts

        def down(*_: Any) -> Deferred[Any]:
            failed: Deferred[Any] = Deferred()
            failed.errback(StoreDown("no"))
            return failed

        self.patch(self.store, "awaited_receipts", down)
        self.change("sim", "new", made=(new,))
        self.accept(message(2, connector="new"))
        self.assertEqual(new.sent, [])
        self.store.awaited_receipts = asked  # type: ignore[method-assign]
        self.clock.advance(1)
        self.assertEqual(new.sent, [(2, 1)])

    def test_connector_that_cannot_start(self) -> None:
        """An exception at the start of a connector is logged; its messages wait."""
        self.begin()
        new = HandConnector("new")
        self.patch(new, "start", lambda sink: 1 / 0)
        self.change("sim", "new", made=(new,))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.accept(message(1, connector="new"))
        self.assertEqual((new.sent, self.waiting("new")), ([], 1))


class RemovedTests(RosterTestCase):
    def setUp(self) -> None:
        """Two connectors; the window of the first is full and two messages wait for it."""
        super().setUp()
        self.old = self.begin(HandConnector("old", 2), HandConnector("sim"))
        self.sim = self.links["sim"]
        self.accept(*[message(id, connector="old") for id in (1, 2, 3, 4)], message(5))

    def test_other_route(self) -> None:
        """Outcomes under way are awaited, waiting messages take their other route; the connector is forgotten then."""
        self.elsewhere = "sim"
        self.down.add("old")
        self.change("sim")
        self.assertEqual(self.old.sent, [(1, 1), (2, 1)])
        self.assertIn("old", self.known)
        self.assertEqual(self.down, set())
        self.old.answer(Sent("A1"), count=1)
        self.old.answer(Busy())
        self.assertNotIn("old", self.known)
        self.assertCountEqual(self.sim.sent, [(5, 1), (2, 1), (3, 1), (4, 1)])
        self.assertEqual(self.state(1), State.ENROUTE)
        for gauge in (self.metrics.up, self.metrics.room, self.metrics.waiting, self.metrics.outstanding):
            self.assertEqual(set(gauge), {"sim"})
        self.assertEqual(self.dispatch.without_connector, {})

    def test_no_route(self) -> None:
        """Messages without another route stay in the store, and are counted until they are cancelled or expire."""
        self.change("sim")
        self.old.answer()
        self.assertEqual(self.dispatch.without_connector, {"old": 2})
        self.assertEqual(value(self.metrics.without_connector["old"]), 2)
        self.assertEqual((self.waiting("old"), self.sim.sent), (2, [(5, 1)]))
        self.elsewhere = "sim"
        self.change("sim")
        self.assertEqual(self.sim.sent, [(5, 1), (3, 1), (4, 1)])
        self.assertEqual(self.dispatch.without_connector, {})

    def test_counted_again(self) -> None:
        """The count follows the store."""
        self.change("sim")
        self.old.answer()
        self.elsewhere = "sim"
        moved = self.successResultOf(Deferred.fromCoroutine(self.dispatch._stranded.move([self.found(3)])))
        self.assertEqual([one.id for one in moved], [3])
        self.dispatch.tick()
        self.assertEqual(self.dispatch.without_connector, {"old": 2})
        self.clock.advance(RECOUNT)
        self.dispatch.tick()
        self.assertEqual(self.dispatch.without_connector, {"old": 1})

    def test_no_answer(self) -> None:
        """An upstream that does not answer is waited for as long as for a stop; then its parts are lost, take another
        route, and a later answer changes nothing."""
        self.elsewhere = "sim"
        self.change("sim", retry_first=5.0)
        self.clock.advance(DRAIN - 0.1)
        self.assertCountEqual(self.sim.sent, [(5, 1)])
        self.clock.advance(0.2)
        self.assertNotIn("old", self.known)
        self.assertCountEqual(self.sim.sent, [(5, 1), (1, 1), (2, 1), (3, 1), (4, 1)])
        self.assertEqual(self.metrics.ambiguous["old"], 2)
        self.old.stopping = None
        self.old.answer(Lost("late"))
        self.sim.answer()
        self.assertEqual([self.found(id).attempts for id in (1, 2, 3)], [1, 1, 0])
        self.assertEqual([self.state(id) for id in range(1, 6)], [State.ENROUTE] * 5)

    def test_acceptance_under_way(self) -> None:
        """Messages whose acceptance is not committed yet at the removal take the other route too."""
        self.old.answer()
        self.old.answer()
        self.elsewhere = "sim"
        self.runner.by_hand = True
        self.accept(*[message(id, connector="old") for id in (6, 7, 8)])
        self.change("sim")
        self.runner.by_hand = False
        self.runner.work()
        self.assertEqual(self.old.sent, [(id, 1) for id in (1, 2, 3, 4)])
        self.assertCountEqual(self.sim.sent, [(id, 1) for id in (5, 6, 7, 8)])
        self.assertNotIn("old", self.known)

    def test_due_later(self) -> None:
        """A message that comes due when its connector is gone takes the other route, or waits and is counted."""
        self.accept(message(6, connector="old", due=self.now() + 60), message(7, connector="old", due=self.now() + 90))
        self.elsewhere = "sim"
        self.change("sim")
        self.old.answer()
        self.clock.advance(60)
        self.promote()
        self.assertIn((6, 1), self.sim.sent)
        self.elsewhere = ""
        self.clock.advance(30)
        self.promote()
        self.assertEqual(self.dispatch.without_connector, {"old": 1})

    def test_stop(self) -> None:
        """A stop of the gateway waits for a connector that is just being removed."""
        self.change("sim")
        self.sim.answer()
        stopping = self.dispatch.drain()
        self.assertNoResult(stopping)
        self.old.answer()
        self.successResultOf(stopping)
        self.assertEqual([self.state(id) for id in (1, 2, 5)], [State.ENROUTE] * 3)

    def test_store_down(self) -> None:
        """A store that fails when the messages are to be moved is asked again."""
        self.elsewhere = "sim"
        self.change("sim")
        self.store.trouble = lambda changes: StoreDown("no") if changes.claims else None
        self.old.answer()
        self.assertEqual(self.sim.sent, [(5, 1)])
        self.store.trouble = None
        self.dispatch.tick()
        self.assertEqual(self.sim.sent, [(5, 1), (3, 1), (4, 1)])


class ReplacedTests(RosterTestCase):
    def setUp(self) -> None:
        """A connector with a full window, for which two messages wait."""
        super().setUp()
        self.old = self.begin(HandConnector("sim", 2), HandConnector("other"))
        self.accept(*[message(id) for id in (1, 2, 3, 4)])
        self.new = HandConnector("sim")

    def test_in_order(self) -> None:
        """The new connector starts when the old one has its outcomes, and sends what waited, first what came first."""
        self.change("sim", "other", made=(self.new,))
        self.accept(message(5))
        self.assertFalse(hasattr(self.new, "sink"))
        self.assertIs(self.known["sim"], self.old)
        self.old.answer()
        self.assertIs(self.known["sim"], self.new)
        self.assertEqual(self.new.sent, [(3, 1), (4, 1), (5, 1)])
        self.assertEqual(value(self.metrics.outstanding["sim"]), 3)
        self.new.answer()
        self.assertEqual([self.state(id) for id in range(1, 6)], [State.ENROUTE] * 5)
        self.assertEqual(self.metrics.ambiguous["sim"], 0)

    def test_no_answer(self) -> None:
        """Parts that the old connector never answers are lost after the time of a stop, and sent again by the new one
        after a pause; what the old one says then changes nothing."""
        self.change("sim", "other", made=(self.new,), retry_first=5.0)
        self.clock.advance(DRAIN)
        self.assertEqual(self.new.sent, [(3, 1), (4, 1)])
        self.old.stopping = None
        self.old.answer()
        self.assertEqual([self.state(id) for id in (1, 2)], [State.QUEUED] * 2)
        self.clock.advance(5)
        self.promote()
        self.assertEqual(self.new.sent, [(3, 1), (4, 1), (1, 1), (2, 1)])

    def test_replaced_again(self) -> None:
        """Of several changes while the old one stops only the last connector is started."""
        last = HandConnector("sim")
        self.change("sim", "other", made=(self.new,))
        self.change("sim", "other", made=(last,))
        self.accept(message(5))
        self.old.answer()
        self.assertFalse(hasattr(self.new, "sink"))
        self.assertEqual(last.sent, [(3, 1), (4, 1), (5, 1)])

    def test_removed_before_it_started(self) -> None:
        """A connector that is removed before it was started is never started."""
        self.change("sim", "other", made=(self.new,))
        self.elsewhere = "other"
        self.change("other")
        self.old.answer()
        self.assertFalse(hasattr(self.new, "sink"))
        self.assertEqual(self.links["other"].sent, [(3, 1), (4, 1)])
        self.assertEqual(set(self.known), {"other"})

    def test_others_untouched(self) -> None:
        """Another connector sends on meanwhile."""
        self.change("sim", "other", made=(self.new,))
        self.accept(message(5, connector="other"))
        other = self.links["other"]
        self.assertEqual(other.sent, [(5, 1)])
        other.answer()
        self.assertEqual(self.state(5), State.ENROUTE)

    def test_stop_meanwhile(self) -> None:
        """After a stop of the gateway began, the new connector is not started any more."""
        self.change("sim", "other", made=(self.new,))
        stopping = self.dispatch.drain()
        self.old.answer()
        self.successResultOf(stopping)
        self.assertFalse(hasattr(self.new, "sink"))

    def test_paused(self) -> None:
        """A connector that an administrator has paused is still paused when it is replaced, and not after a removal."""
        self.dispatch.pause("sim")
        self.change("sim", "other", made=(self.new,))
        self.old.answer()
        self.assertEqual(self.new.sent, [])
        self.dispatch.resume("sim")
        self.assertEqual(self.new.sent, [(3, 1), (4, 1)])
        self.dispatch.pause("sim")
        self.elsewhere = "other"
        self.change("other")
        self.new.answer()
        self.assertEqual(self.dispatch._roster._context.paused, set())

    def test_faulty_stop(self) -> None:
        """An exception of the old connector at its stop is logged; the new one is started."""
        self.patch(self.old, "stop", lambda: 1 / 0)
        self.change("sim", "other", made=(self.new,))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.new.sent, [(3, 1), (4, 1)])

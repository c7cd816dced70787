"""What an administrator asks of the running gateway, over a real store and connectors by hand."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from smsgw.config import ConnectorSettings, Globs, RouteSettings, Way
from smsgw.interfaces import IConnector, IRetrying
from smsgw.model.changes import Changes
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.errors import NotPossible, StoreDown
from smsgw.model.lifecycle import Notify, State
from smsgw.model.outcome import Busy, Lost, Rejected, Sent
from smsgw.services import operations
from smsgw.services.operations import Operations
from smsgw.services.routing import Router
from tests.configured import configured
from tests.metrics import value
from tests.services.dispatch.support import DAY, DispatchTestCase, HandConnector, message

BUSY = Busy(60.0, True, "later")


@implementer(IConnector, IRetrying)
class PausingConnector(HandConnector):
    """A connector that has pauses of its own."""

    retried = 0

    def retry(self) -> None:
        """Count it."""
        self.retried += 1


class OperationTestCase(DispatchTestCase):
    """Two connectors, one route over both."""

    window = 9
    on_unknown = "resend"

    def setUp(self) -> None:
        """Begin with connectors that are up."""
        super().setUp()
        self.sim, self.mts = PausingConnector("sim", self.window), HandConnector("mts", self.window)
        self.begin(self.sim, self.mts, on_unknown=self.on_unknown)
        route = RouteSettings(name="r", to=Globs(("*",)), connectors=(Way("sim"), Way("mts")))
        self.router = Router(configured(ConnectorSettings(name="sim"), ConnectorSettings(name="mts"), route))
        self.router.paused = self.paused
        connectors = {"sim": self.sim, "mts": self.mts}
        self.operations = Operations(self.store, self.dispatch, self.router, connectors, self.now)

    def moved(self, connector: str = "sim", other: str = "mts") -> tuple[int, int]:
        """Move, and how many moved and stayed."""
        result: tuple[int, int] = self.successResultOf(self.operations.move(connector, other))
        return result

    def impossible(self, done: Any) -> str:
        """Why a wish was not fulfilled."""
        return self.failureResultOf(done, NotPossible).getErrorMessage()


class PauseTests(OperationTestCase):
    """Pause and resume."""

    def test_nothing_is_sent(self) -> None:
        """A paused connector gets nothing, neither new messages nor those that wait, until it is resumed."""
        self.accept(*[message(id) for id in range(1, 13)])
        self.assertEqual(len(self.sim.sent), 9)
        self.operations.pause("sim")
        self.sim.answer()
        self.accept(message(20))
        self.dispatch.tick()
        self.assertEqual((len(self.sim.sent), self.waiting()), (9, 4))
        self.operations.resume("sim")
        self.assertEqual(self.sim.sent[9:], [(10, 1), (11, 1), (12, 1), (20, 1)])

    def test_what_is_on_its_way(self) -> None:
        """Outcomes and receipts of a paused connector are taken; what it gives back waits for it."""
        self.accept(message(1), message(2))
        self.operations.pause("sim")
        self.sim.answer(Sent("a"), 1)
        self.sim.answer(Busy(0.0, False, "throttled"), 1)
        self.assertEqual((self.state(1), self.state(2)), (State.ENROUTE, State.QUEUED))
        self.dispatch.tick()
        self.assertEqual(len(self.sim.sent), 2)

    def test_claimed_parts_go_back(self) -> None:
        """Parts that are claimed and wait for room go back to the queue."""
        self.sim.tokens = 1
        self.accept(message(1, parts=3))
        self.operations.pause("sim")
        self.sim.answer()
        self.sim.tokens = None
        self.assertEqual(self.waiting(), 1)
        self.operations.resume("sim")
        self.assertEqual(self.sim.sent, [(1, 1), (1, 2), (1, 3)])

    def test_routing(self) -> None:
        """New messages take the other connectors of their route; a route with that one only waits for it."""
        self.operations.pause("sim")
        self.assertEqual(self.router.route("demo", "DEMO", "7916", str), "mts")
        self.operations.resume("sim")
        self.assertEqual(self.router.route("demo", "DEMO", "7916", str), "sim")

    def test_health(self) -> None:
        """The health and a metric show it."""
        self.operations.pause("sim")
        self.assertEqual([one["paused"] for one in self.dispatch.health().values()], [True, False])
        self.assertEqual((value(self.metrics.paused["sim"]), value(self.metrics.paused["mts"])), (1, 0))

    def test_unknown(self) -> None:
        """A connector that there is not cannot be paused."""
        for wish in (self.operations.pause, self.operations.resume):
            self.assertRaises(NotPossible, wish, "gone")


class RetryTests(OperationTestCase):
    """Trying now."""

    def test_now(self) -> None:
        """Messages that pause before another attempt are sent now, each part once; scheduled ones wait on."""
        later = message(3, state=State.SCHEDULED, due=self.now() + 3600)
        self.accept(message(1), message(2, parts=2), later, message(4, connector="mts"))
        self.sim.answer(BUSY, 2)
        self.sim.answer()
        self.mts.answer(BUSY)
        self.sim.sends.clear()
        self.assertEqual(self.successResultOf(self.operations.retry("sim")), 2)
        self.assertEqual((sorted(self.sim.sent), self.mts.sent), ([(1, 1), (2, 1)], [(4, 1)]))
        self.assertEqual((self.state(3), self.sim.retried), (State.SCHEDULED, 1))
        self.clock.advance(61)
        self.promote()
        self.assertEqual(len(self.sim.sent), 2)

    def test_pages(self) -> None:
        """More than fit one page are found."""
        self.patch(operations, "PAGE", 2)
        self.accept(*[message(id) for id in range(1, 8)], message(9, connector="mts"))
        self.mts.answer(BUSY)
        self.sim.answer(BUSY)
        self.assertEqual(self.successResultOf(self.operations.retry("sim")), 7)

    def test_nothing_to_try(self) -> None:
        """A connector without pauses of its own, and one that there is not."""
        self.assertEqual(self.successResultOf(self.operations.retry("mts")), 0)
        self.assertEqual(self.impossible(self.operations.retry("gone")), "there is no connector gone")


class MoveTests(OperationTestCase):
    """Moving to another connector."""

    window = 2

    def test_waiting(self) -> None:
        """What waits in memory, in the store and for another attempt moves; what is with the upstream stays."""
        self.accept(message(1), message(2))
        self.sim.answer(BUSY, 1)
        self.accept(*[message(id, account="demo" if id % 2 else "shop") for id in range(3, 9)])
        self.assertEqual(self.sim.sent, [(1, 1), (2, 1), (3, 1)])
        self.assertEqual(self.moved(), (6, 0))
        while self.mts.waiting:
            self.mts.answer()
        self.sim.answer()
        self.assertEqual(self.waiting() + self.waiting("mts"), 0)
        self.assertEqual((len(self.sim.sent), sorted(self.mts.sent)), (3, [(id, 1) for id in (1, 4, 5, 6, 7, 8)]))

    def test_down(self) -> None:
        """Messages move from a connector that is down, and from one that is no longer configured."""
        self.sim.up = False
        self.accept(message(1))
        self.assertEqual(self.moved(), (1, 0))
        self.store.commit(Changes(accepts=[message(2, connector="old")]))
        self.assertEqual(self.moved("old"), (1, 0))
        self.assertEqual(self.mts.sent, [(1, 1), (2, 1)])

    def test_partly_sent(self) -> None:
        """Of a partly sent message only a connector of the same form gets the rest, and only the rest."""
        self.accept(message(1, parts=2))
        self.sim.answer(Sent("a"), 1)
        self.sim.answer(BUSY, 1)
        self.assertEqual(self.moved(), (1, 0))
        self.assertEqual(self.mts.sent, [(1, 2)])
        self.mts.answer(BUSY)
        self.router._forms["sim"] = ""
        self.assertEqual(self.moved("mts", "sim"), (0, 1))
        self.assertEqual(len(self.sim.sent), 2)

    def test_store_down(self) -> None:
        """If the store does not take it, the messages wait for their connector as before."""
        self.operations.pause("sim")
        self.accept(message(1), message(2))
        self.store.trouble = StoreDown("full")
        self.failureResultOf(self.operations.move("sim", "mts"), StoreDown)
        self.store.trouble = None
        self.operations.resume("sim")
        self.assertEqual((self.sim.sent, self.mts.sent), ([(1, 1), (2, 1)], []))

    def test_not_possible(self) -> None:
        """Between connectors that there are not, or one and the same, nothing moves."""
        for connector, other, why in (
            ("sim", "gone", "there is no connector gone"),
            ("gone", "sim", "there is no connector gone"),
            ("sim", "sim", "a connector cannot take over its own messages"),
        ):
            self.assertEqual(self.impossible(self.operations.move(connector, other)), why)


class ResendTests(OperationTestCase):
    """One message again."""

    def resent(self, id: int) -> int:
        """The id of the message that is sent."""
        sent: int = self.successResultOf(self.operations.resend(id))
        return sent

    def why_not(self, id: int) -> str:
        """Why it is not sent."""
        return self.impossible(self.operations.resend(id))

    on_unknown = "hold"

    def test_before_its_time(self) -> None:
        """A message that waits for another attempt, or is held because its answer never came, is sent now. A retry of
        the connector leaves held ones alone."""
        self.accept(message(1), message(2))
        self.sim.answer(BUSY, 1)
        self.sim.answer(Lost(), 1)
        self.sim.sends.clear()
        self.assertEqual(self.resent(1), 1)
        self.assertEqual(self.successResultOf(self.operations.retry("sim")), 0)
        self.assertEqual(self.resent(2), 2)
        self.assertEqual(self.sim.sent, [(1, 1), (2, 1)])

    def test_copy(self) -> None:
        """A message that ended without being delivered is sent as a new one with the same content and validity, of
        which its account gets no report; what is known of the first one stays."""
        first = message(self.store.next_id())
        self.accept(first)
        self.sim.answer(Rejected(ErrorCode.UNEXPLAINED))
        self.clock.advance(100)
        self.outbox.events.clear()
        copy = self.found(self.resent(first.id))
        self.assertNotEqual(copy.id, first.id)
        self.assertEqual((copy.content.octets, copy.recipient), (first.content.octets, first.recipient))
        self.assertEqual((copy.account, copy.notify, copy.path), ("demo", Notify.NOTHING, ""))
        self.assertEqual((copy.created, copy.expires), (self.now(), self.now() + DAY))
        self.assertEqual(copy.content.labels.comment if copy.content.labels else "", f"resent from {first.id}")
        self.assertEqual(self.sim.sent[-1], (copy.id, 1))
        self.sim.answer(Rejected(1))
        self.assertEqual((self.outbox.reported, self.state(first.id)), ([], State.REJECTED))

    def test_refused_by_rules(self) -> None:
        """A message for which there was no route is sent when there is one; other refused messages are not."""
        ids = [self.store.next_id() for _ in range(2)]
        for id, error in zip(ids, (ErrorCode.NO_ROUTE, ErrorCode.BAD_NUMBER), strict=True):
            self.accept(message(id, connector="", state=State.REFUSED, error=error))
        self.assertEqual(self.found(self.resent(ids[0])).connector, "sim")
        self.assertIn("another one", self.why_not(ids[1]))

    def test_not_possible(self) -> None:
        """A message that is with its upstream, waits already, is scheduled, delivered or unknown."""
        self.accept(message(1), message(2), message(3, state=State.SCHEDULED, due=self.now() + 9))
        self.assertEqual(self.why_not(1), "the message is with sim, whose answer is awaited")
        self.sim.answer(Sent("a"), 1)
        self.assertEqual(self.why_not(1), "sim took the message, and its receipt is awaited")
        self.assertEqual(self.why_not(3), "the message is scheduled; it is not due yet")
        self.sim.up = False
        self.accept(message(4))
        self.assertEqual(self.why_not(4), "the message waits for sim already")
        self.assertEqual(self.why_not(77), "no such message")
        self.accept(message(5, batch=88), message(6, batch=88))
        self.assertEqual(self.why_not(88), "no such message")

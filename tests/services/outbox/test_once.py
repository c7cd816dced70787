"""Tests of the outbox: what is sent at most once, and dead letters that are sent again."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, EventKind, Incoming, IncomingKind
from smsgw.services.outbox.outbox import FIRST_PAUSE
from tests.services.outbox.support import ENROUTE, FINAL, OutboxTestCase, event, ids, name


def incoming(id: int) -> Event:
    """The event of a message of a subscriber."""
    came = Incoming(id, "demo", "smpp", IncomingKind.MESSAGE, "sim", "79161234567", "79031112233", "hello", 1000.0)
    return Event(came, EventKind.INCOMING, State.DELIVERED, 0, 1000.0)


class ForgottenTests(OutboxTestCase):
    """Events that a path sends at most once."""

    def delivered(self, *events: Event) -> list[Event]:
        """Events that the path has, with room for more."""
        self.make()
        self.path.rooms["demo"] = 10
        self.happen(*events)
        return list(self.path.under_way)

    def forget(self, events: Sequence[Event]) -> Deferred[None]:
        """The path is about to send them."""
        self.path.answered(events)
        forgotten: Deferred[None] = self.path.sink.acknowledge_before_send(events)
        return forgotten

    def test_only_after_the_commit(self) -> None:
        """The path may send an event when the store has deleted it; then it counts as acknowledged."""
        events = self.delivered(event(1), event(2))
        self.store.by_hand = True
        forgotten = self.forget(events)
        self.assertNoResult(forgotten)
        self.store.work()
        self.store.answer()
        self.assertIsNone(self.successResultOf(forgotten))
        self.assertEqual((self.store.acknowledged, self.store.rows["smpp", "demo"]), ([(1, 2), (2, 2)], {}))
        self.assertEqual(self.metrics.acknowledged["smpp"], 2)

    def test_never_again(self) -> None:
        """What was forgotten does not come again, neither from memory nor from the store."""
        self.successResultOf(self.forget(self.delivered(event(1))))
        for _ in range(20):
            self.clock.advance(1)
        self.outbox.stop()
        self.make()
        self.path.sink.ready("demo")
        self.assertEqual(ids(self.path.log), [1])

    def test_failed(self) -> None:
        """If the store cannot delete them they must not be sent now: the call fails, and the path gets them again,
        without an attempt charged."""
        events = self.delivered(event(1))
        self.store.broken = StoreDown("full")
        self.failureResultOf(self.forget(events), StoreDown)
        self.store.broken = None
        self.assertEqual(ids(self.path.log), [1])
        for _ in range(int(FIRST_PAUSE)):
            self.clock.advance(1)
        self.assertEqual([(each.message.id, each.attempts) for each in self.path.log], [(1, 0), (1, 0)])

    def test_the_next_follows(self) -> None:
        """The final event of a message goes out when its intermediate one is deleted, and after the return path has
        learnt of that."""
        (first,) = self.delivered(event(1, ENROUTE), event(1, FINAL))
        seen: list[int] = []
        self.forget([first]).addCallback(lambda _: seen.append(len(self.path.log)))
        self.turn()
        self.assertEqual(seen, [1])
        self.assertEqual([name(each) for each in self.path.log], [(1, 1), (1, 2)])

    def test_stop_waits(self) -> None:
        """A stop waits for the commit that forgets."""
        events = self.delivered(event(1))
        self.store.by_hand = True
        forgotten = self.forget(events)
        stopped = self.outbox.stop()
        self.assertNoResult(stopped)
        self.store.work()
        self.store.answer()
        self.successResultOf(forgotten)
        self.assertIsNone(self.successResultOf(stopped))


class GivenUpTests(OutboxTestCase):
    """Events that are over, and events that are sent again."""

    def test_not_tried_beyond_its_time(self) -> None:
        """An event that waits for its next attempt is not tried again after ``event_keep``, however short its pause."""
        self.make(event_keep=60.0)
        self.path.rooms["demo"] = 10
        self.happen(event(1), event(2, at=1050.0))
        events = list(self.path.under_way)
        self.path.answered(events)
        self.path.sink.retry(events, 61.0)
        for _ in range(70):
            self.clock.advance(1)
        self.assertEqual(ids(self.path.log), [1, 2, 2])

    def test_replayed(self) -> None:
        """What the operator takes back from what was given up goes out at once."""
        self.make()
        self.path.rooms["demo"] = 10
        self.store.given_up = [event(1), event(2, account="other"), event(3)]
        found: list[list[Event]] = []
        self.outbox.replay("demo", [1, 2], 100).addCallback(found.append)
        self.assertEqual((ids(found[0]), ids(self.path.log)), ([1], [1]))
        self.outbox.replay(None, [], 100).addCallback(found.append)
        self.assertEqual(ids(found[1]), [2, 3])

    def test_incoming(self) -> None:
        """Incoming items are sent like reports of messages, whether from memory or from the store."""
        self.store.add(incoming(5))
        self.make()
        self.path.bind("demo", 10)
        self.happen(incoming(7), event(8))
        self.assertEqual([name(each) for each in self.path.log], [(5, 3), (7, 3), (8, 2)])
        self.path.acknowledge()
        self.turn()
        self.assertEqual(self.store.rows["smpp", "demo"], {})

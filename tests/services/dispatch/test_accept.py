from __future__ import annotations

from smsgw.model.changes import Conditional, Once
from smsgw.model.errors import StoreDown, StoreFull
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.model.outcome import Sent
from tests.services.dispatch.support import DAY, NOON, DispatchTestCase, HandConnector, ids, message


class AcceptTests(DispatchTestCase):
    """An acceptance as a whole: reserve, commit, send or undo."""

    def keyed(self, *messages: Message, key: str = "k") -> Conditional:
        """A condition: these are stored only where the key was not used before."""
        return Conditional(messages, [Once("demo", key, NOON + DAY, b"digest", messages[0].id)])

    def test_fires_after_the_commit(self) -> None:
        """The result comes after the synced commit, and nothing is sent before it."""
        sim = self.begin()
        self.runner.by_hand = True
        accepting = self.dispatch.accept([message(1)])
        self.assertNoResult(accepting)
        self.assertEqual(sim.sent, [])
        self.runner.work()
        self.assertEqual(self.successResultOf(accepting).claims, [])
        self.assertEqual(sim.sent, [(1, 1)])

    def test_failure_undoes(self) -> None:
        """A failure reaches the caller; room and order are as before, and the messages are not claimed."""
        sim = self.begin(HandConnector(window=2))
        for trouble in (StoreDown("down"), StoreFull("full")):
            self.store.trouble = trouble
            made = [message(id) for id in range(1, 5)]
            self.failureResultOf(self.dispatch.accept(made), type(trouble))
            self.assertEqual([one.claimed for one in made], [False] * 4)
        self.store.trouble = None
        self.accept(message(11), message(12))
        self.assertEqual(sim.sends, [[(11, 1), (12, 1)]])

    def test_condition_not_met(self) -> None:
        """Messages whose condition is not met are not sent; their room goes to others, claimed or waiting."""
        sim = self.begin(HandConnector(window=3))
        first = message(1)
        self.successResultOf(self.dispatch.accept([first], [self.keyed(first)]))
        again = [message(id) for id in range(2, 8)]
        committed = self.successResultOf(
            self.dispatch.accept(again, [self.keyed(again[0], again[3]), self.keyed(again[1], key="other")])
        )
        self.assertEqual([unmet is None for unmet in committed.conditions], [False, True])
        self.assertEqual(sim.sent, [(1, 1), (3, 1), (4, 1)])
        self.assertEqual(self.successResultOf(self.store.find(None, [2, 5])), [[], []])
        while sim.waiting:
            sim.answer()
        self.assertEqual(sim.sent, [(1, 1), (3, 1), (4, 1), (6, 1), (7, 1)])
        self.assertEqual(sim.taken, 0)

    def test_no_condition_met(self) -> None:
        """An acceptance of which nothing is stored leaves nothing behind."""
        sim = self.begin(HandConnector(window=1))
        first = message(1)
        self.successResultOf(self.dispatch.accept([first], [self.keyed(first)]))
        sim.answer()
        second = message(2, parts=4)
        self.successResultOf(self.dispatch.accept([second], [self.keyed(second)]))
        self.accept(message(3))
        self.assertEqual(sim.sent, [(1, 1), (3, 1)])

    def test_several_connectors(self) -> None:
        """Messages of one call for several connectors leave in one send for each, in order."""
        one, two = HandConnector("one", 3), HandConnector("two", 2)
        self.begin(one, two)
        made = [message(id, connector="one" if id % 2 else "two") for id in range(1, 11)]
        self.accept(*made, message(11, state=State.REFUSED, connector=""))
        self.assertEqual((one.sends, two.sends), ([[(1, 1), (3, 1), (5, 1)]], [[(2, 1), (4, 1)]]))
        self.assertEqual(ids(one for one in made if one.claimed), [1, 2, 3, 4, 5])

    def test_nothing(self) -> None:
        """An empty call is a commit like any other."""
        self.begin()
        self.assertEqual(self.successResultOf(self.dispatch.accept([])).events, [])

    def test_events(self) -> None:
        """Events of the accepting commit reach the outbox."""
        self.begin()
        self.accept(message(1, state=State.REFUSED, connector="", error=248))
        self.assertEqual(self.outbox.reported, [(1, State.REFUSED)])


class HastyConnectorTests(DispatchTestCase):
    """A connector that breaks the rule and gives outcomes inside `send`."""

    def hasty(self, window: int) -> HandConnector:
        """One that does."""
        sim = self.begin(HandConnector(window=window))
        sim.quick, sim.hasty = (lambda part: Sent(f"{part.message.id}.{part.seq}")), True
        return sim

    def test_harmless(self) -> None:
        """Its outcomes count all the same: nothing is lost, sent twice or left in the window."""
        sim = self.hasty(7)
        self.runner.by_hand = True
        self.accept(*[message(id, parts=1 + id % 3) for id in range(1, 40)])
        self.runner.work()
        self.assertEqual(len(sim.sent), len(set(sim.sent)))
        self.assertEqual(len(sim.sent), sum(1 + id % 3 for id in range(1, 40)))
        self.assertEqual((sim.taken, self.dispatch._pumps["sim"].quiet), (0, True))
        self.assertEqual({self.state(id) for id in range(1, 40)}, {State.ENROUTE})

    def test_and_raises(self) -> None:
        """If it also raises an exception, the outcomes that it gave before stand."""
        sim = self.hasty(5)
        send = sim.send

        def fails_late(parts: object) -> None:
            send(parts)  # type: ignore[arg-type]
            raise ZeroDivisionError("too late")

        self.patch(sim, "send", fails_late)
        self.accept(message(1), message(2))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([self.state(1), self.state(2)], [State.ENROUTE, State.ENROUTE])
        self.assertEqual(sim.taken, 0)

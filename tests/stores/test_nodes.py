"""Two nodes over one in-memory engine, their steps interleaved between load and write, against the reference.

The reference does what a node was asked for at the moment in which its write is carried out; what the node then answers
has to be what the reference answered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.changes import Cancel, Changes, Committed, Conditional, Limit, PartEnded, Requeued
from smsgw.model.errors import Refused, StoreDown
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import Event, Message
from smsgw.stores import MessageStore
from smsgw.stores.memory import MemoryEngine, Tables
from smsgw.stores.store import LEASE
from smsgw.stores.writeset import WriteSet
from tests.stores.sharedreference import LIMIT, Shared
from tests.stores.support import ALL, START, as_tuples, new, receipt, sent

NODE = st.integers(0, 1)
NUMBER = st.integers(0, 3)
PART = st.integers(1, 2)
STATE = st.sampled_from([State.DELIVERED, State.EXPIRED, State.UNDELIVERABLE])
ASKED = st.one_of(
    st.tuples(st.just("accept"), st.booleans(), PART),
    st.tuples(st.just("spend"), st.integers(1, 4)),
    st.tuples(st.just("claim"), NUMBER),
    st.tuples(st.just("claim"), NUMBER),
    st.tuples(st.just("sent"), NUMBER, PART),
    st.tuples(st.just("sent"), NUMBER, PART),
    st.tuples(st.just("ended"), NUMBER, st.integers(0, 2), STATE),
    st.tuples(st.just("requeued"), NUMBER),
    st.tuples(st.just("receipt"), NUMBER, STATE),
    st.tuples(st.just("receipt"), NUMBER, STATE),
    st.tuples(st.just("cancel"), NUMBER),
    st.sampled_from([("deliver",), ("match",), ("recover",), ("restart",), ("wait",)]),
)
ROUND = st.tuples(ASKED, ASKED, st.lists(NODE, max_size=14), st.booleans())
"""What each node is asked for, the order of their turns, and whether both come to their end before the next round."""


class WatchedTables(Tables):
    """Says when a write was carried out."""

    def __init__(self, written: Callable[[WriteSet], None]) -> None:
        super().__init__()
        self.written = written

    def transaction(self, change: Callable[[], None]) -> None:
        super().transaction(change)
        assert isinstance(change, partial)
        self.written(change.args[1])


class Node:
    """One node, which is asked for one thing at a time, and whose turns come when the test says so."""

    def __init__(self, play: Play, name: str) -> None:
        self.play = play
        self.name = name
        self.turns: deque[Callable[[], Any]] = deque()
        self.asked: Any = None
        self.expected: Any = None
        self.ready = False
        self.start()

    def start(self) -> None:
        """A fresh process."""
        self.turns.clear()
        self.asked = self.expected = None
        self.ready = False
        engine = MemoryEngine(self.play.tables, self._later)
        self.store = MessageStore(engine, self.name, lambda: self.play.now)
        self.store.open().addCallback(self._opened)

    def _opened(self, _: None) -> None:
        self.ready = True

    def _later(self, delay: float, call: Callable[..., Any], *arguments: Any) -> None:
        self.turns.append(partial(call, *arguments))

    def turn(self, count: int) -> None:
        """So many turns."""
        while self.turns and count:
            self.turns.popleft()()
            count -= 1

    def ask(self, what: Any, deferred: Deferred[Any]) -> None:
        """It was asked for something."""
        self.asked, self.expected = what, None
        deferred.addBoth(self._answered).addErrback(self.play.wrong.append)

    def commit(self, call: Changes) -> None:
        """Ask for a commit."""
        self.ask(call, self.store.commit(call))

    def _answered(self, result: Any) -> None:
        asked, expected = self.asked, self.expected
        self.asked = self.expected = None
        case = self.play.case
        if isinstance(result, Failure):
            result.trap(StoreDown)
            case.assertIsNone(expected, "what failed was carried out")
            case.assertIn(self.name, self.play.dead)
            self.start()
        elif isinstance(asked, Changes):
            self._compare(asked, result, expected)
        elif asked == "recover":
            case.assertEqual([(part.message.id, part.seq) for part in result], expected or [])
        elif asked == "deliver":
            self._deliver(result)

    def _compare(self, call: Changes, committed: Committed, expected: Any) -> None:
        claims, cancels, met, events = expected
        case = self.play.case
        case.assertEqual(committed.claims, claims)
        said = [
            {"UNKNOWN_ID": "unknown", "ALREADY_FINAL": "final"}[entry.refusal.name]
            if isinstance(entry, Refused)
            else [m.id for m in entry]
            for entry in committed.cancels
        ]
        case.assertEqual(said, cancels)
        case.assertEqual([unmet is None for unmet in committed.conditions], met)
        case.assertEqual(sorted(as_tuples(committed.events)), sorted(events))

    def _deliver(self, events: list[Event]) -> None:
        """Deliver each event that the other node did not deliver; then acknowledge them."""
        for event in events:
            by = self.play.model.delivered.setdefault((event.message.id, event.kind), self.name)
            self.play.case.assertEqual(by, self.name, "delivered by both")
        if events:
            self.commit(Changes(acknowledged=events))


class Play:
    """Two nodes, their shared tables and the reference."""

    def __init__(self, case: SynchronousTestCase) -> None:
        self.case = case
        self.now = START
        self.model = Shared()
        self.made: list[Message] = []
        self.remote = 0
        self.dead: set[str] = set()
        self.wrong: list[Failure] = []
        self.tables = WatchedTables(self.written)
        self.nodes = [Node(self, name) for name in ("gw1", "gw2")]
        self.finish()

    def finish(self) -> None:
        """Every node has all its turns."""
        while any(node.turns for node in self.nodes):
            for node in self.nodes:
                node.turn(1)

    def written(self, writes: WriteSet) -> None:
        """A write of a node was carried out: the reference does the same."""
        try:
            self._written(writes)
        except AssertionError:
            self.wrong.append(Failure())

    def _written(self, writes: WriteSet) -> None:
        (node,) = [node for node in self.nodes if node.name == writes.node]
        if isinstance(node.asked, Changes):
            results = self.model.written(node.asked, writes)
            node.expected = (*results, list(self.model.occurred))
        elif node.asked == "match":
            self.model.parked_matched(writes)
        elif node.asked == "recover":
            assert writes.upkeep is not None
            self.dead |= {name for name, _ in writes.upkeep.taken}
            node.expected = self.model.recovered(writes)

    def begin(self) -> None:
        """Both nodes have messages that wait, and messages that they sent."""
        for node in self.nodes:
            for asked in (("accept", False, 1), ("accept", False, 2), ("accept", True, 1), ("accept", True, 2)):
                self.ask(node, *asked)
                self.finish()
            for number, part in ((0, 1), (1, 1)):
                self.ask(node, "sent", number, part)
                self.finish()

    def round(self, first: tuple[Any, ...], second: tuple[Any, ...], turns: list[int], finish: bool) -> None:
        """Both nodes are asked for something and have these turns."""
        for node, asked in zip(self.nodes, (first, second), strict=True):
            self.ask(node, *asked)
        for number in turns:
            self.nodes[number].turn(1)
        if finish:
            self.finish()

    def ask(self, node: Node, kind: str, *how: Any) -> None:
        """Ask a node for something, if it is not busy."""
        if kind == "wait":
            self.now += LEASE / 2
        elif kind == "restart":
            node.start()
        elif not node.ready or node.asked is not None:
            pass
        elif kind == "recover":
            node.ask(kind, node.store.recover_claims(0, 1000))
        elif kind == "match":
            node.ask(kind, node.store.match_parked(100))
        elif kind == "deliver":
            node.ask(kind, node.store.events("demo", "smpp", (0, 0), 100))
        elif kind == "accept":
            claimed, parts = how
            m = new(node.store, claimed=claimed, parts=parts, notify=ALL)
            self.made.append(m)
            node.commit(Changes(accepts=[m]))
        elif kind == "spend":
            m = new(node.store, claimed=False)
            self.made.append(m)
            node.commit(Changes([m], conditions=[Conditional([m], [Limit("demo", "money", 0.0, how[0], LIMIT)])]))
        elif kind == "receipt":
            node.commit(Changes(receipts=[receipt(f"r{max(self.remote + 1 - how[0] % 4, 0)}", how[1], 0)]))
        else:
            self.ask_about_message(node, kind, *how)

    def ask_about_message(self, node: Node, kind: str, number: int, *how: Any) -> None:
        """The same about one of the messages that are stored."""
        stored = [m for m in self.made if m.id in self.model.messages]
        if not stored:
            return
        m = stored[-1 - number % len(stored)]
        known = self.model.messages[m.id]
        if kind == "claim":
            node.commit(Changes(claims=[m]))
        elif kind == "cancel":
            node.commit(Changes(cancels=[Cancel("demo", m.id)]))
        elif kind == "ended":
            node.commit(Changes(outcomes=[PartEnded(m, min(how[0], m.parts), how[1], 0)]))
        elif kind == "requeued":
            node.commit(Changes(outcomes=[Requeued(m, "sim", 0.0, True)]))
        elif known.parts[min(how[0], m.parts) - 1] is State.QUEUED:
            self.remote += 1
            node.commit(Changes(outcomes=[sent(m, f"r{self.remote}", min(how[0], m.parts))]))

    def answer(self, deferred: Deferred[Any]) -> Any:
        """What a call gives, once every turn was had."""
        self.finish()
        results: list[Any] = []
        deferred.addBoth(results.append)
        (result,) = results
        return result

    def end(self) -> None:
        """Everything comes to its end: then the tables are what the reference says."""
        case, model = self.case, self.model
        self.finish()
        for node in self.nodes:
            node.ask("match", node.store.match_parked(100))
            self.finish()
        for failure in self.wrong:
            failure.raiseException()
        known = model.messages
        store = self.nodes[0].store
        found = {m.id: m for (m,) in self.answer(store.find(None, list(known)))}
        for id, expected in known.items():
            m = found[id]
            case.assertEqual(
                (m.state, m.claimed, m.attempts, m.error if m.state in FINAL else 0),
                (expected.state, expected.claimed, expected.attempts, expected.error if m.state in FINAL else 0),
            )
            if m.claimed:
                case.assertEqual(self.tables.column(id, "leased_to"), model.owners[id])
        queue = [m.id for m in self.answer(store.queue_page("sim", "demo", (-1000, 0), 1000))]
        case.assertEqual(queue, sorted(id for id, m in known.items() if m.queued))
        counts: dict[State, int] = {}
        for one in known.values():
            counts[one.state] = counts.get(one.state, 0) + 1
        case.assertEqual(self.answer(store.counts()), counts)
        for node in self.nodes:
            events = as_tuples(self.answer(node.store.events("demo", "smpp", (0, 0), 1000)))
            mine = [(*key, *said) for key, said in sorted(model.events.items()) if model.events_of[key] == node.name]
            case.assertEqual(events, mine)
        awaited = {a.remote_id for a in self.answer(store.awaited_receipts("sim", (0, 0), 1000))}
        parked = {p.report.remote_id for p in self.answer(store.parked(1000))}
        case.assertEqual(awaited & parked, set(), "a receipt is lost")
        case.assertEqual(parked, set(model.parked))
        spent = sum(row[3] for row in self.tables.conditions.rows.values())
        case.assertEqual(spent, model.spent)
        case.assertLessEqual(spent, LIMIT)


class NodesTests(SynchronousTestCase):
    """Two nodes whose steps are interleaved in any order."""

    @settings(max_examples=300, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
    @given(st.lists(ROUND, min_size=3, max_size=25))
    def test_interleaved(self, rounds: list[Any]) -> None:
        """No message is claimed twice, no receipt is lost, no limit overspent, no event delivered by both; and every
        answer is what the reference says, as if one call had come after the other."""
        play = Play(self)
        play.begin()
        for asked in rounds:
            play.round(*asked)
        play.end()

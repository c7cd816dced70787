"""Stores against the reference, over any sequence of calls."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.changes import Cancel, Changes, Committed, PartEnded, Requeued
from smsgw.model.errors import Refused
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import Message
from tests.stores.reference import Reference
from tests.stores.support import ALL, FAR, START, as_tuples, new, receipt, sent
from tests.stores.worlds import MemoryWorld, SqliteWorld, World, answer, opened

NUMBER = st.integers(0, 30)
STATE = st.sampled_from([State.DELIVERED, State.EXPIRED, State.UNDELIVERABLE, State.REJECTED])
ACCEPTED = st.sampled_from(["claimed", "queued", "scheduled", "final"])
CHANGE = st.one_of(
    st.tuples(st.just("accept"), ACCEPTED, st.integers(1, 3), st.sampled_from([ALL, 0, 1, 2])),
    st.tuples(st.just("claim"), NUMBER),
    st.tuples(st.just("sent"), NUMBER, st.integers(1, 3)),
    st.tuples(st.just("sent"), NUMBER, st.integers(1, 3)),
    st.tuples(st.just("ended"), NUMBER, st.integers(0, 3), STATE),
    st.tuples(st.just("requeued"), NUMBER, st.booleans(), st.sampled_from([0.0, FAR])),
    st.tuples(st.just("receipt"), NUMBER, STATE),
    st.tuples(st.just("receipt"), NUMBER, STATE),
    st.tuples(st.just("cancel"), NUMBER, st.sampled_from([None, "demo", "other"])),
    st.tuples(st.just("acknowledged"), NUMBER),
)
CALL = st.lists(CHANGE, min_size=1, max_size=5)
STEP = st.one_of(
    st.lists(CALL, min_size=1, max_size=4),
    st.lists(CALL, min_size=1, max_size=4),
    st.sampled_from(["reopen", "forget"]),
)

TWO_RECEIPTS_BEFORE_SENT: Final[list[Any]] = [
    [[("receipt", 1, State.REJECTED)], [("accept", "scheduled", 1, 2)]],
    [[("receipt", 1, State.EXPIRED)], [("ended", 27, 1, State.DELIVERED), ("sent", 29, 1)]],
]
"""A receipt is parked; a second one shares the commit of the outcome that brings their id: the first one counts."""


class Comparison:
    """One store and the reference, given the same calls."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reference = Reference()
        self.made: list[Message] = []
        self.ids = 0
        self.remote = 0
        self.open()

    def open(self) -> None:
        """A restart."""
        self.store = opened(self.world, lambda: START)

    def answer(self, deferred: Deferred[Any]) -> Any:
        """What a call gave."""
        return answer(self.world, deferred)

    def change(self, call: Changes, change: tuple[Any, ...]) -> None:
        """Add a change to a call."""
        kind, *how = change
        if kind == "accept":
            word, parts, notify = how
            state = {"scheduled": State.SCHEDULED, "final": State.REFUSED}.get(word, State.QUEUED)
            due = FAR if word == "scheduled" else 0.0
            m = new(self.store, claimed=word == "claimed", state=state, parts=parts, notify=notify, due=due, batch=1000)
            self.made.append(m)
            call.accepts = [*call.accepts, m]
            return
        if kind == "receipt":
            number, state = how
            call.receipts = [*call.receipts, receipt(f"r{max(self.remote + 2 - number, 0)}", state, number)]
            return
        stored = [m for m in self.made if m.id in self.reference.messages]
        if not stored:
            return
        m = stored[how[0] % len(stored)]
        seq = min(how[1], m.parts) if kind in ("sent", "ended") else 0
        if kind == "claim":
            call.claims = [*call.claims, m]
        elif kind == "sent":
            again = (m.id, seq) in self.sent or seq not in self.reference.messages[m.id].unsent
            if again and self.together:  # which of two receipts counts may then depend on the grouping
                return
            self.sent.add((m.id, seq))
            self.remote += 1
            call.outcomes = [*call.outcomes, sent(m, f"r{self.remote}", seq)]
        elif kind == "ended":
            call.outcomes = [*call.outcomes, PartEnded(m, seq, how[2], how[0])]
        elif kind == "requeued":
            call.outcomes = [*call.outcomes, Requeued(m, "sim", how[2], how[1])]
        elif kind == "cancel":
            call.cancels = [*call.cancels, Cancel(how[1], 1000 if how[0] == 30 else m.id)]
        else:
            events = self.answer(self.store.events("demo", "smpp", (0, 0), 100))
            call.acknowledged = [*call.acknowledged, *events[how[0] : how[0] + 3]]

    def group(self, changes: list[list[tuple[Any, ...]]], case: SynchronousTestCase) -> None:
        """Several calls that share a commit."""
        calls = []
        self.sent: set[tuple[int, int]] = set()
        self.together = len(changes) > 1
        for some in changes:
            call = Changes()
            for change in some:
                self.change(call, change)
            calls.append(call)
        first = self.store.commit(Changes())
        given = [self.store.commit(call) for call in calls]
        self.answer(first)
        results: list[Committed] = [self.answer(deferred) for deferred in given]
        self.reference.occurred.clear()
        for call, result in zip(calls, results, strict=True):
            claims, cancels = self.reference.apply(call)
            case.assertEqual(result.claims, claims)
            said = [
                {"UNKNOWN_ID": "unknown", "ALREADY_FINAL": "final"}[entry.refusal.name]
                if isinstance(entry, Refused)
                else [m.id for m in entry]
                for entry in result.cancels
            ]
            case.assertEqual(said, cancels)
            case.assertEqual(len(result.receipts), len(call.receipts))
        case.assertEqual(sorted(as_tuples([e for r in results for e in r.events])), sorted(self.reference.occurred))

    def check(self, case: SynchronousTestCase) -> None:
        """Both hold the same."""
        known = self.reference.messages
        found = {m.id: m for (m,) in self.answer(self.store.find(None, list(known)))}
        for id, expected in known.items():
            m = found[id]
            unsent = expected.unsent if 0 < len(expected.unsent) < len(expected.parts) else ()
            case.assertEqual(
                (m.state, m.claimed, m.connector, m.attempts, m.error if m.state in FINAL else 0, m.unsent),
                (expected.state, expected.claimed, expected.connector, expected.attempts,
                 expected.error if expected.state in FINAL else 0, unsent if expected.state not in FINAL else ()),
            )  # fmt: skip
        due = [m.id for m in self.answer(self.store.queue_page("sim", "demo", (-1000, 0), 1000))]
        case.assertEqual(due, sorted(id for id, m in known.items() if m.queued and not m.due))
        counts: dict[State, int] = {}
        for m in known.values():
            counts[m.state] = counts.get(m.state, 0) + 1
        case.assertEqual(self.answer(self.store.counts()), counts)
        events = self.answer(self.store.events("demo", "smpp", (0, 0), 1000))
        case.assertEqual(
            as_tuples(events), [(id, kind, *said) for (id, kind), said in sorted(self.reference.events.items())]
        )
        unknown = {p.report.remote_id for p in self.answer(self.store.parked(1000))} - self.reference.used
        case.assertEqual(unknown, set(self.reference.parked) - self.reference.used)
        awaited = self.answer(self.store.awaited_receipts("sim", (0, 0), 1000))
        expected_ids = {
            key for key, (id, seq) in self.reference.awaited.items() if known[id].parts[seq - 1] is State.ENROUTE
        }
        case.assertLessEqual(expected_ids, {a.remote_id for a in awaited})

    def end(self, case: SynchronousTestCase) -> None:
        """What comes due is queued; what is claimed is found after a restart, and nothing else."""
        known = self.reference.messages
        released = [id for _, _, id in self.answer(self.store.release_due(FAR, 1000))]
        case.assertEqual(sorted(released), sorted(id for id, m in known.items() if m.queued and m.due))
        self.answer(self.store.close())
        self.open()
        found = {(part.message.id, part.seq) for part in self.answer(self.store.recover_claims(0, 1000))}
        case.assertEqual(found, {(id, seq) for id, m in known.items() if m.claimed for seq in m.unsent})


class ReferenceTests(SynchronousTestCase):
    """Sequences of calls."""

    def compare(self, world: World, steps: list[Any]) -> None:
        """For any calls in any groups, with restarts and losses of the cache in between, the store has the same
        messages and events as the reference."""
        comparison = Comparison(world)
        try:
            for step in steps:
                if step == "reopen":
                    self.assertIsNone(comparison.answer(comparison.store.close()))
                    comparison.open()
                elif step == "forget":
                    comparison.store.forget()
                else:
                    comparison.group(step, self)
                comparison.check(self)
            comparison.end(self)
        finally:
            comparison.answer(comparison.store.close())

    @settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
    @example(TWO_RECEIPTS_BEFORE_SENT)
    @given(st.lists(STEP, min_size=1, max_size=12))
    def test_sqlite(self, steps: list[Any]) -> None:
        """SQLite; in memory instead of on a disk, where there is a directory for that: thousands of commits are
        made."""
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as path:
            self.compare(SqliteWorld(Path(path)), steps)

    @settings(max_examples=200, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
    @example(TWO_RECEIPTS_BEFORE_SENT)
    @given(st.lists(STEP, min_size=1, max_size=12))
    def test_memory(self, steps: list[Any]) -> None:
        """Tables in memory."""
        self.compare(MemoryWorld(), steps)

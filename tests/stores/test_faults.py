"""What stores do when their engine fails: the n-th step, for every n, on every engine."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.changes import Cancel, Changes, Committed, Conditional, Limit, Once, PartEnded, PartSent, Requeued
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.stores import MessageStore
from tests.stores.faulty import Fault, FaultyEngine
from tests.stores.reference import Reference
from tests.stores.support import START, as_tuples, new, outcomes, receipt, receipts, sent
from tests.stores.worlds import MemoryWorld, SqliteWorld, World, answer, opened

BREAKING = {"unknown", "unknown, not kept"}
"""Faults after which nothing is promised any more."""

KEPT = {"stale", "unknown"}
"""Faults after which the call that failed, or was tried again, is stored."""


class Faults:
    """A life in one world: calls of every kind, of which one meets a fault, and what is stored then."""

    def __init__(self, world: World, fault: Fault, at: int, times: int = 1) -> None:
        self.world = world
        self.engine = FaultyEngine(world.engine(), fault)
        self.store = MessageStore(self.engine, "gw1", lambda: START)
        assert answer(world, self.store.open()) is None
        self.failed: list[Failure] = []
        self.store.failed.addErrback(self.failed.append)
        self.engine.count, self.engine.at, self.engine.times = 0, at, times
        self.reference = Reference()

    def answer(self, deferred: Deferred[Any]) -> Any:
        """What a call gave."""
        return answer(self.world, deferred)

    def life(self) -> list[tuple[Changes, Committed | Failure]]:
        """Calls one after the other, each with its result; the reference does what succeeded, or was kept."""
        try:
            plain, parts = new(self.store), new(self.store, parts=2)
            queued, cancelled, late = (new(self.store, claimed=False) for _ in range(3))
        except StoreDown:
            return []
        calls = [
            Changes(accepts=[plain, parts, queued, cancelled]),
            Changes(claims=[queued]),
            Changes(outcomes=[sent(plain, "a"), sent(parts, "b", 1)], receipts=[receipt("unknown")]),
            outcomes(PartEnded(parts, 2, State.REJECTED, 1), Requeued(queued, "sim", 0.0, True)),
            Changes(receipts=[receipt("a")], cancels=[Cancel(None, cancelled.id)]),
            receipts(receipt("b")),
            Changes(
                accepts=[late],
                conditions=[Conditional([late], [Once("demo", "k", START + 9), Limit("demo", "l", 0.0, 3, 5)])],
            ),
        ]
        made = []
        for call in calls:
            committed = self.answer(self.store.commit(call))
            made.append((call, committed))
            if not isinstance(committed, Failure) or self.kept(committed):
                stored = {m.id for m in call.accepts} | set(self.reference.messages)
                self.reference.apply(_about(call, stored))
                self.reference.used.update(one.remote_id for one in call.outcomes if isinstance(one, PartSent))
        return made

    def kept(self, failure: Failure) -> bool:
        """Whether the call that failed was stored all the same."""
        return self.engine.fault == "unknown" and failure.check(UnknownOutcome) is not None


def _about(call: Changes, stored: set[int]) -> Changes:
    """The call, but for what is about messages that are not stored."""
    return Changes(
        accepts=call.accepts,
        claims=[m for m in call.claims if m.id in stored],
        outcomes=[one for one in call.outcomes if one.message.id in stored],
        receipts=call.receipts,
        cancels=call.cancels,
    )


class FaultTests(SynchronousTestCase):
    """Every step of every kind fails in turn."""

    def worlds(self) -> list[World]:
        """A fresh one of each engine."""
        memory = Path("/dev/shm")
        path = tempfile.mkdtemp(dir=memory if memory.is_dir() else None)
        self.addCleanup(shutil.rmtree, path)
        return [MemoryWorld(), SqliteWorld(Path(path))]

    def check(self, life: Faults) -> None:
        """What a store without faults finds afterwards is what was promised."""
        life.answer(life.store.close())
        store = opened(life.world, lambda: START)
        try:
            known = life.reference.messages
            found = answer(life.world, store.find(None, list(range(1, 6))))
            self.assertEqual({m.id: m.state for some in found for m in some}, {id: m.state for id, m in known.items()})
            counts: dict[State, int] = {}
            for one in known.values():
                counts[one.state] = counts.get(one.state, 0) + 1
            self.assertEqual(answer(life.world, store.counts()), counts)
            events = as_tuples(answer(life.world, store.events("demo", "smpp", (0, 0), 99)))
            expected = [(id, kind, *said) for (id, kind), said in sorted(life.reference.events.items())]
            self.assertEqual(events, expected)
            queue = answer(life.world, store.queue_page("sim", "demo", (-1000, 0), 99))
            self.assertEqual([m.id for m in queue], sorted(id for id, m in known.items() if m.queued))
            claimed = {part.message.id for part in answer(life.world, store.recover_claims(0, 99))}
            self.assertEqual(claimed, {id for id, m in known.items() if m.claimed})
            parked = {one.report.remote_id for one in answer(life.world, store.parked(9))}
            self.assertEqual(parked - life.reference.used, set(life.reference.parked) - life.reference.used)
        finally:
            answer(life.world, store.close())

    def each(self, fault: Fault, times: int = 1) -> list[list[tuple[Changes, Committed | Failure]]]:
        """Let each step fail in turn; the calls of each life with their results."""
        lives = []
        for number in range(len(self.worlds())):
            at = 1
            while True:
                life = Faults(self.worlds()[number], fault, at, times)
                made = life.life()
                if life.engine.count < at:
                    life.answer(life.store.close())
                    break
                self.assertEqual(len(life.failed), fault in BREAKING, (fault, at))
                self.check(life)
                lives.append(made)
                at += 1
        self.assertGreater(len(lives), 6)
        return lives

    def failures(self, made: list[tuple[Changes, Committed | Failure]]) -> list[Failure]:
        """The calls that failed."""
        return [result for _, result in made if isinstance(result, Failure)]

    def test_write(self) -> None:
        """A write that fails costs its call alone; nothing of it is stored, and the store goes on."""
        for made in self.each("write"):
            (failure,) = self.failures(made)
            failure.trap(StoreDown)

    def test_load(self) -> None:
        """So does a load."""
        for made in self.each("load"):
            (failure,) = self.failures(made)
            failure.trap(StoreDown)

    def test_unknown_outcome(self) -> None:
        """After a commit of unknown outcome nothing is promised any more, whether it happened or not."""
        for fault in ("unknown", "unknown, not kept"):
            for made in self.each(fault):  # type: ignore[arg-type]
                first, *others = self.failures(made)
                first.trap(UnknownOutcome)
                for failure in others:
                    failure.trap(StoreDown)
                self.assertIs(made[-1][1], [first, *others][-1])

    def test_stale(self) -> None:
        """A guard that fails is not noticed: the call is decided anew, alone the third time."""
        for times in (1, 2, 3):
            for made in self.each("stale", times):
                self.assertEqual(self.failures(made), [])

    def test_stale_for_ever(self) -> None:
        """Guards that always fail cost the call, not the store."""
        for made in self.each("stale", 22):
            for failure in self.failures(made):
                failure.trap(StoreDown)

    def test_bad_data(self) -> None:
        """Data that cannot be stored cost their call alone, and are logged."""
        lives = self.each("bad data")
        for made in lives:
            (failure,) = self.failures(made)
            failure.trap(StoreDown)
            self.assertIsInstance(failure.value.__cause__, ValueError)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), len(lives))

    def test_group(self) -> None:
        """Of calls that share a commit, those whose data can be stored are, in their order."""
        for world in self.worlds():
            life = Faults(world, "bad data", 2)
            messages = [new(life.store) for _ in range(4)]
            first = life.store.commit(Changes())
            calls = [life.store.commit(Changes(accepts=[m])) for m in messages]
            life.engine.count = 0
            results = [life.answer(call) for call in [first, *calls]]
            self.assertEqual([isinstance(result, Failure) for result in results], [False] * 5)
            stored: list[list[Message]] = life.answer(life.store.find(None, [m.id for m in messages]))
            self.assertEqual([len(some) for some in stored], [1] * 4)
            life.answer(life.store.close())

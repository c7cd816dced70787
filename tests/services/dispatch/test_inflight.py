from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import ConnectorSettings
from smsgw.model.changes import PartEnded, PartSent, Requeued
from smsgw.model.message import Message, Part
from smsgw.model.outcome import Busy, Lost, Outcome, Rejected, Sent
from smsgw.services.clock import CheckedClock
from smsgw.services.dispatch.fairqueue import parts_of
from smsgw.services.dispatch.guard import GuardedConnector
from smsgw.services.dispatch.inflight import InFlight
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.services.dispatch.outcomes import OutcomeBatch
from smsgw.services.dispatch.retrypolicy import RetryPolicy
from tests.services.dispatch.support import DAY, NOON, HandConnector, message

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.lists(st.integers(1, 4), min_size=1, max_size=4)),
        st.tuples(st.just("flush"), st.none()),
        st.tuples(st.just("answer"), st.lists(
            st.sampled_from([Sent("x"), Rejected(1), Busy(), Busy(0.0, False), Lost()]), min_size=1, max_size=5)),
        st.tuples(st.just("commit"), st.booleans()),
        st.tuples(st.just("fail"), st.none()),
        st.tuples(st.just("recall"), st.none()),
        st.tuples(st.just("tokens"), st.integers(0, 8)),
    ),
    max_size=40,
)  # fmt: skip


class Sheet:
    """An InFlight of a connector, and what the store knows of its messages.

    :ivar commits: outcomes and claims under way, in order. :ivar failed: outcomes to be committed again.
    :ivar open: parts that are claimed in the store and have no committed outcome, by message.
    """

    def __init__(self, window: int) -> None:
        self.connector = HandConnector(window=window)
        self.connector.sink = self  # type: ignore[assignment]
        own = ConnectorSettings(name="sim", window=window)
        metrics = DispatchMetrics()
        policy = RetryPolicy(own, lambda one: one.connector, CheckedClock(lambda: NOON, lambda: 0.0), metrics)
        guarded = GuardedConnector("sim", self.connector, Clock(), metrics)
        self.inflight = InFlight(guarded, own, policy, DAY, metrics, lambda: 0.0)
        self.window = window
        self.serial = 0
        self.commits: list[tuple[OutcomeBatch, list[Message]]] = []
        self.failed: list[OutcomeBatch] = []
        self.open: dict[int, set[int]] = {}

    def ready(self, connector: str) -> None:
        """The connector has room."""

    def claim(self, sizes: Sequence[int]) -> None:
        """Claim messages of these sizes from the first on, as far as there is room."""
        room = self.inflight.free()
        messages = []
        for parts in sizes:
            if parts > room:
                break
            room -= parts
            self.serial += 1
            messages.append(message(self.serial, parts=parts))
        if messages:
            self.inflight.claim(messages)
            self.commits.append((OutcomeBatch([]), messages))

    def flush(self, _: object) -> None:
        """There may be room for what waits."""
        assert self.inflight.flush() == []

    def answer(self, outcomes: Sequence[Outcome]) -> None:
        """The connector gives outcomes; they are committed in order."""
        if not self.failed:
            parts = self.connector.waiting
            some, self.connector.waiting = parts[: len(outcomes)], parts[len(outcomes) :]
            self.begin(self.inflight.answered(list(zip(some, outcomes, strict=False)), NOON, 0.0))

    def recall(self, _: object) -> None:
        """What waits for room goes back, behind outcomes that came before."""
        if not self.failed:
            self.begin(self.inflight.recall(NOON))

    def begin(self, batch: OutcomeBatch) -> None:
        """Begin to commit; what changes nothing needs none."""
        if batch.changes:
            self.commits.append((batch, []))
        else:
            assert batch.freed == 0

    def commit(self, ours: bool) -> None:
        """The oldest commit succeeds; the first message that it claims may have been cancelled meanwhile."""
        failed, self.failed = self.failed, []
        for batch in failed:
            self.inflight.committing(batch)
            self.begin(batch)
        if not self.commits:
            return
        batch, claims = self.commits.pop(0)
        for change in batch.changes:
            open_parts = self.open[change.message.id]
            if isinstance(change, Requeued):
                open_parts.clear()
            else:
                open_parts.discard(change.seq)
            if not open_parts:
                del self.open[change.message.id]
        self.inflight.committed(batch)
        if not ours:
            self.inflight.unclaim(claims[:1])
            del claims[:1]
        for one in claims:
            self.open[one.id] = set(range(1, one.parts + 1))
        self.inflight.own(claims)
        if claims:
            assert self.inflight.send(claims) == []

    def fail(self, _: object) -> None:
        """Every commit under way fails."""
        commits, self.commits = self.commits, []
        for batch, claims in commits:
            self.inflight.failed(batch)
            self.inflight.unclaim(claims)
            if batch.changes:
                self.failed.append(batch)

    def tokens(self, count: int) -> None:
        """The connector's rate lets so many parts pass."""
        self.connector.tokens = count

    def check(self) -> None:
        """What holds at every moment."""
        claiming = [one for _, claims in self.commits for one in claims]
        freeing = sum(batch.freed for batch, _ in self.commits)
        open_parts = sum(map(len, self.open.values()))
        assert open_parts <= self.window
        assert open_parts + sum(map(parts_of, claiming)) <= self.window + freeing
        assert len(self.inflight) == len(self.connector.waiting)
        assert 0 <= self.connector.taken <= self.window
        assert {one.id for one in claiming} == self.inflight.claiming


class PropertyTests(SynchronousTestCase):
    """The promises of the window under any sequence of events."""

    @given(STEPS, st.integers(1, 6))
    @settings(max_examples=300, deadline=None)
    def test_window(self, steps: list[tuple[str, Any]], window: int) -> None:
        """What is claimed without a committed outcome fits the window; in the end every slot is free."""
        sheet = Sheet(window)
        for step, argument in steps:
            getattr(sheet, step)(argument)
            sheet.check()
        sheet.tokens(1000)
        for _ in range(1000):
            sheet.commit(True)
            sheet.flush(None)
            sheet.answer([Sent("x")])
            if not (sheet.commits or sheet.connector.waiting or sheet.inflight.claimed):
                break
        self.assertEqual(sheet.open, {})
        self.assertTrue(sheet.inflight.idle)
        self.assertEqual((sheet.connector.taken, sheet.inflight.reserved, sheet.inflight.free()), (0, 0, window))


class AnsweredTests(SynchronousTestCase):
    """What outcomes mean."""

    def setUp(self) -> None:
        """Two messages in flight."""
        self.sheet = Sheet(10)
        self.sheet.claim([1, 2])
        self.sheet.commit(True)
        self.inflight = self.sheet.inflight
        self.one, self.first, self.second = self.sheet.connector.waiting

    def test_kinds(self) -> None:
        """Each outcome is a change; a message that came back is decided when its last part is known."""
        batch = self.inflight.answered([(self.one, Rejected(5)), (self.first, Busy(7.0))], NOON, 0.0)
        self.assertEqual([type(change) for change in batch.changes], [PartEnded])
        self.assertEqual((batch.freed, batch.requeued), (1, []))
        batch = self.inflight.answered([(self.second, Sent("x"))], NOON, 0.0)
        self.assertEqual([type(change) for change in batch.changes], [PartSent, Requeued])
        self.assertEqual((batch.freed, batch.at_once, batch.requeued[0].due), (2, False, NOON + 7))

    def test_at_once(self) -> None:
        """What goes back to the same connector without a pause is marked."""
        batch = self.inflight.answered([(self.one, Busy(0.0, charged=False))], NOON, 0.0)
        self.assertTrue(batch.at_once)

    def test_twice(self) -> None:
        """An outcome that is given twice in one list counts once."""
        batch = self.inflight.answered([(self.one, Sent("a")), (self.one, Sent("b"))], NOON, 0.0)
        self.assertEqual(([type(change) for change in batch.changes], batch.freed), ([PartSent], 1))

    def test_unknown_part(self) -> None:
        """An outcome of a part that is not in flight changes nothing, and the others of its list count."""
        stray = Part(message(99), 1)
        batch = self.inflight.answered([(stray, Sent("a")), (self.one, Sent("b"))], NOON, 0.0)
        self.assertEqual([change.message.id for change in batch.changes], [1])

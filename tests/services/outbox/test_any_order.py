"""An outbox to which everything happens in any order: each event is sent, in the order of its message."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.errors import StoreDown
from smsgw.model.message import Event
from smsgw.services.clock import CheckedClock
from smsgw.services.outbox.outbox import Outbox
from tests.configured import configured
from tests.services.outbox.support import ENROUTE, FINAL, ByHandPath, ByHandStore, event, name

TOTAL, WINDOW = 3, 4
"""Events in memory, and under way for one account, where anything may happen."""


class OutboxMachine(RuleBasedStateMachine):
    """Binds, messages, answers, failures and slow disks in any order, with a memory of a few events."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = ByHandStore()
        self.path = ByHandPath()
        self.outbox = Outbox(
            configured(event_keep=1e9),
            self.store,  # type: ignore[arg-type]
            self.clock,
            CheckedClock(lambda: 1000.0 + self.clock.seconds(), self.clock.seconds),
            per_account=3,
            total=TOTAL,
            share=1,
            page=2,
        )
        self.outbox.attach(self.path)
        self.outbox.start()
        self.last = 0
        self.open: list[tuple[int, str]] = []
        self.happened: set[tuple[int, int]] = set()
        self.acknowledged: list[tuple[int, int]] = []
        self.seen = 0

    @rule(count=st.integers(1, 6), account=st.sampled_from("ab"), both=st.booleans())
    def accept(self, count: int, account: str, both: bool) -> None:
        """Messages are handed to the operator, or end at once."""
        events = []
        for _ in range(count):
            self.last += 1
            events.append(event(self.last, ENROUTE if both else FINAL, account))
            if both:
                self.open.append((self.last, account))
        self.occur(events)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 20))
    def finish(self, which: int) -> None:
        """A message that was handed to the operator becomes final."""
        id, account = self.open.pop(which % len(self.open))
        self.occur([event(id, FINAL, account)])

    def occur(self, events: list[Event]) -> None:
        """They are stored, then passed to the outbox."""
        self.store.add(*events)
        self.happened.update(map(name, events))
        self.outbox.occurred(events)

    @rule(account=st.sampled_from("ab"), room=st.integers(0, WINDOW))
    def bind(self, account: str, room: int) -> None:
        """A session with another window, or none."""
        under_way = sum(each.message.account == account for each in self.path.under_way)
        self.path.bind(account, room - under_way)

    @precondition(lambda self: self.path.under_way)
    @rule(which=st.integers(0, 20), how=st.sampled_from(["acknowledged"] * 3 + ["later", "returned"]))
    def answer(self, which: int, how: str) -> None:
        """The receiver answers something that is under way."""
        each = self.path.under_way[which % len(self.path.under_way)]
        self.path.answered([each])
        if how == "acknowledged":
            self.acknowledged.append(name(each))
            self.path.sink.acknowledged([each])
        elif how == "later":
            self.path.sink.retry([each], 2.0)
        else:
            self.path.sink.requeue([each])
        self.path.sink.ready(each.message.account)

    @rule(by_hand=st.booleans(), broken=st.booleans(), backwards=st.booleans())
    def disk(self, by_hand: bool, broken: bool, backwards: bool) -> None:
        """The store gets slow, fast, broken or whole; what it was asked is answered then."""
        self.store.broken = StoreDown("no") if broken else None
        self.store.by_hand = by_hand
        self.store.work()
        self.store.answer(backwards)

    @rule()
    def slowly(self) -> None:
        """The store works, but its results come later."""
        self.store.work()

    @rule(seconds=st.sampled_from([0, 1, 3]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.clock.advance(seconds)

    @invariant()
    def orderly(self) -> None:
        """Nothing is under way twice; an event never goes out before an earlier one of its message is acknowledged;
        nothing acknowledged goes out again; memory is bounded."""
        under_way = [name(each) for each in self.path.under_way]
        assert len(under_way) == len(set(under_way))
        acknowledged = set(self.acknowledged)
        for id, kind in (name(each) for each in self.path.log[self.seen :]):
            if kind == FINAL and (id, int(ENROUTE)) in self.happened:
                assert (id, int(ENROUTE)) in acknowledged
        self.seen = len(self.path.log)
        assert len(self.acknowledged) == len(acknowledged)
        assert self.outbox._held == sum(len(queue.held) for queue in self.outbox._queues["smpp"].values())
        assert self.outbox._held <= TOTAL + len("ab")

    def teardown(self) -> None:
        """Once everything works again, every event is sent, and none stays behind."""
        self.disk(False, False, False)
        for _ in range(60):
            for account in "ab":
                self.bind(account, 3)
            for each in list(self.path.under_way):
                self.path.answered([each])
                self.acknowledged.append(name(each))
                self.path.sink.acknowledged([each])
            self.orderly()
            self.clock.advance(1)
            self.disk(False, False, False)
        assert set(self.acknowledged) == self.happened
        assert self.outbox._held == 0
        assert not any(self.store.rows.values())


class AnyOrderTests(SynchronousTestCase):
    """The promises of the outbox under any sequence of events."""

    def test_any_order(self) -> None:
        """Each event is sent at least once, never twice at a time, in the order of its message, in bounded memory."""
        run_state_machine_as_test(
            OutboxMachine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
        )

    def test_two_pages_at_once(self) -> None:
        """Pages that are read at the same time, for two accounts, do not bring more than memory may hold."""
        state = OutboxMachine()
        state.bind(account="b", room=1)
        state.accept(account="a", both=True, count=5)
        state.accept(account="b", both=True, count=3)
        state.disk(backwards=False, broken=False, by_hand=True)
        for _ in range(3):
            state.finish(which=0)
        state.answer(how="acknowledged", which=0)
        state.bind(account="a", room=1)
        state.finish(which=2)
        state.disk(backwards=False, broken=False, by_hand=False)
        state.orderly()
        state.teardown()

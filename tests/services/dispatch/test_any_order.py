"""A gateway with little memory to which everything happens in any order: no message is lost, doubled or overtaken."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.interfaces import MessageFilter
from smsgw.model.changes import Cancel, Changes, Committed
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.model.outcome import Busy
from smsgw.services.dispatch.fairqueue import lane_of
from tests.services.dispatch.support import HandConnector, ids, message
from tests.services.dispatch.test_backlog import BacklogTestCase

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2),
                                                        st.sampled_from([b"one", b"two"])), min_size=1, max_size=12)),
        st.tuples(st.just("answer"), st.integers(1, 6)),
        st.tuples(st.just("work"), st.integers(1, 3)),
        st.tuples(st.just("work"), st.integers(1, 3)),
        st.tuples(st.just("cancel"), st.integers(1, 60)),
        st.tuples(st.just("crash"), st.booleans()),
        st.tuples(st.just("down"), st.none()),
        st.tuples(st.just("busy"), st.integers(1, 4)),
        st.tuples(st.just("trouble"), st.booleans()),
        st.tuples(st.just("tick"), st.none()),
    ),
    max_size=20,
)


class Play:
    """A gateway with little memory to which everything happens, the store's work included, step by step."""

    def __init__(self, rig: BacklogTestCase, window: int, by_hand: bool) -> None:
        self.rig = rig
        self.window = window
        self.by_hand = by_hand
        self.made: dict[int, Message] = {}
        self.stored: set[int] = set()
        self.cancelled: set[int] = set()
        self.in_doubt: set[int] = set()
        self.sent: list[int] = []
        self.start()

    def start(self) -> None:
        """Begin to run; what is claimed in the store now is in doubt."""
        rig = self.rig
        listed = rig.successResultOf(rig.store.list_messages(None, MessageFilter(), 0, 10_000))
        claimed = {one.id for one in listed if one.claimed}
        rig.assertLessEqual(len(claimed), self.window)
        before = rig.metrics.resends["sim"]
        self.sim = rig.begin(HandConnector(window=self.window), retry_first=0.1, retry_limit=0.1)
        rig.assertEqual(rig.metrics.resends["sim"] - before, len(claimed))
        self.in_doubt |= claimed
        rig.runner.by_hand = self.by_hand

    def accept(self, kinds: list[tuple[str, int, bytes]]) -> None:
        """New messages; they count when their commit has returned."""
        fresh = [message(len(self.made) + n, account, priority=priority, text=text)
                 for n, (account, priority, text) in enumerate(kinds, 1)]
        self.made.update({one.id: one for one in fresh})
        accepting = self.rig.dispatch.accept(fresh)
        accepting.addCallbacks(lambda _: self.stored.update(ids(fresh)), lambda failure: failure.trap(StoreDown))

    def answer(self, count: int) -> None:
        """Answers of the upstream."""
        self.sim.answer(count=count)

    def work(self, steps: int) -> None:
        """The store gets on."""
        self.rig.runner.work(steps)

    def cancel(self, id: int) -> None:
        """The sender changes its mind."""

        def done(committed: Committed) -> None:
            (answer,) = committed.cancels
            if isinstance(answer, list):
                self.cancelled.update(ids(answer))
                self.rig.dispatch.withdraw(answer)

        cancelling = self.rig.store.commit(Changes(cancels=[Cancel(None, id)]))
        cancelling.addCallbacks(done, lambda failure: failure.trap(StoreDown))

    def busy(self, count: int) -> None:
        """The upstream is busy: these are sent again later."""
        self.in_doubt |= {part.message.id for part in self.sim.waiting[:count]}
        self.sim.answer(Busy(), count)

    def trouble(self, down: bool) -> None:
        """The store takes nothing from now on, or it takes commits again."""
        self.rig.store.trouble = StoreDown("full") if down else None

    def down(self, _: object) -> None:
        """The link goes and comes back."""
        self.in_doubt |= {part.message.id for part in self.sim.waiting}
        self.sim.go_down()
        self.sim.come_up()

    def crash(self, unanswered: bool) -> None:
        """kill -9; perhaps after a commit whose result did not reach dispatch."""
        self.sent += [id for id, _ in self.sim.sent]
        if unanswered:
            self.rig.runner.dead = True
            self.rig.runner.work(1)
        self.rig.crash()
        self.start()

    def tick(self, _: object) -> None:
        """What happens every second."""
        self.rig.clock.advance(1)
        self.rig.store.release_due(self.rig.now(), 100).addCallback(self.rig.dispatch.promoted)
        self.rig.dispatch.tick()

    def finish(self) -> None:
        """Let everything leave."""
        self.rig.store.trouble = None
        self.rig.runner.by_hand = False
        self.rig.runner.work()
        idle = 0
        while idle < 2:
            idle = 0 if self.sim.waiting else idle + 1
            while self.sim.waiting:
                self.sim.answer()
            self.tick(None)
        self.sent += [id for id, _ in self.sim.sent]


class AnyOrderTests(SynchronousTestCase):
    """The promises of dispatch under any sequence of events."""

    @given(STEPS, st.integers(1, 6), st.integers(1, 8), st.booleans())
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_nothing_lost(self, steps: list[tuple[str, Any]], window: int, memory: int, by_hand: bool) -> None:
        """Every message whose acceptance was committed is sent, or cancelled; twice only if it was returned, or if a
        crash or a lost link left it in doubt, which is at most a window and counted; in order within a lane where none
        of that happened.
        """
        rig = BacklogTestCase()
        rig.mktemp = self.mktemp  # type: ignore[method-assign]
        rig.memory = memory
        rig.setUp()
        try:
            play = Play(rig, window, by_hand)
            for step, argument in steps:
                getattr(play, step)(argument)
                self.assertLessEqual(rig.cached(), memory)
                self.assertLessEqual(len(play.sim.waiting), window)
            play.finish()
            known = self.successResultOf(rig.store.find(None, list(play.made)))
        finally:
            rig.shut()
        offered = play.sent
        cancelled = {one.id for found in known for one in found if one.state is State.CANCELLED}
        self.assertLessEqual(play.cancelled, cancelled)
        self.assertLessEqual(play.stored, set(offered) | cancelled)
        self.assertLessEqual({id for id in offered if offered.count(id) > 1}, play.in_doubt)
        self.assertLessEqual({one.state for found in known for one in found}, {State.ENROUTE, State.CANCELLED})
        if not play.in_doubt:
            last: dict[object, int] = {}
            for id in offered:
                lane = lane_of(play.made[id])
                self.assertGreater(id, last.get(lane, 0))
                last[lane] = id

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smsgw.model.changes import Cancel, Changes
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.services.dispatch.backlog import Backlog
from smsgw.services.dispatch.fairqueue import lane_of
from tests.services.dispatch.support import DispatchTestCase, HandConnector, ids, message


class BacklogTestCase(DispatchTestCase):
    """A dispatch with little memory."""

    memory = 20

    def cached(self, connector: str = "sim") -> int:
        """How many messages wait in memory."""
        return len(self.dispatch._pumps[connector].backlog)

    def drain(self, sim: HandConnector) -> None:
        """Answer until nothing waits, watching the bound."""
        while sim.waiting:
            self.assertLessEqual(self.cached(), self.memory)
            sim.answer()


class MemoryTests(BacklogTestCase):
    """The memory is bounded; the store has everything."""

    def test_bounded(self) -> None:
        """However much comes, memory holds its bound, and all leaves in order, each message once."""
        sim = self.begin()
        for start in range(1, 401, 50):
            self.accept(*[message(id) for id in range(start, start + 50)])
            self.assertLessEqual(self.cached(), self.memory)
        self.drain(sim)
        self.assertEqual(sim.sent, [(id, 1) for id in range(1, 401)])

    def test_bounded_in_parts(self) -> None:
        """Long messages take as much of the memory as they have parts; each part leaves once."""
        sim = self.begin(HandConnector(window=10))
        sizes = {id: (1, 7, 30)[id % 3] for id in range(1, 91)}
        for start in range(1, 91, 30):
            self.accept(*[message(id, parts=sizes[id]) for id in range(start, start + 30)])
            self.assertLessEqual(self.dispatch._pumps["sim"].backlog._queue.size, self.memory)
        self.drain(sim)
        self.assertEqual(sorted(sim.sent), [(id, seq) for id in sizes for seq in range(1, sizes[id] + 1)])

    def test_bounded_after_start(self) -> None:
        """So it is with what an earlier run left."""
        self.begin(HandConnector(window=1))
        self.accept(*[message(id) for id in range(1, 201)])
        self.crash()
        sim = self.begin()
        self.assertLessEqual(self.cached(), self.memory)
        self.accept(*[message(id) for id in range(201, 221)])
        self.drain(sim)
        self.assertEqual(sim.sent, [(id, 1) for id in range(1, 221)])

    def test_code_does_not_wait(self) -> None:
        """A one-off code leaves at once although its account's campaign fills the memory and more."""
        for restarted in (False, True):
            sim = self.begin(HandConnector(window=2))
            first = 1000 * restarted + 1
            self.accept(*[message(id, text=b"Big sale today") for id in range(first, first + 200)])
            if restarted:
                self.crash()
                sim = self.begin(HandConnector(window=2))
            codes = [message(first + 500 + n, text=b"Code 1234") for n in range(3)]
            self.accept(codes[0])
            sim.answer()
            self.assertIn((codes[0].id, 1), sim.sent[-2:])
            self.accept(codes[1], codes[2])
            sim.answer()
            sim.answer()
            self.assertLessEqual({(codes[1].id, 1), (codes[2].id, 1)}, set(sim.sent))
            self.drain(sim)
            self.assertEqual(len(sim.sent), len(set(sim.sent)))
            self.assertEqual(self.waiting(), 0)

    def test_campaign_keeps_its_order(self) -> None:
        """New messages of a lane that has rows in the store only wait behind those."""
        sim = self.begin(HandConnector(window=5))
        self.accept(*[message(id, text=b"Big sale today") for id in range(1, 101)])
        for id in range(101, 141):
            sim.answer(count=1)
            self.accept(message(id, text=b"Big sale today"))
        self.drain(sim)
        self.assertEqual(sim.sent, [(id, 1) for id in range(1, 141)])

    def test_accounts_share(self) -> None:
        """Accounts whose backlog is in the store only get their share of memory and turns."""
        self.begin(HandConnector(window=1))
        self.accept(*[message(id, "big") for id in range(1, 301)])
        self.accept(*[message(id, "small") for id in range(301, 341)])
        self.crash()
        sim = self.begin(HandConnector(window=10))
        for _ in range(6):
            sim.answer()
        small = [id for id, _ in sim.sent if id > 300]
        self.assertGreater(len(small), 20)
        self.assertEqual(small, list(range(301, 301 + len(small))))

    def test_urgent_first(self) -> None:
        """More urgent messages of an account come before others that were left to the store earlier."""
        sim = self.begin(HandConnector(window=1))
        self.accept(*[message(id) for id in range(1, 101)])
        self.accept(*[message(id, priority=3) for id in range(101, 121)])
        for _ in range(30):
            sim.answer()
        self.assertEqual(len([id for id, _ in sim.sent if id > 100]), 20)

    def test_cancelled_beyond_memory(self) -> None:
        """Cancellation what is in the store only leaves nothing behind."""
        sim = self.begin(HandConnector(window=1))
        waiting = [message(id) for id in range(1, 101)]
        self.accept(*waiting)
        gone = waiting[30:]
        self.successResultOf(self.store.commit(Changes(cancels=[Cancel("demo", one.id) for one in gone])))
        self.dispatch.withdraw(gone)
        self.drain(sim)
        self.assertEqual(sim.sent, [(id, 1) for id in range(1, 31)])
        self.dispatch.tick()
        self.assertTrue(self.dispatch._pumps["sim"].backlog.empty)

    def test_all_expired(self) -> None:
        """A backlog whose validity is over ends without being sent and without stopping the rest."""
        sim = self.begin(HandConnector(window=2))
        self.accept(*[message(id, expires=self.now() + 5) for id in range(1, 101)], message(200))
        self.clock.advance(10)
        self.drain(sim)
        self.assertEqual(sim.sent, [(1, 1), (2, 1), (200, 1)])
        self.assertEqual(self.successResultOf(self.store.counts())[State.EXPIRED], 98)

    def test_scheduled_beyond_memory(self) -> None:
        """More messages may come due at once than memory holds."""
        sim = self.begin(HandConnector(window=5))
        due = self.now() + 60
        self.accept(*[message(id, state=State.SCHEDULED, due=due) for id in range(1, 101)])
        self.clock.advance(61)
        self.promote()
        self.drain(sim)
        self.assertEqual(sim.sent, [(id, 1) for id in range(1, 101)])

    def test_reading_fails(self) -> None:
        """A page that cannot be read is asked for again with the next tick."""
        sim = self.begin(HandConnector(window=5))
        self.accept(*[message(id) for id in range(1, 101)])
        queued = self.store.queue_page

        def broken(*_: object) -> None:
            raise StoreDown("I/O error")

        from twisted.internet.defer import maybeDeferred

        self.patch(self.store, "queue_page", lambda *_: maybeDeferred(broken))
        self.drain(sim)
        self.assertEqual(len(sim.sent), 25)
        self.patch(self.store, "queue_page", queued)
        self.dispatch.tick()
        self.drain(sim)
        self.assertEqual(sim.sent, [(id, 1) for id in range(1, 101)])


class PageTests(DispatchTestCase):
    """What happens while a page is read."""

    def make(self, capacity: int, connector: str = "sim") -> Backlog:
        """A backlog for sim."""
        self.roused = 0
        self.claiming: set[int] = set()

        def rouse() -> None:
            self.roused += 1

        return Backlog(connector, self.store, rouse, self.claiming, capacity=capacity, page=4)

    def queue(self, *numbers: int, **changes: object) -> list[int]:
        """Put messages into the store, unclaimed."""
        made = [message(id, **changes) for id in numbers]  # type: ignore[arg-type]
        self.successResultOf(self.store.commit(Changes(accepts=made)))
        return ids(made)

    def taken(self, backlog: Backlog) -> list[int]:
        """Take everything that can be had without another look at the store."""
        out: list[int] = []
        while some := backlog.take(3):
            out += ids(some)
            backlog.refill()
        return out

    def test_arrival_while_reading(self) -> None:
        """A message that arrives while a page is read is neither lost nor doubled, whether the page has it or not."""
        for stored_before in (True, False):
            base = 100 * stored_before
            backlog = self.make(100)
            self.queue(*range(base + 1, base + 4))
            self.runner.by_hand = True
            loading = backlog.load()
            self.runner.todo.pop(0)()
            if stored_before:
                self.store.commit(Changes(accepts=[message(base + 4)]))
                self.runner.work()
                backlog.add([message(base + 4)])
                self.runner.by_hand = False
            else:
                self.runner.work()
                self.runner.by_hand = False
                self.queue(base + 4)
                backlog.add([message(base + 4)])
            self.successResultOf(loading)
            out = self.taken(backlog)
            self.assertEqual(out[-4:], [base + 1, base + 2, base + 3, base + 4])
            self.assertEqual(len(out), len(set(out)))
            self.assertTrue(backlog.empty)
            self.successResultOf(self.store.commit(Changes(cancels=[Cancel(None, id) for id in out])))

    def test_missed_by_an_empty_page(self) -> None:
        """A message that arrives while a page is read which does not have it is read at once, not a second later."""
        backlog = self.make(4)
        self.queue(*range(1, 5))
        self.successResultOf(backlog.load())
        self.assertEqual(ids(backlog.take(4)), [1, 2, 3, 4])
        self.claiming.update(range(1, 5))
        self.successResultOf(self.store.commit(Changes(cancels=[Cancel(None, id) for id in range(1, 5)])))
        self.runner.by_hand = True
        backlog.refill()
        self.store.commit(Changes(accepts=[message(5)]))
        backlog.add([message(5)])
        self.assertEqual(len(backlog), 0)
        self.runner.by_hand = False
        self.runner.work()
        self.assertEqual(ids(backlog.take(4)), [5])

    def test_claim_while_reading(self) -> None:
        """A message whose claim is under way while a page is read does not come a second time."""
        backlog = self.make(100)
        self.queue(1, 2, 3)
        self.claiming.add(2)
        self.successResultOf(backlog.load())
        self.assertEqual(self.taken(backlog), [1, 3])

    def test_displaced_while_reading(self) -> None:
        """A message that loses its place in memory while a page is read is read again later."""
        backlog = self.make(6)
        self.queue(*range(1, 13))
        self.successResultOf(backlog.load())
        self.assertEqual(len(backlog), 4)
        out = ids(backlog.take(2))
        self.runner.by_hand = True
        backlog.refill()
        backlog.add([message(50, "other"), message(51, "other"), message(52, "other")])
        self.runner.by_hand = False
        self.runner.work()
        out += self.taken(backlog)
        self.assertEqual([id for id in out if id < 50], list(range(1, 13)))
        self.assertEqual([id for id in out if id >= 50], [50, 51, 52])
        self.assertTrue(backlog.empty)

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([b"x", b"y"]), st.integers(1, 9)), max_size=60),
        st.integers(1, 20),
        st.integers(1, 9),
    )
    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    def test_long_messages(self, kinds: list[tuple[str, bytes, int]], capacity: int, room: int) -> None:
        """However long messages are, memory is bounded in parts, each leaves once and in the order of its lane, and
        accounts do not displace each other for ever."""
        first = self.store.next_id()
        backlog = self.make(capacity, f"connector of example {first}")
        made = {first + n: message(first + n, account, f"connector of example {first}", text=text, parts=parts)
                for n, (account, text, parts) in enumerate(kinds)}  # fmt: skip
        for _ in kinds:
            self.store.next_id()
        self.successResultOf(self.store.commit(Changes(accepts=list(made.values()))))
        self.successResultOf(backlog.load())
        out: list[int] = []
        for _ in range(2 * len(kinds) + 2):
            self.assertLessEqual(backlog._queue.size, capacity)
            some = ids(backlog.take(room, whole=True))
            self.claiming.update(some)
            out += some
            backlog.refill()
        self.assertTrue(backlog.empty)
        self.assertEqual(sorted(out), list(made))
        lanes: dict[object, int] = {}
        for id in out:
            self.assertGreater(id, lanes.get(lane_of(made[id]), 0))
            lanes[lane_of(made[id])] = id

    def test_rouses(self) -> None:
        """`filled` is called when a page added messages to memory."""
        backlog = self.make(100)
        self.queue(1)
        self.successResultOf(backlog.load())
        self.assertEqual(self.roused, 1)

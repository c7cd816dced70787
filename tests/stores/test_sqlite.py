"""The SQLite store: what every store promises, and what only this one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Changes, Ended
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.stores import ledger, memory, opening, sqlite
from smsgw.stores.groupcommit import Inline, Runner, StoreThread
from smsgw.stores.sqlite import SqliteStore
from tests.stores.conformance import MessageStoreTests
from tests.stores.support import START, new, outcomes, receipt, receipts, sent


class InlineTests(MessageStoreTests, TestCase):
    """What every store promises, its work done at once: nothing depends on threads."""

    def runner(self) -> Runner:
        """Where the work is done."""
        return Inline()

    async def make_store(self) -> IMessageStore:
        self.path = self.mktemp()
        self.addCleanup(self.close)
        return self.opened()

    def opened(self) -> SqliteStore:
        """A store on this test's directory."""
        store = SqliteStore(self.path, "gw1", self.clock.seconds, self.runner())
        store.open()
        return store

    async def reopen(self) -> None:
        await self.store.close()
        self.store = self.opened()

    def close(self) -> Deferred[None]:
        """After the test."""
        return self.store.close()


class FromThread:
    """The reactor, as far as a store thread needs it."""

    def callFromThread(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Let the reactor's thread make the call."""
        from twisted.internet import reactor

        reactor.callFromThread(call, *arguments)  # type: ignore[attr-defined]


class ThreadTests(InlineTests):
    """The same in a thread, as the program does it."""

    def runner(self) -> Runner:
        return StoreThread(FromThread())


class SqliteTests(SynchronousTestCase):
    """What only this store does."""

    def setUp(self) -> None:
        """A store."""
        self.clock = Clock()
        self.clock.advance(START)
        self.path = self.mktemp()
        self.store = self.opened()
        self.addCleanup(lambda: self.store.close())

    def opened(self, **how: Any) -> SqliteStore:
        """A store on this test's directory."""
        store = SqliteStore(self.path, "gw1", self.clock.seconds, Inline(), **how)
        store.open()
        return store

    def reopen(self, **how: Any) -> None:
        """A restart."""
        self.store.close()
        self.store = self.opened(**how)

    def commit(self, changes: Changes) -> Any:
        """One call."""
        return self.successResultOf(self.store.commit(changes))

    def table(self, name: str) -> list[tuple[Any, ...]]:
        """The rows of a table."""
        return self.store._connection.execute(f"SELECT * FROM {name}").fetchall()

    def delivered(self, count: int) -> list[Message]:
        """So many messages, from acceptance to acknowledgement."""
        messages = [new(self.store) for _ in range(count)]
        self.commit(Changes(accepts=messages))
        events = self.commit(outcomes(*(sent(m, f"id {m.id}") for m in messages))).events
        events += self.commit(receipts(*(receipt(f"id {m.id}") for m in messages))).events
        self.commit(Changes(told=events))
        return messages

    def test_nothing_left_behind(self) -> None:
        """Of a message that went its way only its own row stays."""
        self.delivered(300)
        for name in ("remote", "queue", "event", "part", "parked"):
            self.assertEqual(self.table(name), [])
        self.assertEqual(self.table("tally"), [(State.QUEUED, 0), (State.ENROUTE, 0), (State.DELIVERED, 300)])

    def test_statements_do_not_grow_with_messages(self) -> None:
        """Rows go to the disk by many-row statements: a commit of 256 messages takes no more than one of 2."""
        counts = []
        for size in (2, 256, 2, 256):
            counts.append(0)

            def count(_: str) -> None:
                counts[-1] += 1

            self.store._connection.set_trace_callback(count)
            self.delivered(size)
            self.store._connection.set_trace_callback(None)
        self.assertEqual(counts[2], counts[3])
        self.assertLess(counts[3], 30)

    def test_small_memory(self) -> None:
        """With room for few remote ids everything still comes to its end, through the tables."""
        self.patch(memory, "REMEMBERED", 4)
        self.store._memory.awaiting = memory.Recent(4)
        messages = [new(self.store) for _ in range(60)]
        for start in range(0, 60, 3):
            self.commit(Changes(accepts=messages[start : start + 3]))
            self.commit(outcomes(*(sent(m, f"id {m.id}") for m in messages[start : start + 3])))
        self.assertLess(len(self.store._memory.awaiting.young) + len(self.store._memory.awaiting.old), 10)
        for m in messages:
            self.assertEqual(self.commit(receipts(receipt(f"id {m.id}"))).receipts, ["matched"])
        self.assertEqual(self.successResultOf(self.store.counts()), {State.DELIVERED: 60})

    def test_many_parked(self) -> None:
        """With more parked receipts than memory holds early ones are found in the table, after a restart too."""
        self.patch(memory, "PARKED", 3)
        self.commit(receipts(*(receipt(f"early {number}") for number in range(6))))
        for number in range(6):
            m = new(self.store)
            self.commit(Changes(accepts=[m]))
            self.assertEqual(len(self.commit(outcomes(sent(m, f"early {number}"))).events), 2)
            if number == 2:
                self.reopen()
        self.assertEqual(self.table("parked"), [])

    def test_floor(self) -> None:
        """A restart looks for claimed messages from a floor on, which follows the messages and falls when an old one
        is claimed."""
        self.patch(ledger, "FLOOR_STEP", 5)
        old = new(self.store, claimed=False)
        self.commit(Changes(accepts=[old]))
        self.delivered(20)
        self.delivered(1)
        ((_, floor, _),) = self.table("node")
        self.assertGreater(floor, 10)
        self.commit(Changes(claims=[old]))
        self.assertEqual(self.table("node")[0][1], old.id)
        self.delivered(20)
        self.delivered(1)
        self.assertEqual(self.table("node")[0][1], old.id)
        self.reopen()
        self.assertEqual([part.message.id for part in self.successResultOf(self.store.reclaim(0, 10))], [old.id])

    def test_floor_of_late_ids(self) -> None:
        """A message that is accepted long after it got its id is found again, too."""
        self.patch(ledger, "FLOOR_STEP", 5)
        late = new(self.store)
        self.delivered(20)
        self.delivered(1)
        self.commit(Changes(accepts=[late]))
        self.reopen()
        self.assertEqual([part.message.id for part in self.successResultOf(self.store.reclaim(0, 10))], [late.id])

    def test_reclaim_only_what_was_left(self) -> None:
        """What this run accepted is not handed out as left by the last one."""
        left = new(self.store)
        self.commit(Changes(accepts=[left]))
        self.reopen()
        self.commit(Changes(accepts=[new(self.store)]))
        parts = self.successResultOf(self.store.reclaim(0, 10))
        self.assertEqual([part.message.id for part in parts], [left.id])
        self.assertEqual(self.successResultOf(self.store.reclaim(left.id, 10)), [])

    def test_disagreement(self) -> None:
        """Should memory ever be wrong the call is carried out again from the tables."""
        m, other = new(self.store), new(self.store)
        self.commit(Changes(accepts=[m, other]))
        self.commit(outcomes(sent(m, "a")))
        self.commit(outcomes(Ended(m, 1, State.UNKNOWN, 0)))
        self.store._memory.awaiting.put(("a", "sim"), m)
        self.store._memory.claimed.add(m.id)
        committed = self.commit(Changes(receipts=[receipt("a")], outcomes=[sent(other, "b")]))
        self.assertEqual(committed.receipts, ["repeated"])
        self.assertEqual([event.message.id for event in committed.events], [other.id])
        self.store._memory.claimed.add(m.id)
        self.assertEqual(self.commit(outcomes(sent(m, "c"))).events, [])
        self.assertEqual(self.successResultOf(self.store.counts()), {State.UNKNOWN: 1, State.ENROUTE: 1})

    def test_low_water(self) -> None:
        """Near the end of the disk new messages are refused while others are finished, until there is room again."""
        free = 10_000
        self.patch(sqlite, "free_octets", lambda path: free)
        self.reopen(low_water=1000)
        m = new(self.store)
        self.commit(Changes(accepts=[m]))
        free = 900
        self.clock.advance(1)
        self.commit(outcomes(sent(m, "a")))
        self.failureResultOf(self.store.commit(Changes(accepts=[new(self.store)])), StoreDown)
        self.assertEqual(len(self.commit(receipts(receipt("a"))).receipts), 1)
        free = 1100
        self.clock.advance(1)
        self.commit(Changes())
        self.failureResultOf(self.store.commit(Changes(accepts=[new(self.store)])), StoreDown)
        free = 1300
        self.clock.advance(1)
        self.commit(Changes())
        self.commit(Changes(accepts=[new(self.store)]))

    def test_disk_that_cannot_be_asked(self) -> None:
        """A disk that cannot say how much room it has is taken for full."""

        def gone(path: object) -> int:
            raise OSError("gone")

        self.patch(sqlite, "free_octets", gone)
        self.clock.advance(1)
        self.commit(Changes())
        self.failureResultOf(self.store.commit(Changes(accepts=[new(self.store)])), StoreDown)

    def test_listed_in_slices(self) -> None:
        """A search through many messages is cut into slices, and finds what is far down."""
        self.patch(sqlite.lookups, "LISTED_SPAN", 4)
        rare = [new(self.store, account="rare") for _ in range(2)]
        self.commit(Changes(accepts=[*rare, *(new(self.store) for _ in range(30))]))
        found = self.successResultOf(self.store.listed("rare", [State.QUEUED], 0, 10))
        self.assertEqual([m.id for m in found], [rare[1].id, rare[0].id])
        self.assertEqual(len(self.successResultOf(self.store.listed(None, [], 0, 7))), 7)

    def test_indices(self) -> None:
        """Look-ups of one message, of a page of a queue and of events go through keys, never through a whole table."""
        plans = {
            "SELECT 1 FROM queue q WHERE q.connector = '' AND q.account = '' AND (q.rank, q.message) > (0, 0)"
            " ORDER BY q.rank, q.message": "rank",
            "SELECT 1 FROM event e WHERE e.account = '' AND e.path = '' AND (e.message, e.kind) > (0, 0)"
            " ORDER BY e.message, e.kind": "message",
            "DELETE FROM remote WHERE connector = '' AND remote_id IN ('', 'a') AND +message IN (1, 2)": "remote_id=?",
            "DELETE FROM remote WHERE (remote_id, connector, message, seq) IN (VALUES ('', '', 1, 1))": "seq=?",
            "SELECT 1 FROM remote r CROSS JOIN message m ON m.id = r.message"
            " WHERE (r.remote_id, r.connector) IN (VALUES ('', ''))": "connector=?",
            "SELECT 1 FROM message m WHERE m.batch IN (5, 6) AND m.batch > 0": "message_batch",
        }
        for statement, word in plans.items():
            plan = self.store._connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            steps = [step for *_, step in plan]
            self.assertTrue(any(word in step for step in steps), (statement, steps))
            self.assertFalse(
                any(step.startswith("SCAN") and "VALUES" not in step and "CONSTANT" not in step for step in steps),
                steps,
            )
            self.assertFalse(any("TEMP B-TREE" in step for step in steps), steps)

    def test_prepared_statements(self) -> None:
        """Every form of every statement stays prepared."""
        forms = sum(len(value._forms) for module in (ledger, ledger.Sheet.__module__) for value in self.forms(module))
        self.assertLess(forms, opening.PREPARED)

    def forms(self, module: Any) -> list[Any]:
        """Statements of a module."""
        import importlib

        module = importlib.import_module(module) if isinstance(module, str) else module
        return [value for value in vars(module).values() if hasattr(value, "_forms")]


class StoreThreadTests(TestCase):
    """The thread."""

    def test_one_thread(self) -> Deferred[None]:
        """All work is done in one thread that is not the reactor's, in order; reports come in the reactor's."""
        import threading

        runner = StoreThread(FromThread())
        runner.start()
        seen: list[tuple[int, int]] = []
        done: Deferred[None] = Deferred()
        for number in range(5):
            runner.run(lambda number=number: seen.append((number, threading.get_ident())))
        here = threading.get_ident()
        runner.run(lambda: runner.report(lambda: done.callback(None)))
        runner.stop()

        def check(_: None) -> Deferred[None]:
            self.assertEqual([number for number, _ in seen], list(range(5)))
            self.assertEqual(len({thread for _, thread in seen}), 1)
            self.assertNotEqual(seen[0][1], here)
            return deferToThread(lambda: None)

        return done.addCallback(check)

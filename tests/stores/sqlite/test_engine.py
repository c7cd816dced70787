"""What only the SQLite engine does."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smsgw.interfaces import MessageFilter
from smsgw.model.changes import Cancel, Changes, Conditional, Confirmation, Limit, Once, PartEnded, Requeued, Retry
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import CALLBACK, Incoming, IncomingKind, Message
from smsgw.stores import MessageStore, queries, transitions
from smsgw.stores.cache import Awaiting, Cache, Recent
from smsgw.stores.sqlite import Inline, SqliteEngine, StoreThread, answers, disk, load, statements, write
from smsgw.stores.steps import Key
from tests.stores.support import START, new, outcomes, receipt, receipts, sent


class SqliteTests(SynchronousTestCase):
    """What only this store does."""

    def setUp(self) -> None:
        """A store."""
        self.clock = Clock()
        self.clock.advance(START)
        self.path = self.mktemp()
        self.store = self.opened()
        self.addCleanup(self.close)

    def opened(self, cache: Cache | None = None, **how: Any) -> MessageStore:
        """A store on this test's directory."""
        self.engine = SqliteEngine(self.path, Inline(), seconds=self.clock.seconds, **how)
        self.cache = Cache() if cache is None else cache
        store = MessageStore(self.engine, "gw1", self.clock.seconds, cache=self.cache)
        self.successResultOf(store.open())
        return store

    def close(self) -> None:
        """After the test."""
        self.store.close()

    def reopen(self, **how: Any) -> None:
        """A restart."""
        self.store.close()
        self.store = self.opened(**how)

    def commit(self, changes: Changes) -> Any:
        """One call."""
        return self.successResultOf(self.store.commit(changes))

    def table(self, name: str) -> list[tuple[Any, ...]]:
        """The rows of a table."""
        return self.engine.connection.execute(f"SELECT * FROM {name}").fetchall()

    def delivered(self, count: int) -> list[Message]:
        """So many messages, from acceptance to acknowledgement."""
        messages = [new(self.store) for _ in range(count)]
        self.commit(Changes(accepts=messages))
        events = self.commit(outcomes(*(sent(m, f"id {m.id}") for m in messages))).events
        events += self.commit(receipts(*(receipt(f"id {m.id}") for m in messages))).events
        self.commit(Changes(acknowledged=events))
        return messages

    def test_nothing_left_behind(self) -> None:
        """Of a message that went its way only its own row stays."""
        self.delivered(300)
        for name in ("awaited_receipt", "waiting", "deferred", "event", "part", "parked"):
            self.assertEqual(self.table(name), [])
        counts = [("gw1", State.QUEUED, 0), ("gw1", State.ENROUTE, 0), ("gw1", State.DELIVERED, 300)]
        self.assertEqual(self.table("state_count"), counts)

    def test_statements_do_not_grow_with_messages(self) -> None:
        """Rows go to the disk by many-row statements: a commit of 256 messages takes no more than one of 2."""
        counts = []
        for size in (2, 256, 2, 256):
            counts.append(0)

            def count(_: str) -> None:
                counts[-1] += 1

            self.engine.connection.set_trace_callback(count)
            self.delivered(size)
            self.engine.connection.set_trace_callback(None)
        self.assertEqual(counts[2], counts[3])
        self.assertLess(counts[3], 30)

    def test_small_memory(self) -> None:
        """With room for few remote ids everything still comes to its end, through the tables."""
        awaiting: Recent[Key, Awaiting] = Recent(4)
        self.reopen(cache=Cache(awaiting))
        messages = [new(self.store) for _ in range(60)]
        for start in range(0, 60, 3):
            self.commit(Changes(accepts=messages[start : start + 3]))
            self.commit(outcomes(*(sent(m, f"id {m.id}") for m in messages[start : start + 3])))
        self.assertLess(len(awaiting.young) + len(awaiting.old), 10)
        for m in messages:
            self.assertEqual(self.commit(receipts(receipt(f"id {m.id}"))).receipts, ["matched"])
        self.assertEqual(self.successResultOf(self.store.counts()), {State.DELIVERED: 60})

    def test_many_parked(self) -> None:
        """With more parked receipts than memory holds early ones are found in the table, after a restart too."""
        self.reopen(cache=Cache(parked_limit=3))
        self.commit(receipts(*(receipt(f"early {number}") for number in range(6))))
        for number in range(6):
            m = new(self.store)
            self.commit(Changes(accepts=[m]))
            self.assertEqual(len(self.commit(outcomes(sent(m, f"early {number}"))).events), 2)
            if number == 2:
                self.reopen(cache=Cache(parked_limit=3))
        self.assertEqual(self.table("parked"), [])

    def test_floor(self) -> None:
        """A restart looks only through the newest messages for claimed ones: older ones are listed."""
        self.patch(transitions, "FLOOR_STEP", 5)
        old = [new(self.store, claimed=False) for _ in range(3)]
        self.commit(Changes(accepts=old))
        self.delivered(20)
        stuck = new(self.store)
        self.commit(Changes(accepts=[stuck]))
        self.delivered(20)
        self.commit(Changes(claims=old))
        self.delivered(3)
        ((_, _, _, floor, _),) = self.table("node")
        self.assertGreater(floor, stuck.id)
        self.assertEqual(self.left(), [*(m.id for m in old), stuck.id])
        self.commit(outcomes(PartEnded(old[1], 0, State.EXPIRED, 0), sent(stuck, "a")))
        self.delivered(20)
        self.assertEqual(self.left(), [old[0].id, old[2].id])

    def left(self) -> list[int]:
        """Messages that a restart finds claimed."""
        self.reopen()
        return [part.message.id for part in self.successResultOf(self.store.recover_claims(0, 100))]

    def test_list_of_claims_stays_short(self) -> None:
        """Claiming what waited for long does not make the list of claims grow."""
        self.patch(transitions, "FLOOR_STEP", 5)
        old = [new(self.store, claimed=False) for _ in range(100)]
        self.commit(Changes(accepts=old))
        for m in old:
            self.commit(Changes(claims=[m]))
            self.commit(outcomes(sent(m, str(m.id))))
        self.assertLess(len(self.table("claim")), 20)
        self.assertEqual(self.left(), [])

    def test_floor_of_late_ids(self) -> None:
        """A message that is accepted long after it got its id is found again, too."""
        self.patch(transitions, "FLOOR_STEP", 5)
        late = new(self.store)
        self.delivered(20)
        self.assertGreater(self.table("node")[0][3], late.id)
        self.commit(Changes(accepts=[late]))
        self.assertEqual(self.left(), [late.id])

    def test_reclaim_only_what_was_left(self) -> None:
        """What this run accepted is not handed out as left by the last one."""
        left = new(self.store)
        self.commit(Changes(accepts=[left]))
        self.reopen()
        self.commit(Changes(accepts=[new(self.store)]))
        parts = self.successResultOf(self.store.recover_claims(0, 10))
        self.assertEqual([part.message.id for part in parts], [left.id])
        self.assertEqual(self.successResultOf(self.store.recover_claims(left.id, 10)), [])

    def test_disagreement(self) -> None:
        """Should memory ever be wrong the call is carried out again from the tables."""
        m, other = new(self.store), new(self.store)
        self.commit(Changes(accepts=[m, other]))
        self.commit(outcomes(sent(m, "a")))
        self.commit(outcomes(PartEnded(m, 1, State.UNKNOWN, 0)))
        self.cache.awaiting.put(("a", "sim"), m)
        self.cache.claimed.add(m.id)
        committed = self.commit(Changes(receipts=[receipt("a")], outcomes=[sent(other, "b")]))
        self.assertEqual(committed.receipts, ["parked"])
        self.assertEqual([event.message.id for event in committed.events], [other.id])
        self.cache.claimed.add(m.id)
        self.assertEqual(self.commit(outcomes(sent(m, "c"))).events, [])
        self.assertEqual(self.successResultOf(self.store.counts()), {State.UNKNOWN: 1, State.ENROUTE: 1})

    def test_low_water(self) -> None:
        """Near the end of the disk new messages are refused while others are finished, until there is room again."""
        free = 10_000
        self.patch(disk, "free_octets", lambda path: free)
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

        self.patch(disk, "free_octets", gone)
        self.clock.advance(1)
        self.commit(Changes())
        self.failureResultOf(self.store.commit(Changes(accepts=[new(self.store)])), StoreDown)

    def test_listed_in_slices(self) -> None:
        """A search through many messages is cut into slices, and finds what is far down."""
        self.patch(queries, "LISTED_SPAN", 4)
        rare = [new(self.store, account="rare") for _ in range(2)]
        self.commit(Changes(accepts=[*rare, *(new(self.store) for _ in range(30))]))
        found = self.successResultOf(self.store.list_messages("rare", MessageFilter([State.QUEUED]), 0, 10))
        self.assertEqual([m.id for m in found], [rare[1].id, rare[0].id])
        self.assertEqual(len(self.successResultOf(self.store.list_messages(None, MessageFilter(), 0, 7))), 7)

    def test_batch_is_not_loaded(self) -> None:
        """The status of a batch reads the content of none of its messages."""
        batch = self.store.next_id()
        self.commit(Changes(accepts=[new(self.store, batch=batch, parts=2) for _ in range(9)]))
        statements: list[str] = []
        self.engine.connection.set_trace_callback(statements.append)
        (count,) = self.successResultOf(self.store.batch_counts("demo", batch))
        self.engine.connection.set_trace_callback(None)
        self.assertEqual((count.messages, count.parts), (9, 18))
        self.assertTrue(statements)
        loading = [one for one in statements if "data" in one or "FROM part" in one]
        self.assertEqual([one for one in loading if f"id IN ({batch})" not in one], [])

    def test_indices(self) -> None:
        """No statement looks through a whole table, but the one that sorts what a connector is owed."""
        statements: set[str] = set()
        self.engine.connection.set_trace_callback(statements.add)
        self.everything()
        self.engine.connection.set_trace_callback(None)
        execute = self.engine.connection.execute
        self.assertGreater(len(statements), 60)
        scanned = set()
        for statement in statements:
            if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")) and "temp.owed" not in statement:
                steps = [row[3] for row in execute(f"EXPLAIN QUERY PLAN {statement}")]
                scanned |= {
                    step
                    for step in steps
                    if re.match(
                        r"SCAN (m|message|q|w|waiting|deferred|d|r|awaited_receipt|e|event|p|part|parked|t|incoming|c"
                        r"|dead_letter|condition|confirmation|claim)\b",
                        step,
                    )
                }
        self.assertEqual(scanned, {"SCAN parked USING INDEX parked_since"})

    def everything(self) -> None:
        """Calls and questions of every kind."""
        self.delivered(5)
        parts = [new(self.store, parts=3) for _ in range(3)]
        queued = [new(self.store, claimed=False, batch=4711, expires=START + 1) for _ in range(4)]
        scheduled = new(self.store, claimed=False, state=State.SCHEDULED, due=START + 1)
        self.commit(Changes(accepts=[*parts, *queued, scheduled]))
        self.commit(receipts(receipt("early"), receipt("x"), receipt("y")))
        self.commit(outcomes(sent(parts[0], "early"), sent(parts[0], "again"), sent(parts[1], "b", 2)))
        self.commit(outcomes(Requeued(parts[1], "sim", 0.0, True), PartEnded(parts[2], 0, State.FAILED, 1)))
        self.commit(Changes(claims=queued[:2], cancels=[Cancel(None, 4711), Cancel(None, parts[0].id)]))
        self.reopened_receipts()
        store = self.store
        events = self.successResultOf(store.events("demo", "smpp", (0, 0), 10))
        self.commit(Changes(retries=[Retry(event, START) for event in events[:2]]))
        mine = new(self.store)
        reported = Incoming(store.next_id(), "demo", CALLBACK, IncomingKind.CALL, "sim", "7", "8", "", START)
        self.commit(
            Changes(
                accepts=[mine],
                conditions=[Conditional([mine], [Once("demo", "k", START + 1), Limit("demo", "l", 9.0, 1, 2)])],
                incoming=[reported],
                confirmations=[Confirmation("demo", "7", "8", START + 1)],
            )
        )
        questions: list[Deferred[Any]] = [
            store.list_incoming("demo", 0, 10),
            store.list_incoming(None, 5, 10),
            store.find_confirmation("7", "8", START),
            store.list_messages("demo", MessageFilter((), "7", START, START + 1, "a", "b"), 0, 5),
            store.find(None, [parts[0].id, 4711], 10),
            store.batch_counts(None, 4711),
            store.batch_counts("demo", 4711),
            store.details(parts[0].id),
            store.list_messages("demo", MessageFilter([State.QUEUED]), 0, 5),
            store.queue_depth("sim"),
            store.queue_page("sim", "demo", (-1000, 0), 10),
            store.awaited_receipts("sim", (0, 0), 10),
            store.accounts_with_events("smpp"),
            store.parked(10),
            store.recover_claims(0, 10),
            store.release_due(START + 1, 10),
            store.scan_overdue(START + 1, 2),
            store.scan_overdue(START + 1, 2),
            store.scan_overdue(START + 1e7, 200),
            store.purge(START + 9, START + 9, 2),
            store.purge(START + 9, START + 9, 200),
            store.dead_letters("demo", (0, 0), 10),
            store.dead_letters(None, (0, 0), 10),
            store.replay("demo", [parts[0].id, reported.id], 10),
            store.replay(None, [], 1),
            store.purge(START + 9, START + 9, 200),
        ]
        for question in questions:
            self.successResultOf(question)

    def reopened_receipts(self) -> None:
        """Receipts that memory knows nothing of."""
        messages = [new(self.store) for _ in range(5)]
        self.commit(Changes(accepts=messages))
        self.commit(outcomes(*(sent(m, f"cold {m.id}") for m in messages)))
        self.store.forget()
        self.commit(receipts(*(receipt(f"cold {m.id}") for m in messages)))

    def test_prepared_statements(self) -> None:
        """Every form of every statement stays prepared."""
        many = statements._SIZES
        grouped = [size for size in many if size >= statements.FEW]
        forms = [
            len(many) + (len(grouped) if isinstance(value, statements._Grouped) else 0)
            for module in (answers, load, write)
            for value in vars(module).values()
            if isinstance(value, (statements.MultiRow, statements.InList, statements._Grouped))
        ]
        self.assertGreater(len(forms), 20)
        self.assertLess(sum(forms), statements.PREPARED)


class StoreThreadTests(TestCase):
    """The thread."""

    def test_one_thread(self) -> Deferred[None]:
        """All work is done in one thread that is not the reactor's, in order; reports come in the reactor's."""
        import threading

        from twisted.internet import reactor

        runner = StoreThread(reactor)
        runner.start()
        seen: list[tuple[int, int]] = []
        done: Deferred[None] = Deferred()
        stopped: list[int] = []
        for number in range(5):
            runner.run(partial(lambda number: seen.append((number, threading.get_ident())), number))
        here = threading.get_ident()
        runner.run(lambda: runner.report(lambda: stopped.append(threading.get_ident())))
        runner.stop(lambda: done.callback(None))

        def check(_: None) -> Deferred[None]:
            self.assertEqual([number for number, _ in seen], list(range(5)))
            self.assertEqual(len({thread for _, thread in seen}), 1)
            self.assertNotEqual(seen[0][1], here)
            self.assertEqual(stopped, [here])
            return deferToThread(lambda: None)

        return done.addCallback(check)

    def test_a_failing_report(self) -> Deferred[None]:
        """A report that raises is logged, and the reports behind it are called."""
        from twisted.internet import reactor

        runner = StoreThread(reactor)
        runner.start()
        done: Deferred[None] = Deferred()
        runner.run(lambda: runner.report(lambda: 1 // 0))  # type: ignore[arg-type,func-returns-value]
        runner.stop(lambda: done.callback(None))
        return done.addCallback(lambda _: self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1))

    def test_many_reports(self) -> Deferred[None]:
        """More reports than the pipe holds wake-ups are all called, in order."""
        from twisted.internet import reactor

        runner = StoreThread(reactor)
        runner.start()
        done: Deferred[None] = Deferred()
        seen: list[int] = []
        for number in range(100_000):
            runner.report(partial(seen.append, number))
        runner.stop(lambda: done.callback(None))
        return done.addCallback(lambda _: self.assertEqual(seen, list(range(100_000))))

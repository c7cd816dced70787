"""What the SQLite store does when the disk does not: the n-th operation fails, for every n."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.interfaces import MessageFilter
from smsgw.model.changes import Cancel, Changes, Committed, PartEnded, Requeued
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine
from tests.stores.sqlite.faulty import FaultyConnection, trouble
from tests.stores.support import START, new, outcomes, receipt, receipts, sent

BREAKING: Final = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY)
PASSING: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_NOMEM)

Check = Callable[[MessageStore, Any], None]


class FaultTests(SynchronousTestCase):
    """A store on a faulty connection, then the same data without faults."""

    def setUp(self) -> None:
        """Where the data are."""
        self.path = Path(self.mktemp())
        self.stores: list[MessageStore] = []

    def tearDown(self) -> None:
        """Nothing stays open."""
        for store in self.stores:
            store.close()

    def faulty(self) -> tuple[MessageStore, FaultyConnection]:
        """A store and its connection."""
        connections: list[FaultyConnection] = []

        def connect(path: Path) -> sqlite3.Connection:
            connections.append(FaultyConnection(path))
            return cast(sqlite3.Connection, connections[0])

        engine = SqliteEngine(self.path, Inline(), connect=connect)
        store = MessageStore(engine, "gw1", lambda: START)
        self.successResultOf(store.open())
        self.stores.append(store)
        return store, connections[0]

    def sound(self) -> MessageStore:
        """A store on the same data, after the former store has closed them."""
        for store in self.stores:
            store.close()
        self.engine = SqliteEngine(self.path, Inline())
        store = MessageStore(self.engine, "gw1", lambda: START)
        self.successResultOf(store.open())
        self.stores.append(store)
        return store

    def life(self, store: MessageStore) -> list[tuple[Deferred[Any], Check]]:
        """Calls of every kind; with each, what must be found on the disk if it succeeded."""
        plain, parts = new(store), new(store, parts=2)
        queued, cancelled = new(store, claimed=False), new(store, claimed=False)
        messages = [plain, parts, queued, cancelled]

        def kept(store: MessageStore, _: Committed) -> None:
            for m in messages:
                self.assertIsNotNone(self.stored(store, m))

        def reported(store: MessageStore, committed: Committed) -> None:
            for event in committed.events:
                self.assertGreaterEqual(self.stored(store, event.message) or 0, event.state)
                kinds = [event.kind for event in self.successResultOf(store.events("demo", "smpp", (0, 0), 99))]
                self.assertIn(event.kind, kinds)

        def parked(store: MessageStore, committed: Committed) -> None:
            reported(store, committed)
            self.assertIn("unknown", [p.report.remote_id for p in self.successResultOf(store.parked(9))])

        def gone(store: MessageStore, committed: Committed) -> None:
            reported(store, committed)
            if isinstance(committed.cancels[0], list):
                self.assertIs(self.stored(store, cancelled), State.CANCELLED)

        def nothing(store: MessageStore, _: object) -> None:
            pass

        calls: list[tuple[Changes, Check]] = [
            (Changes(accepts=messages), kept),
            (outcomes(sent(plain, "a")), reported),
            (Changes(claims=[queued]), nothing),
            (outcomes(sent(parts, "b", 1), PartEnded(parts, 2, State.REJECTED, 1)), reported),
            (receipts(receipt("a"), receipt("unknown")), parked),
            (receipts(receipt("b")), reported),
            (Changes(cancels=[Cancel(None, cancelled.id)]), gone),
            (outcomes(Requeued(queued, "sim", 0.0, True)), nothing),
        ]
        made: list[tuple[Deferred[Any], Check]] = [(store.commit(call), check) for call, check in calls]
        looks = (
            store.counts(),
            store.scan_overdue(START, 10),
            store.release_due(START, 10),
            store.purge(START, START, 10),
        )
        return made + [(look, nothing) for look in looks]

    def stored(self, store: MessageStore, message: Message) -> State | None:
        """The state of a message, if it is stored."""
        (found,) = self.successResultOf(store.find(None, [message.id]))
        return found[0].state if found else None

    def outcome(self, deferred: Deferred[Any]) -> Committed | Failure:
        """What a call gave."""
        results: list[Any] = []
        deferred.addBoth(results.append)
        (result,) = results
        return cast("Committed | Failure", result)

    def operations(self) -> int:
        """How many operations a life takes."""
        store, connection = self.faulty()
        before = connection.count
        self.life(store)
        return connection.count - before

    def every_operation(self, code: int, done: bool) -> None:
        """Let each operation fail in turn, before or after it was done, and look at what is on the disk then."""
        count = self.operations()
        self.assertGreater(count, 60)
        for number in range(1, count + 1):
            self.path = Path(self.mktemp())
            store, connection = self.faulty()
            failed: list[Failure] = []
            store.failed.addErrback(failed.append)
            at = connection.count + number

            def fail(sql: str, count: int, at: int = at) -> None:
                if count == at:
                    raise trouble(code)

            if done:
                connection.after = fail
            else:
                connection.before = fail
            life = [(self.outcome(deferred), check) for deferred, check in self.life(store)]
            broken = code in BREAKING
            self.assertEqual(len(failed), broken, f"operation {number}")
            if broken:
                failed[0].trap(UnknownOutcome)
                self.assertRaises(StoreDown, store.next_id)
                self.failureResultOf(store.commit(Changes()), StoreDown)
                self.failureResultOf(store.counts(), StoreDown)
            failures = [result for result, _ in life if isinstance(result, Failure)]
            self.assertTrue(failures, f"operation {number}")
            for failure in failures:
                failure.trap(StoreDown, UnknownOutcome)
            again = self.sound()
            for result, check in life:
                if not isinstance(result, Failure):
                    check(again, result)
            self.consistent(again)

    def consistent(self, store: MessageStore) -> None:
        """The tables agree with each other."""
        execute = self.engine.connection.execute
        self.assertEqual(execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        counted = dict(execute("SELECT state, count(*) FROM message GROUP BY state").fetchall())
        self.assertEqual(self.successResultOf(store.counts()), counted)
        queued = "SELECT id FROM message WHERE state < 2 AND claimed = 0 ORDER BY id"
        waiting = "SELECT message FROM waiting ORDER BY message"
        self.assertEqual(execute(waiting).fetchall(), execute(queued).fetchall())

    def test_io_errors(self) -> None:
        """After an I/O error nothing is promised any more, and everything promised before is on the disk."""
        self.every_operation(sqlite3.SQLITE_IOERR, done=False)
        self.flushLoggedErrors()

    def test_io_errors_of_what_was_done(self) -> None:
        """The same when what is reported as failed did happen, the commit above all."""
        self.every_operation(sqlite3.SQLITE_IOERR, done=True)
        self.flushLoggedErrors()

    def test_disk_full(self) -> None:
        """A full disk costs the calls that needed it; the store goes on, and what it promised is on the disk."""
        self.every_operation(sqlite3.SQLITE_FULL, done=False)

    def one(self, code: int, where: str) -> tuple[MessageStore, Failure, list[Failure]]:
        """A store one of whose statements failed."""
        store, connection = self.faulty()
        failed: list[Failure] = []
        store.failed.addErrback(failed.append)

        def fail(sql: str, count: int) -> None:
            if sql.startswith(where):
                connection.before = lambda sql, count: None
                raise trouble(code)

        connection.before = fail
        result = self.outcome(store.commit(Changes(accepts=[new(store)])))
        assert isinstance(result, Failure)
        return store, result, failed

    def test_unknown_outcome(self) -> None:
        """Only an error of the commit itself leaves the outcome unknown."""
        for code in BREAKING:
            for where, kind in (("COMMIT", UnknownOutcome), ("INSERT INTO message", StoreDown), ("BEGIN", StoreDown)):
                self.path = Path(self.mktemp())
                _, result, failed = self.one(code, where)
                self.assertIs(result.type, kind)
                self.assertEqual(len(failed), 1)

    def test_passing_trouble(self) -> None:
        """After a full disk, a lock of another process or a lack of memory the store works again; ids go on, too."""
        for code in PASSING:
            for where in ("COMMIT", "INSERT INTO message", "BEGIN"):
                self.path = Path(self.mktemp())
                store, result, failed = self.one(code, where)
                self.assertIs(result.type, StoreDown)
                self.assertEqual(failed, [])
                message = new(store)
                self.assertEqual(message.id, 2)
                self.successResultOf(store.commit(Changes(accepts=[message])))
                self.assertEqual(self.stored(store, message), State.QUEUED)

    def test_rolling_back_fails(self) -> None:
        """A store that cannot even roll back is not used any more."""
        store, connection = self.faulty()
        failed: list[Failure] = []
        store.failed.addErrback(failed.append)

        def fail(sql: str, count: int) -> None:
            if sql.startswith(("INSERT INTO message", "ROLLBACK")):
                raise trouble(sqlite3.SQLITE_FULL)

        connection.before = fail
        self.failureResultOf(store.commit(Changes(accepts=[new(store)])), StoreDown)
        self.assertEqual(len(failed), 1)
        connection.before = lambda sql, count: None
        self.failureResultOf(store.commit(Changes()), StoreDown)

    def test_nothing_of_the_driver_comes_out(self) -> None:
        """Look-ups and upkeep, too, fail only in the two ways the interface names."""
        store, connection = self.faulty()
        for code in (*PASSING, sqlite3.SQLITE_ERROR):

            def fail(sql: str, count: int, code: int = code) -> None:
                if sql != "ROLLBACK":
                    raise trouble(code)

            connection.before = fail
            for call in (
                store.find(None, [1]),
                store.details(1),
                store.queue_depth("sim"),
                store.queue_page("sim", "demo", (-1000, 0), 10),
                store.release_due(START, 10),
                store.scan_overdue(START, 10),
                store.recover_claims(0, 10),
                store.purge(START, START, 10),
                store.events("demo", "smpp", (0, 0), 10),
                store.accounts_with_events("smpp"),
                store.list_messages(None, MessageFilter(), 0, 10),
            ):
                self.failureResultOf(call, StoreDown)
            connection.before = lambda sql, count: None
        self.assertEqual(self.successResultOf(store.counts()), {})

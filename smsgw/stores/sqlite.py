"""The embedded store: one SQLite database in the state directory, used by one process, from one thread."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import Awaited, IMessageStore, Parked, Traced
from smsgw.model.changes import Changes, Committed
from smsgw.model.errors import GatewayError, StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, Message, Part
from smsgw.stores import lookups
from smsgw.stores.filesystem import free_octets, network_kind
from smsgw.stores.groupcommit import GroupCommit, Runner
from smsgw.stores.ledger import Ledger, Stale
from smsgw.stores.lock import LockFile
from smsgw.stores.memory import Memory
from smsgw.stores.rows import PREPARED
from smsgw.stores.schema import migrate
from smsgw.stores.upkeep import Upkeep
from smsgw.telemetry import Counter, Histogram

T = TypeVar("T")

DATABASE: Final = "messages.sqlite"
LOCK: Final = "lock"

OLDEST: Final = (3, 35, 0)
"""The first SQLite with everything used here."""

LOW_WATER: Final = 256 * 1024 * 1024
"""Octets free on the disk below which new messages are refused, so that those accepted can be finished."""

_PASSING: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL}
)
"""Primary result codes after which a rolled back store can be used again."""

_BROKEN: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTFOUND,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Primary result codes after which nobody knows what is on the disk."""

_PRAGMAS: Final = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -32000",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA trusted_schema = OFF",
)
"""Set at each opening. A second process is kept out of the database itself, too: two connections in write-ahead
mode could corrupt it before SQLite 3.51.3."""

_log = Logger()

_COMMITS = Counter("smsgw_store_commits_total", "Commits of the store, by how they ended.", ("result",))
_CALLS = Histogram("smsgw_store_commit_calls", "Calls that shared one commit.", (1, 2, 5, 10, 20, 50, 100, 200, 500))


def connect(path: Path) -> sqlite3.Connection:
    """A connection that leaves transactions to its user and prepares every statement once."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=PREPARED)


@implementer(IMessageStore)
class SqliteStore:
    """See :class:`~smsgw.interfaces.IMessageStore`.

    What is worth knowing beyond the interface: ``changed`` of a message is when the store learned of its state
    (an event's ``at`` is when the upstream says it was reached); the messages that come with events and parts
    are those that were handed in, where the store still remembers them, so their own state may be older than
    the event's.

    :param path: the state directory; created for the owner alone if it is not there.
    :param node: the name under which messages are claimed.
    :param wall: the time in seconds since 1970.
    :param runner: where the blocking work is done: a :class:`~smsgw.stores.groupcommit.StoreThread`.
    :param low_water: octets free on the disk below which new messages are refused.
    :param connect: opens the database.
    """

    def __init__(
        self,
        path: Path | str,
        node: str,
        wall: Callable[[], float],
        runner: Runner,
        low_water: int = LOW_WATER,
        connect: Callable[[Path], sqlite3.Connection] = connect,
    ) -> None:
        self.failed: Deferred[None] = Deferred()
        self._path = Path(path)
        self._node = node
        self._wall = wall
        self._runner = runner
        self._low_water = low_water
        self._connect = connect
        self._lock = LockFile(self._path / LOCK)
        self._group = GroupCommit(runner, self._carry_out)
        self._open = False
        self._broken = ""
        self._short = False
        self._looked = 0.0
        self._next = 0
        self._connection: sqlite3.Connection
        self._memory: Memory
        self._upkeep: Upkeep

    # Opening and closing

    def open(self) -> None:
        """See :meth:`~smsgw.interfaces.IMessageStore.open`."""
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreDown(
                f"SQLite {sqlite3.sqlite_version} is too old: {'.'.join(map(str, OLDEST))} or newer is needed"
            )
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            network = network_kind(self._path)
            if network:
                raise StoreDown(f"{self._path} is on a network file system ({network}); the store needs a local disk")
            self._lock.take()
        except OSError as why:
            raise StoreDown(f"the state directory {self._path} cannot be used: {why.strerror}") from why
        database = self._path / DATABASE
        try:
            os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = self._connect(database)
            self._prepare()
        except BaseException as why:
            if hasattr(self, "_connection"):
                self._connection.close()
            self._lock.release()
            if isinstance(why, (sqlite3.Error, OSError)):
                raise StoreDown(f"{database} cannot be used: {why}") from why
            raise
        self._open = True
        self._runner.start()

    def _prepare(self) -> None:
        execute = self._connection.execute
        for pragma in _PRAGMAS:
            execute(pragma)
        (mode,) = execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreDown(f"{self._path} does not allow SQLite's write-ahead log (journal mode {mode})")
        migrate(self._connection)
        execute("INSERT OR IGNORE INTO node VALUES (?, 1, 0)", (self._node,))
        (counter,) = execute("SELECT max(counter) FROM node").fetchone()
        (top,) = execute("SELECT ifnull(max(id), 0) FROM message").fetchone()
        (batch,) = execute("SELECT ifnull(max(batch), 0) FROM message WHERE batch > 0").fetchone()
        self._next = max(counter, top, batch) + 1
        self._memory = Memory(self._connection, self._node)
        self._memory.recall()
        self._upkeep = Upkeep(self._connection, self._memory)
        self._look_at_disk()

    def close(self) -> Deferred[None]:
        """See :meth:`~smsgw.interfaces.IMessageStore.close`."""
        done = self._group.close()
        done.addCallback(lambda _: self._let_go())
        return done

    def _let_go(self) -> Deferred[None]:
        if not self._open:
            return succeed(None)
        self._open = False
        gone: Deferred[None] = Deferred()
        self._runner.run(partial(self._close_there, gone))
        self._runner.stop()
        return gone

    def _close_there(self, gone: Deferred[None]) -> None:
        try:
            self._connection.close()
        except sqlite3.Error as why:  # what was committed is in the log; the next opening reads it
            self._runner.report(partial(_log.warn, "closing the store: {why}", why=why))
        self._lock.release()
        self._runner.report(partial(gone.callback, None))

    # Changing

    def next_id(self) -> int:
        """See :meth:`~smsgw.interfaces.IMessageStore.next_id`."""
        if not self._open or self._broken:
            raise StoreDown(self._broken or "the store is closed")
        id = self._next
        self._next = id + 1
        return id

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """See :meth:`~smsgw.interfaces.IMessageStore.commit`."""
        if self._broken:
            return fail(StoreDown(self._broken))
        if self._short and changes.accepts:
            return fail(StoreDown("the disk is nearly full"))
        return self._group.commit(changes)

    def _carry_out(self, calls: list[Changes]) -> list[Committed | Failure]:
        """One commit for all `calls`, in the store's thread; if their data will not go in, one for each."""
        results: list[Committed | Failure]
        try:
            results = [*self._transact(partial(self._write, calls))]
        except GatewayError as why:
            results = [Failure(why)] * len(calls)
        except Exception as why:  # the data of some call
            if len(calls) > 1 or isinstance(why, Stale):
                results = [self._carry_out_alone(call) for call in calls]
            else:
                results = [self._culprit(why)]
        self._runner.report(partial(self._count, len(calls), results))
        self._look_at_disk()
        return results

    def _carry_out_alone(self, call: Changes) -> Committed | Failure:
        try:
            return self._transact(partial(self._write, [call]))[0]
        except GatewayError as why:
            return Failure(why)
        except Exception as why:
            return self._culprit(why)

    def _culprit(self, why: Exception) -> Failure:
        self._runner.report(partial(_log.failure, "a call that cannot be stored", Failure(why)))
        down = StoreDown(f"these changes cannot be stored: {type(why).__name__}: {why}")
        down.__cause__ = why
        return Failure(down)

    def _write(self, calls: list[Changes], keys: list[tuple[str, str]]) -> list[Committed]:
        ledger = Ledger(self._connection, self._memory, keys)
        results = ledger.carry_out(calls, self._wall())
        self._delta = ledger.delta
        self._late = ledger.late
        return results

    def _transact(self, write: Callable[[list[tuple[str, str]]], T]) -> T:
        """Call `write` inside a transaction and commit it. Whatever it raises, nothing is kept.

        :raises StoreDown, UnknownOutcome: the store's fault; anything else is the fault of what was written.
        """
        if self._broken:
            raise StoreDown(self._broken)
        execute = self._connection.execute
        keys: list[tuple[str, str]] = []
        cursors = self._upkeep.cursors()
        committing = False
        self._delta = [0] * len(State)
        self._late: list[tuple[float, str, str, int]] = []
        try:
            execute("BEGIN IMMEDIATE")
            result = write(keys)
            committing = True
            execute("COMMIT")
        except BaseException as why:
            self._upkeep.set_cursors(cursors)
            trouble = self._undo(why, keys, committing)
            if trouble is not None:
                raise trouble from why
            raise
        for state, change in enumerate(self._delta):
            self._memory.tally[state] += change
        if self._late:
            self._upkeep.queued_for(self._late)
        return result

    def _undo(self, why: BaseException, keys: list[tuple[str, str]], committing: bool) -> GatewayError | None:
        """Roll back; the error to raise instead of `why`, if it was the store's fault."""
        trouble = self._diagnose(why, committing)
        if not self._broken:
            try:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._memory.recall(keys)
            except sqlite3.Error as worse:
                self._break(f"rolling back failed: {worse}")
                return UnknownOutcome(self._broken) if committing else StoreDown(self._broken)
        return trouble

    def _diagnose(self, why: BaseException, committing: bool) -> GatewayError | None:
        """What the callers are told of an error, if it was the store's fault."""
        if isinstance(why, sqlite3.Error):
            code = getattr(why, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _PASSING:
                return StoreDown(f"the store cannot write now: {why}")
            if code in _BROKEN:
                self._break(f"the store failed: {why} ({getattr(why, 'sqlite_errorname', code)})")
                return UnknownOutcome(self._broken) if committing else StoreDown(self._broken)
        elif isinstance(why, MemoryError):
            return StoreDown("out of memory")
        return None

    def _break(self, why: str) -> None:
        """From here on nothing is written or promised: what is on the disk is found out at the next start."""
        self._broken = why
        self._runner.report(self._tell_broken)

    def _tell_broken(self) -> None:
        if not self.failed.called:
            self.failed.errback(UnknownOutcome(self._broken))

    def _count(self, calls: int, results: list[Committed | Failure]) -> None:
        _CALLS.observe(calls)
        _COMMITS.add(1, "failed" if any(isinstance(result, Failure) for result in results) else "done")

    def _look_at_disk(self) -> None:
        """Once a second: is there room for new messages?"""
        now = self._wall()
        if not 0 <= now - self._looked < 1:
            self._looked = now
            free = free_octets(self._path)
            self._short = free < self._low_water * (1.25 if self._short else 1.0)

    # Looking up

    def _read(self, look: Callable[..., T], *arguments: object) -> Deferred[T]:
        """A question, asked in the store's thread."""

        def ask() -> T:
            if self._broken:
                raise StoreDown(self._broken)
            try:
                return look(self._connection, *arguments)
            except sqlite3.Error as why:
                raise self._diagnose(why, False) or StoreDown(f"the store cannot answer: {why}") from why

        return self._group.read(ask)

    def _do(self, step: Callable[[Upkeep], T]) -> Deferred[T]:
        """A step of upkeep, in a transaction of its own."""

        def work() -> T:
            try:
                return self._transact(lambda _: step(self._upkeep))
            except sqlite3.Error as why:
                raise StoreDown(f"the store cannot answer: {why}") from why

        return self._group.read(work)

    def reclaim(self, after: int, limit: int) -> Deferred[list[Part]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.reclaim`."""
        return self._do(lambda upkeep: upkeep.reclaim(after, limit))

    def awaited(self, connector: str, after: tuple[int, int], limit: int) -> Deferred[list[Awaited]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.awaited`."""
        return self._read(lookups.awaited, connector, after, limit)

    def waiting(self, connector: str) -> Deferred[dict[str, int]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.waiting`."""
        return self._read(lookups.waiting, connector, self._wall())

    def queued(self, connector: str, account: str, after: tuple[int, int], limit: int) -> Deferred[list[Message]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.queued`."""
        return self._read(lookups.queued, connector, account, after, limit, self._wall())

    def due(self, now: float, limit: int) -> Deferred[list[tuple[str, str, int]]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.due`."""
        return self._do(lambda upkeep: upkeep.due(now, limit))

    def overdue(self, now: float, limit: int) -> Deferred[list[tuple[Message, int]]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.overdue`."""
        return self._do(lambda upkeep: upkeep.overdue(now, limit))

    def find(self, account: str | None, ids: Sequence[int]) -> Deferred[list[list[Message]]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.find`."""
        return self._read(lookups.find, account, ids)

    def trace(self, id: int) -> Deferred[Traced | None]:
        """See :meth:`~smsgw.interfaces.IMessageStore.trace`."""
        return self._read(lookups.trace, id)

    @inlineCallbacks
    def listed(self, account: str | None, states: Sequence[int], before: int, limit: int):  # type: ignore[no-untyped-def]
        """See :meth:`~smsgw.interfaces.IMessageStore.listed`."""
        found: list[Message] = []
        while True:
            some, before = yield self._read(lookups.listed, account, states, before, limit - len(found))
            found += some
            if not before or len(found) >= limit:
                return found

    def counts(self) -> Deferred[dict[int, int]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.counts`."""
        return self._read(lambda _: {state: n for state, n in enumerate(self._memory.tally) if n})

    def events(self, account: str, path: str, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.events`."""
        return self._read(lookups.events, account, path, after, limit)

    def debtors(self, path: str) -> Deferred[list[str]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.debtors`."""
        return self._read(lookups.debtors, path)

    def parked(self, limit: int) -> Deferred[list[Parked]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.parked`."""
        return self._read(lookups.parked, limit)

    def purge(self, before: float, events_before: float, limit: int) -> Deferred[tuple[int, int]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.purge`."""
        return self._do(lambda upkeep: upkeep.purge(before, events_before, limit))

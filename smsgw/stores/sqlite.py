"""The embedded store: one SQLite database in the state directory, used by one process, from one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import Awaited, IMessageStore, Parked, Traced, Wanted
from smsgw.model.changes import Changes, Committed
from smsgw.model.errors import GatewayError, StoreDown, StoreFull, UnknownOutcome
from smsgw.model.message import Event, Incoming, Message, Part
from smsgw.stores import lookups
from smsgw.stores.groupcommit import GroupCommit, Runner
from smsgw.stores.ledger import Ledger
from smsgw.stores.lock import LockFile
from smsgw.stores.memory import Key, Memory
from smsgw.stores.metrics import StoreMetrics
from smsgw.stores.opening import connect, free_octets, make_directory, open_database
from smsgw.stores.sheet import Stale
from smsgw.stores.transactions import Transactions
from smsgw.stores.upkeep import Upkeep

T = TypeVar("T")

DATABASE: Final = "messages.sqlite"
LOCK: Final = "lock"

LOW_WATER: Final = 256 * 1024 * 1024
"""Octets free on the disk below which new messages are refused, so that those accepted can be finished."""

_log = Logger()


@implementer(IMessageStore)
class SqliteStore:
    """See :class:`~smsgw.interfaces.IMessageStore`.

    What is worth knowing beyond the interface: ``changed`` of a message is when the store learned of its state, an
    event's ``at`` is when the upstream says it was reached. The messages that events carry are those that were handed
    in, where the store still remembers them, so their own state may be older than the event's.

    :param path: the state directory; made, for its owner alone, if it is not there.
    :param node: the name under which messages are claimed.
    :param wall: the time in seconds since 1970.
    :param runner: where the blocking work is done: a :class:`~smsgw.stores.groupcommit.StoreThread`.
    :param low_water: octets free on the disk below which new messages are refused.
    :param connect: makes the connection to the database.
    """

    def __init__(
        self,
        path: Path | str,
        node: str,
        wall: Callable[[], float],
        runner: Runner,
        metrics: StoreMetrics | None = None,
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
        self._group = GroupCommit(runner, self._carry_out, metrics=metrics or StoreMetrics())
        self._open = False
        self._next = 0
        self._short = False
        self._looked = 0.0
        self._keys: list[Key] = []
        self._connection: sqlite3.Connection
        self._memory: Memory
        self._upkeep: Upkeep
        self._transactions: Transactions

    def open(self) -> None:
        """See :meth:`~smsgw.interfaces.IMessageStore.open`."""
        make_directory(self._path)
        self._lock.take()
        try:
            self._connection = open_database(self._path / DATABASE, self._connect)
            try:
                self._transactions = Transactions(self._connection, self._recall, self._broke)
                self._memory = Memory(self._connection, self._node)
                self._next = self._transactions.look(self._memory.awake)
                self._upkeep = Upkeep(self._connection, self._memory)
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            self._lock.release()
            raise
        self._look_at_disk()
        self._runner.start()
        self._open = True

    def close(self) -> Deferred[None]:
        """See :meth:`~smsgw.interfaces.IMessageStore.close`."""
        return self._group.close().addCallback(lambda _: self._let_go())

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
        except sqlite3.Error as why:  # what was committed is in the log, and the next opening reads that
            self._runner.report(partial(_log.warn, "closing the store: {why}", why=str(why)))
        self._lock.release()
        self._runner.report(partial(gone.callback, None))

    # Changing

    def next_id(self) -> int:
        """See :meth:`~smsgw.interfaces.IMessageStore.next_id`."""
        if not self._open or self._transactions.broken:
            raise StoreDown(self._transactions.broken if self._open else "the store is not open")
        id = self._next
        self._next = id + 1
        return id

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """See :meth:`~smsgw.interfaces.IMessageStore.commit`."""
        if not self._open:
            return fail(StoreDown("the store is not open"))
        if self._short and changes.accepts:
            return fail(StoreFull("the disk is nearly full"))
        return self._group.commit(changes)

    def _carry_out(self, calls: list[Changes]) -> list[Committed | Failure]:
        """One commit for all `calls`, in the store's thread; if their data will not go in, one for each."""
        results: list[Committed | Failure]
        try:
            results = [*self._write(calls)]
        except GatewayError as why:
            results = [Failure(why) for _ in calls]
        except Exception as why:  # noqa: BLE001 - whatever it is: some call's data brought it about
            if len(calls) == 1 and not isinstance(why, Stale):
                results = [self._culprit(why)]
            else:
                results = [self._carry_out_alone(call) for call in calls]
        self._look_at_disk()
        return results

    def _carry_out_alone(self, call: Changes) -> Committed | Failure:
        try:
            return self._write([call])[0]
        except GatewayError as why:
            return Failure(why)
        except Exception as why:  # noqa: BLE001 - see above
            return self._culprit(why)

    def _culprit(self, why: Exception) -> Failure:
        self._runner.report(partial(_log.failure, "changes that cannot be stored", Failure(why)))
        down = StoreDown(f"these changes cannot be stored: {type(why).__name__}: {why}")
        down.__cause__ = why
        return Failure(down)

    def _write(self, calls: list[Changes]) -> list[Committed]:
        keys = self._keys = []
        ledger: Ledger | None = None

        def write() -> list[Committed]:
            nonlocal ledger
            ledger = Ledger(self._connection, self._memory, self._wall(), keys)
            return ledger.carry_out(calls)

        results = self._transactions.run(write)
        assert ledger is not None
        self._memory.count(ledger.sheet.delta)
        return results

    def _recall(self) -> None:
        """A transaction was rolled back."""
        self._memory.recall(self._keys)

    def _broke(self, why: str) -> None:
        self._runner.report(partial(self.failed.errback, UnknownOutcome(why)))

    def _look_at_disk(self) -> None:
        """Once a second: is there room for new messages?"""
        now = self._wall()
        if not 0 <= now - self._looked < 1:
            self._looked = now
            try:
                free = free_octets(self._path)
            except OSError:
                free = 0
            self._short = free < self._low_water * (1.25 if self._short else 1.0)

    # Looking up, and upkeep

    def _read(self, look: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """A question, asked in the store's thread."""
        return self._ask(lambda: self._transactions.look(partial(look, self._connection, *arguments)))

    def _ask(self, work: Callable[[], T]) -> Deferred[T]:
        return self._group.read(work) if self._open else fail(StoreDown("the store is not open"))

    def _do(self, step: Callable[[Upkeep], T]) -> Deferred[T]:
        """A step of upkeep, in a transaction of its own in the store's thread."""

        def work() -> T:
            self._keys = []
            cursors = self._upkeep.cursors()
            try:
                return self._transactions.run(partial(step, self._upkeep))
            except BaseException as why:
                self._upkeep.set_cursors(cursors)
                if isinstance(why, sqlite3.Error):
                    raise StoreDown(f"the store cannot do this: {why}") from why
                raise

        return self._ask(work)

    def reclaim(self, after: int, limit: int) -> Deferred[list[Part]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.reclaim`."""
        return self._do(lambda upkeep: upkeep.reclaim(after, limit))

    def awaited(self, connector: str, after: tuple[int, int], limit: int) -> Deferred[list[Awaited]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.awaited`."""
        return self._read(lookups.awaited, connector, after, limit)

    def connectors(self) -> Deferred[list[str]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.connectors`."""
        return self._read(lookups.connectors)

    def waiting(self, connector: str) -> Deferred[dict[str, int]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.waiting`."""
        return self._read(lookups.waiting, connector)

    def queued(self, connector: str, account: str, after: tuple[int, int], limit: int) -> Deferred[list[Message]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.queued`."""
        return self._read(lookups.queued, connector, account, after, limit)

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
    def listed(
        self, account: str | None, wanted: Wanted, before: int, limit: int
    ) -> Generator[Deferred[tuple[list[Message], int]], tuple[list[Message], int], list[Message]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.listed`. Other work is done between slices of the table."""
        found: list[Message] = []
        while len(found) < limit:
            some, before = yield self._read(lookups.listed, account, wanted, before, limit - len(found))
            found += some
            if not before:
                break
        return found

    def received(self, account: str | None, before: int, limit: int) -> Deferred[list[Incoming]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.received`."""
        return self._read(lookups.received, account, before, limit)

    def expected(self, phone: str, number: str, now: float) -> Deferred[str]:
        """See :meth:`~smsgw.interfaces.IMessageStore.expected`."""
        return self._read(lookups.expected, phone, number, now)

    def counts(self) -> Deferred[dict[int, int]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.counts`."""
        return self._read(lambda _: {state: count for state, count in enumerate(self._memory.tally) if count})

    def events(self, account: str, path: str, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.events`."""
        return self._read(lookups.events, account, path, after, limit)

    def debtors(self, path: str) -> Deferred[list[str]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.debtors`."""
        return self._read(lookups.debtors, path)

    def parked(self, limit: int) -> Deferred[list[Parked]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.parked`."""
        return self._read(lookups.parked, limit)

    def unheard(self, account: str | None, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.unheard`."""
        return self._read(lookups.unheard, account, after, limit)

    def replay(self, account: str | None, ids: Sequence[int], limit: int) -> Deferred[list[Event]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.replay`."""
        return self._do(lambda upkeep: upkeep.replay(account, ids, limit, self._wall()))

    def purge(self, before: float, events_before: float, limit: int) -> Deferred[tuple[int, int]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.purge`."""
        return self._do(lambda upkeep: upkeep.purge(before, events_before, limit))

"""The embedded engine: one SQLite database in the state directory, used by one process, from one thread."""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.interfaces import StoreCondition
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.stores.cache import PARKED
from smsgw.stores.sqlite.answers import ANSWERS
from smsgw.stores.sqlite.backup import Backup
from smsgw.stores.sqlite.disk import LOW_WATER, Disk, OpenFiles
from smsgw.stores.sqlite.givenids import highest_id, skip_ids
from smsgw.stores.sqlite.ids import IdFile
from smsgw.stores.sqlite.load import load
from smsgw.stores.sqlite.lock import LockFile
from smsgw.stores.sqlite.opening import WAL, connect, look_at_log, make_directory, open_database
from smsgw.stores.sqlite.pages import PAGES
from smsgw.stores.sqlite.thread import Runner
from smsgw.stores.sqlite.transactions import Transactions
from smsgw.stores.sqlite.write import write
from smsgw.stores.steps import NO_ID, Load, MoreIds, Register, Registration, Step, Steps, Write, drive
from smsgw.stores.writeset import WriteSet

T = TypeVar("T")

DATABASE: Final = "messages.sqlite"
LOCK: Final = "lock"
IDS: Final = "ids"

_log = Logger()


class SqliteEngine:
    """An :class:`~smsgw.stores.steps.Engine`.

    :param path: the state directory; if it is missing it is created, readable by its owner only.
    :param runner: runs the blocking work: a :class:`~smsgw.stores.sqlite.thread.StoreThread`.
    :param low_water: octets free on the disk below which new messages are refused.
    :param connect: makes the connection to the database. :param seconds: elapsed time.
    """

    shared = False

    def __init__(
        self,
        path: Path | str,
        runner: Runner,
        low_water: int = LOW_WATER,
        connect: Callable[[Path], sqlite3.Connection] = connect,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path)
        self._runner = runner
        self._connect = connect
        self._seconds = seconds
        self.lock = LockFile(self._path / LOCK)
        self._ids = IdFile(self._path / IDS)
        self._last_id = 0
        self._confirmed = 0
        self._disk = Disk(self._path, low_water)
        self._looked = float("-inf")
        self._files = OpenFiles(self._path / DATABASE, self._path / (DATABASE + WAL))
        self._missing = ""
        self._lost = 0
        self.connection: sqlite3.Connection
        self._transactions: Transactions
        self._backup: Backup | None = None

    def open(self, broke: Callable[[str], None]) -> None:
        """Take the lock, read the end of the log, and migrate the schema to the newest version. Blocks."""
        path = self._path
        make_directory(path)
        self.lock.take()
        try:
            self._ids.open()
            self._lost = look_at_log(path / DATABASE)
            self.connection = open_database(path / DATABASE, self._connect)
            self._files.know([path, *(path / name for name in (DATABASE, DATABASE + WAL, LOCK, IDS))])
        except BaseException as why:
            self._ids.close()
            self.lock.release()
            if isinstance(why, OSError):
                raise StoreDown(f"{path} cannot be read: {why}") from why
            raise
        self._broke = broke
        self._transactions = Transactions(self.connection, lambda why: self._runner.report(partial(broke, why)))
        self._runner.start()

    def close(self) -> Deferred[None]:
        if self._backup is not None:
            self._backup.cancel()
        gone: Deferred[None] = Deferred()
        self._runner.run(self._close_there)
        self._runner.stop(partial(gone.callback, None))
        return gone

    def _close_there(self) -> None:
        try:
            self.connection.close()
            self._put_log_aside()
            if not self._transactions.broken and self._last_id:
                self._ids.release(self._last_id)
        except (sqlite3.Error, OSError) as why:  # what was committed is in the log, and the next opening reads that
            self._runner.report(partial(_log.warn, "closing the store: {why}", why=str(why)))
        self._ids.close()
        self.lock.release()

    def _put_log_aside(self) -> None:
        """Rename the log if another database is in the place of its own: SQLite would mix them at the next start."""
        database = self._path / DATABASE
        log = self._path / (DATABASE + WAL)
        if database.exists() and not self._files.is_ours(database) and self._files.is_ours(log):
            log.rename(log.with_name(f"{log.name}.of-replaced-database"))

    def room(self) -> bool:
        """Whether the disk has room for new messages; measured once a second."""
        now = self._seconds()
        if not 0 <= now - self._looked < 1:
            self._looked = now
            self._disk.look()
        return not self._disk.short

    def check(self) -> StoreCondition:
        """Look at the disk and at the files. If a file is not there any more, nothing that is committed from now on
        is acknowledged."""
        self._looked = self._seconds()
        self._disk.look()
        if not self._missing:
            self._missing = self._files.missing()
            if self._missing:
                self._transactions.broken = self._missing
                self._broke(self._missing)
        disk = self._disk
        return StoreCondition(disk.free, disk.needed, disk.short, self._lost)

    def back_up(self, target: Path) -> Deferred[int]:
        if self._backup is not None:
            return fail(StoreDown("a backup is being made"))
        source = self._path / DATABASE
        self._backup = backup = Backup(
            source,
            self.connection,
            self._transactions.read,
            self._runner,
            self._disk.low_water,
            self._files.may_empty_log,
        )

        def over(result: T) -> T:
            self._backup = None
            return result

        return backup.start(target).addBoth(over)

    def run(self, steps: Steps[T], done: Callable[[T | Failure], None]) -> None:
        self._runner.run(partial(self._work, steps, done))

    def _work(self, steps: Steps[T], done: Callable[[T | Failure], None]) -> None:
        """Take all steps, in the store's thread."""
        result: T | Failure
        try:
            result = drive(steps, self._take)
        except Exception:  # noqa: BLE001 - the caller gets the exception; the thread must not end
            result = Failure()
        self._runner.report(partial(self._done, done, result))

    def _done(self, done: Callable[[T | Failure], None], result: T | Failure) -> None:
        """In the reactor's thread: give the result, unless it went to files that are gone."""
        done(Failure(UnknownOutcome(self._missing)) if self._missing else result)

    def _take(self, step: Step) -> Any:
        """Take one step."""
        execute = self.connection.execute
        if type(step) is Write:
            self._last_id = last_id = step.writes.last_id
            if last_id > self._confirmed:
                return self._write_reserved(step.writes)
            return self._transactions.run(partial(write, execute, step.writes))
        if type(step) is Load:
            return self._transactions.read(partial(load, execute, step))
        if type(step) is Register:
            return self._transactions.run(partial(self._register, step))
        if type(step) is MoreIds:
            raise AssertionError("the first ids last for ever")
        answer = ANSWERS.get(type(step)) or PAGES[type(step)]
        return self._transactions.read(partial(answer, execute, step))

    def _write_reserved(self, writes: WriteSet) -> None:
        """Reserve ids, write, and note in the file of ids that the database knows the last one: if a later start finds
        a database that does not, commits were lost."""
        execute = self.connection.execute
        id = writes.last_id
        self._reserve(id)

        def write_with_id() -> None:
            write(execute, writes)
            skip_ids(execute, id)

        self._transactions.run(write_with_id)
        self._confirmed = self._ids.reserved
        try:
            self._ids.confirm(id)
        except OSError as why:  # the commit is done; only a loss of the log would be noticed less well
            self._runner.report(partial(_log.warn, "{path}: {why}", path=str(self._ids.path), why=str(why)))

    def _reserve(self, id: int) -> None:
        """Reserve ids up to `id` and more before they are committed.

        :raises StoreDown: that is not possible now.
        """
        try:
            self._ids.reserve(id)
        except OSError as why:
            if why.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreDown(f"the store cannot write now: {why}") from why
            raise self._transactions.fail(f"the store failed to reserve ids: {why}") from why

    def _report_loss(self, highest: int) -> None:
        """Tell the administrator that the database lacks commits which the file of ids knows of."""
        if self._lost:
            return  # the look at the log has told it
        self._lost = 1
        _log.critical(
            "{path} has lost commits: the file {ids} knows that the id {committed} was stored, and the highest in the "
            "database is {highest}. The database or its log was deleted, cut off or replaced by an older copy. "
            "Messages and reports that were acknowledged in between are lost",
            path=str(self._path / DATABASE),
            ids=self._ids.path.name,
            committed=self._ids.committed,
            highest=highest,
        )

    def _register(self, step: Register) -> Registration:
        execute = self.connection.execute
        node = step.node
        execute("INSERT OR IGNORE INTO node VALUES (?, 0, 0, 1, 0)", (node,))
        execute("UPDATE node SET epoch = epoch + 1, lease_until = ? WHERE name = ?", (step.lease_until, node))
        epoch, floor = execute("SELECT epoch, floor FROM node WHERE name = ?", (node,)).fetchone()
        (listed,) = execute("SELECT count(*) FROM claim WHERE node = ?", (node,)).fetchone()
        claimed = execute(
            "SELECT id, parts FROM message WHERE id >= ?1 AND leased_to = ?2 AND claimed = 1 UNION"
            " SELECT m.id, m.parts FROM claim c CROSS JOIN message m ON m.id = c.message"
            " WHERE c.node = ?2 AND m.leased_to = ?2 AND m.claimed = 1",
            (floor, node),
        ).fetchall()
        highest = highest_id(execute)
        if highest and not self._ids.found:
            _log.warn(
                "{path} was missing or damaged: ids go on behind the highest in the database", path=str(self._ids.path)
            )
        if highest < self._ids.committed:
            self._report_loss(highest)
        self._last_id = self._confirmed = max(highest, self._ids.reserved)
        parked = execute("SELECT remote_id, connector FROM parked LIMIT ?", (PARKED + 1,)).fetchall()
        return Registration(epoch, floor, listed, claimed, self._last_id + 1, NO_ID, parked)

"""The embedded engine: one SQLite database in the state directory, used by one process, from one thread."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.model.errors import StoreDown
from smsgw.stores.cache import PARKED
from smsgw.stores.sqlite.answers import ANSWERS
from smsgw.stores.sqlite.backup import Backup
from smsgw.stores.sqlite.givenids import highest_id
from smsgw.stores.sqlite.load import load
from smsgw.stores.sqlite.lock import LockFile
from smsgw.stores.sqlite.opening import connect, free_octets, make_directory, open_database
from smsgw.stores.sqlite.pages import PAGES
from smsgw.stores.sqlite.thread import Runner
from smsgw.stores.sqlite.transactions import Transactions
from smsgw.stores.sqlite.write import write
from smsgw.stores.steps import NO_ID, Load, MoreIds, Register, Registration, Step, Steps, Write, drive

T = TypeVar("T")

DATABASE: Final = "messages.sqlite"
LOCK: Final = "lock"

LOW_WATER: Final = 256 * 1024 * 1024
"""Octets free on the disk below which new messages are refused, so that accepted messages can be finished."""

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
        self._low_water = low_water
        self._connect = connect
        self._seconds = seconds
        self.lock = LockFile(self._path / LOCK)
        self._short = False
        self._looked = float("-inf")
        self.connection: sqlite3.Connection
        self._transactions: Transactions
        self._backup: Backup | None = None

    def open(self, broke: Callable[[str], None]) -> None:
        """Take the lock, and migrate the schema to the newest version. Blocks."""
        make_directory(self._path)
        self.lock.take()
        try:
            self.connection = open_database(self._path / DATABASE, self._connect)
        except BaseException:
            self.lock.release()
            raise
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
        except sqlite3.Error as why:  # what was committed is in the log, and the next opening reads that
            self._runner.report(partial(_log.warn, "closing the store: {why}", why=str(why)))
        self.lock.release()

    def room(self) -> bool:
        """Whether the disk has room for new messages; measured once a second."""
        now = self._seconds()
        if not 0 <= now - self._looked < 1:
            self._looked = now
            try:
                free = free_octets(self._path)
            except OSError:
                free = 0
            self._short = free < self._low_water * (1.25 if self._short else 1.0)
        return not self._short

    def back_up(self, target: Path) -> Deferred[int]:
        if self._backup is not None:
            return fail(StoreDown("a backup is being made"))
        source = self._path / DATABASE
        self._backup = backup = Backup(
            source, self.connection, self._transactions.read, self._runner, self._low_water
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
        self._runner.report(partial(done, result))

    def _take(self, step: Step) -> Any:
        """Take one step."""
        execute = self.connection.execute
        if type(step) is Write:
            return self._transactions.run(partial(write, execute, step.writes))
        if type(step) is Load:
            return self._transactions.read(partial(load, execute, step))
        if type(step) is Register:
            return self._transactions.run(partial(self._register, step))
        if type(step) is MoreIds:
            raise AssertionError("the first ids last for ever")
        answer = ANSWERS.get(type(step)) or PAGES[type(step)]
        return self._transactions.read(partial(answer, execute, step))

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
        parked = execute("SELECT remote_id, connector FROM parked LIMIT ?", (PARKED + 1,)).fetchall()
        return Registration(epoch, floor, listed, claimed, highest_id(execute) + 1, NO_ID, parked)

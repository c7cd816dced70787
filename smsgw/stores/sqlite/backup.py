"""A copy of the database of a running engine, made while it works.

In write-ahead mode only a checkpoint changes the database file, and between two checkpoints the log only grows at its
end. So the store's thread empties the log and makes no checkpoint for a while; another thread copies the database file,
then the log up to the end of a commit. Commits go on meanwhile, as the store's thread is needed for moments only.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure

from smsgw.model.errors import StoreDown
from smsgw.stores.sqlite.disk import free_octets
from smsgw.stores.sqlite.opening import CHECKPOINT
from smsgw.stores.sqlite.thread import Runner

T = TypeVar("T")

CHUNK: Final = 1 << 20
"""Octets that are copied at a time."""


class Reading(Protocol):
    """Runs a function that uses the connection and turns SQLite's errors into the store's."""

    def __call__(self, ask: Callable[[], T], /) -> T:
        """Call `ask`. :raises StoreDown: the store cannot answer."""


@attrs.define(eq=False)
class Backup:
    """One backup of the database `source`.

    :ivar connection: the engine's, used in the store's thread only. :ivar read: of its transactions.
    :ivar reserve: octets that must stay free on the disk beside the copy.
    :ivar emptying: called in the store's thread before the log is emptied.
    """

    source: Path
    connection: sqlite3.Connection
    read: Reading
    runner: Runner
    reserve: int
    emptying: Callable[[], None]
    _cancelled: bool = attrs.field(default=False, init=False)

    def start(self, target: Path) -> Deferred[int]:
        """Write the copy to `target`, which appears when it is complete and on the disk; fires with its octets.

        :raises StoreDown: (through the Deferred) the copy cannot be made, or the engine was closed meanwhile.
        """
        return ensureDeferred(self._copy_all(target))

    def cancel(self) -> None:
        """End the backup: the engine is being closed, which makes a checkpoint."""
        self._cancelled = True

    async def _copy_all(self, target: Path) -> int:
        new = target.with_name(f"{target.name}.new")
        try:
            await self._in_store(self._hold_checkpoints)
            try:
                await self._beside(partial(self._copy, self.source, new, None))
                length = await self._in_store(self._log_length)
                await self._beside(partial(self._copy, log_of(self.source), log_of(new), length))
            finally:
                await self._in_store(self._resume_checkpoints)
            return await self._beside(partial(_complete, new, target))
        except BaseException:
            for left in (new, log_of(new)):
                left.unlink(missing_ok=True)
            raise

    def _in_store(self, work: Callable[[], T]) -> Deferred[T]:
        """Run `work` in the store's thread, after the commits under way and before the engine is closed."""
        self._check()
        done: Deferred[T] = Deferred()
        self.runner.run(lambda: self.runner.report(partial(done.callback, _result(partial(self.read, work)))))
        return done

    def _beside(self, work: Callable[[], T]) -> Deferred[T]:
        """Run `work` in a thread of its own."""
        done: Deferred[T] = Deferred()
        self.runner.beside(partial(_result, partial(_on_disk, work)), done.callback)
        return done

    def _check(self) -> None:
        if self._cancelled:
            raise StoreDown("the store is being closed, so the backup was given up")

    def _hold_checkpoints(self) -> None:
        octets = self.source.stat().st_size
        if free_octets(self.source.parent) < octets + self.reserve:
            raise StoreDown(f"the disk has no room for a copy of {octets} octets")
        self.emptying()
        busy, *_ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreDown("the write-ahead log is in use")
        self.connection.execute("PRAGMA wal_autocheckpoint = 0")

    def _resume_checkpoints(self) -> None:
        self.connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")

    def _log_length(self) -> int:
        log = log_of(self.source)
        return log.stat().st_size if log.exists() else 0

    def _copy(self, source: Path, target: Path, length: int | None) -> None:
        """Copy the first `length` octets of a file; None: all."""
        if length == 0:
            target.unlink(missing_ok=True)
            return
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as new, source.open("rb") as old:
            left = os.fstat(old.fileno()).st_size if length is None else length
            while left:
                self._check()
                octets = old.read(min(left, CHUNK))
                if not octets:
                    raise StoreDown(f"{source} became shorter during the backup")
                new.write(octets)
                left -= len(octets)


def log_of(database: Path) -> Path:
    """The write-ahead log of a database."""
    return database.with_name(f"{database.name}-wal")


def sync(path: Path) -> None:
    """Have a file or a directory written to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _complete(new: Path, target: Path) -> int:
    """Put the log into the copied database, sync it and give it its name; return its octets."""
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    finally:
        connection.close()
    if mode != "delete":
        raise StoreDown(f"the copy keeps journal mode {mode}")
    sync(new)
    new.replace(target)
    sync(target.parent)
    return target.stat().st_size


def _result(work: Callable[[], T]) -> Any:
    """Run `work`; return its result or its failure, for a Deferred."""
    try:
        return work()
    except Exception:  # noqa: BLE001 - the function that waits gets the exception; the thread must not end
        return Failure()


def _on_disk(work: Callable[[], T]) -> T:
    """Run `work`; failures of files become failures of the store."""
    try:
        return work()
    except (OSError, sqlite3.Error) as why:
        raise StoreDown(f"the backup cannot be written: {why}") from why

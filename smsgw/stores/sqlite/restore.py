"""Works with the files of a store whose gateway is stopped: copies it, checks a copy, puts a copy in its place. Blocks.

Each function holds the lock of the state directory while it uses the store, so that no gateway can start meanwhile.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attrs

from smsgw.model.errors import StoreDown
from smsgw.stores.sqlite.backup import log_of, sync
from smsgw.stores.sqlite.engine import DATABASE, IDS, LOCK
from smsgw.stores.sqlite.givenids import highest_id, skip_ids
from smsgw.stores.sqlite.ids import committed_ids
from smsgw.stores.sqlite.lock import LockFile
from smsgw.stores.sqlite.opening import connect, make_directory
from smsgw.stores.sqlite.schema import MIGRATIONS, migrate


@attrs.frozen
class Restored:
    """What :func:`restore` did.

    :ivar first_id: the first id that the gateway will give. :ivar replaced: where the former database is; None: there
    was none. :ivar known: whether the ids of the former database could be read, so that none of them comes again.
    """

    first_id: int
    replaced: Path | None
    known: bool


def check(path: Path) -> int:
    """Check that a file is the intact database of a store; return the highest id in it.

    :raises StoreDown: it is not; the message says why.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            (fault,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if fault != "ok":
                raise StoreDown(f"{path} is damaged: {fault}")
            if not 1 <= version <= len(MIGRATIONS):
                raise StoreDown(f"{path} has schema version {version}; this program knows 1 to {len(MIGRATIONS)}")
            return highest_id(connection.execute)
    except sqlite3.Error as why:
        raise StoreDown(f"{path} is not a store that can be used: {why}") from why


def copy_stopped(state: Path, target: Path) -> None:
    """Copy the database of a gateway that does not run to the file `target`.

    :raises StoreDown: there is no database, or a gateway has it, or the copy cannot be written.
    """
    if not (state / DATABASE).exists():
        raise StoreDown(f"there is no store in {state}")
    with _locked(state):
        try:
            with closing(connect(state / DATABASE)) as source, closing(sqlite3.connect(target)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as why:
            raise StoreDown(f"{target} cannot be written: {why}") from why
        sync(target)


def restore(state: Path, backup: Path, skip: int) -> Restored:
    """Make a copy of the database in `backup` the store of the state directory; the former one gets another name.

    No id is given again that the former store gave. If the former store cannot be read, `skip` ids are left out, which
    must be more than were given since the backup was made.

    :raises StoreDown: the backup is damaged, a gateway is running, or a file cannot be written; the store is unchanged.
    """
    given = check(backup)
    make_directory(state)
    database = state / DATABASE
    with _locked(state):
        new = state / f"{DATABASE}.new"
        former = _former_ids(database)
        try:
            shutil.copyfile(backup, new)
            new.chmod(0o600)
            with closing(sqlite3.connect(new, isolation_level=None)) as connection:
                migrate(connection)
                former_or_skipped = given + skip if former is None else former
                skip_ids(connection.execute, max(given, former_or_skipped, committed_ids(state / IDS)))
                first = highest_id(connection.execute) + 1
            sync(new)
            _give_to_owner(new, state)
            replaced = _move_away(database)
            new.replace(database)
            sync(state)
        except (OSError, sqlite3.Error) as why:
            raise StoreDown(f"the store cannot be restored: {why}") from why
    return Restored(first, replaced, former is not None)


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    lock = LockFile(state / LOCK)
    lock.take()
    try:
        _give_to_owner(state / LOCK, state)
        yield
    finally:
        lock.release()


def _give_to_owner(path: Path, state: Path) -> None:
    """Give a file that root made to the owner of the state directory, as whom the gateway runs."""
    if os.geteuid() == 0:
        owner = state.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _former_ids(database: Path) -> int | None:
    """Put the log of the former database into it, so that it is one file; return its highest id, None if it cannot be
    read."""
    if not database.exists():
        return None
    try:
        with closing(connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return highest_id(connection.execute)
    except sqlite3.Error:
        return None


def _move_away(database: Path) -> Path | None:
    """Rename the former database and, first, its log: the log must never meet another database."""
    if not database.exists():
        log_of(database).unlink(missing_ok=True)
        return None
    replaced = database.with_name(f"{database.name}.replaced")
    log_of(replaced).unlink(missing_ok=True)
    if log_of(database).exists():
        log_of(database).replace(log_of(replaced))
    database.with_name(f"{database.name}-shm").unlink(missing_ok=True)
    database.replace(replaced)
    return replaced

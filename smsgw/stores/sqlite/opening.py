"""Opens the database of the SQLite engine, and refuses to open it where that is unsafe."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from smsgw.model.errors import StoreDown
from smsgw.stores.sqlite.schema import migrate
from smsgw.stores.sqlite.statements import PREPARED
from smsgw.stores.sqlite.walfile import read_log

WAL: Final = "-wal"
"""What the name of a log has behind that of its database."""

OLDEST: Final = (3, 35, 0)
"""The oldest SQLite version that has all features used here."""

NETWORK: Final = frozenset(
    {
        "9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4",
        "smb3", "smbfs",
    }
)  # fmt: skip
"""File systems whose locks and syncs are unreliable."""

CHECKPOINT: Final = 4000
"""Pages in the write-ahead log after which a commit puts them into the database."""

PRAGMAS: Final = (
    "PRAGMA busy_timeout = 5000",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    f"PRAGMA wal_autocheckpoint = {CHECKPOINT}",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -32000",
    "PRAGMA trusted_schema = OFF",
)
"""Set at each opening. The exclusive lock keeps a second process out of the database, because two connections in
write-ahead mode can corrupt it before SQLite 3.51.3, which most systems do not have yet."""

_log = Logger()


def connect(path: Path) -> sqlite3.Connection:
    """A connection without implicit transactions that prepares every statement once."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=PREPARED)


def make_directory(path: Path) -> None:
    """Create the state directory, readable by its owner only.

    :raises StoreDown: it cannot be created, or is on a network file system.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as why:
        raise StoreDown(f"the state directory {path} cannot be made: {why.strerror}") from why
    network = network_kind(path)
    if network:
        raise StoreDown(f"the state directory {path} is on a network file system ({network}); use a local disk")


def open_database(path: Path, connect: Callable[[Path], sqlite3.Connection] = connect) -> sqlite3.Connection:
    """Open the database `path`; create it or migrate it to the newest schema if necessary.

    :raises StoreDown: it cannot be opened; the message says why.
    """
    if sqlite3.sqlite_version_info < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise StoreDown(f"SQLite {sqlite3.sqlite_version} is too old, {oldest} or newer is needed")
    connection = None
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = connect(path)
        for pragma in PRAGMAS:
            connection.execute(pragma)
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreDown(f"{path} cannot have a write-ahead log there (journal mode {mode}); use a local disk")
        migrate(connection)
    except BaseException as why:
        if connection is not None:
            connection.close()
        if isinstance(why, (sqlite3.Error, OSError)):
            raise StoreDown(f"{path} cannot be opened: {why}. It was left as it is") from why
        raise
    return connection


def look_at_log(path: Path) -> int:
    """Tell the administrator if SQLite will not take all of the log of the database `path`, and keep a copy of a
    damaged log.

    :return: the commits that are lost, at least.
    :raises StoreDown: what SQLite will take does not fit together, or the log cannot be read.
    """
    log = path.with_name(path.name + WAL)
    try:
        end = read_log(log)
    except OSError as why:
        raise StoreDown(f"{log} cannot be read: {why.strerror}") from why
    if end.unfinished:
        _log.info(
            "{path} ends in an unfinished commit, as after a kill or a power failure. Nothing in it was acknowledged, "
            "unless the file was damaged just there",
            path=str(log),
        )
    if end.lost:
        copy = _keep(log, end.name)
        _log.critical(
            "{path} is damaged: behind the damage {lost} commits, or more, cannot be read. Messages and reports that "
            "were acknowledged in them are lost (if the machine lost power, the last one may never have been "
            "finished). {commits} commits before the damage are kept. {copy}",
            path=str(log),
            lost=end.lost,
            commits=end.commits,
            copy=copy,
        )
        _check_consistent(path)
    return end.lost


def _keep(log: Path, name: str) -> str:
    """Copy a damaged log; returns a sentence about the copy."""
    copy = log.with_name(f"{log.name}.damaged-{name}")
    try:
        if not copy.exists():
            shutil.copyfile(log, copy)
            copy.chmod(0o600)
    except OSError as why:
        return f"The damaged log could not be copied: {why.strerror}"
    return f"A copy of the damaged log is {copy.name}"


def _check_consistent(path: Path) -> None:
    """Check that a database and what SQLite takes of its log fit together; changes neither.

    :raises StoreDown: they do not.
    """
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as why:
        found = str(why)
    finally:
        connection.close()
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    if found != "ok":
        raise StoreDown(f"{path} is damaged, together with its log ({found}): restore a backup. It was left as it is")


def network_kind(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of network file system that holds `path`; empty if `path` is local or its file system is unknown."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    place = os.fspath(path.resolve())
    best = kind = ""
    for line in lines:
        _, point, name, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if (place == point or place.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, name
    return kind if kind in NETWORK else ""

"""Opens the database of the SQLite engine, and refuses to open it where that is unsafe."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from smsgw.model.errors import StoreDown
from smsgw.stores.sqlite.schema import migrate
from smsgw.stores.sqlite.statements import PREPARED

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


def free_octets(path: Path) -> int:
    """Octets free on the disk of `path`."""
    system = os.statvfs(path)
    return system.f_bavail * system.f_frsize


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

"""Opening the SQLite store, and refusing to."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.errors import StoreDown
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine, opening, schema
from smsgw.stores.sqlite.lock import LockFile
from tests.stores.support import START


class OpeningTests(SynchronousTestCase):
    """A state directory in all conditions."""

    def setUp(self) -> None:
        """A directory that is not there yet."""
        self.path = Path(self.mktemp()) / "deep" / "var"

    def opened(self) -> MessageStore:
        """An open store there."""
        self.engine = SqliteEngine(self.path, Inline())
        store = MessageStore(self.engine, "gw1", lambda: START)
        made = store.open()
        if isinstance(made.result, Failure):
            raise self.failureResultOf(made, StoreDown).value
        self.addCleanup(store.close)
        return store

    def refused(self, *words: str) -> None:
        """It cannot be opened, and the reason has these words."""
        with self.assertRaises(StoreDown) as caught:
            self.opened()
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_made_for_its_owner(self) -> None:
        """The directory and its files are created, readable by their owner only."""
        self.opened()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o700)
        for file in self.path.iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode) & 0o077, 0, file)

    def test_synced(self) -> None:
        """Every commit is synced: write-ahead log, synchronous FULL."""
        self.opened()
        execute = self.engine.connection.execute
        self.assertEqual(execute("PRAGMA journal_mode").fetchone(), ("wal",))
        self.assertEqual(execute("PRAGMA synchronous").fetchone(), (2,))
        self.assertEqual(execute("PRAGMA busy_timeout").fetchone(), (5000,))

    def test_one_process(self) -> None:
        """A second gateway in the directory is refused, naming the file and the process that has it."""
        store = self.opened()
        self.refused(str(self.path / "lock"), str(os.getpid()))
        store.close()
        self.opened()

    def test_lock_of_the_dead(self) -> None:
        """A lock file left by a process that ended is no obstacle."""
        self.path.mkdir(parents=True)
        (self.path / "lock").write_text("1\n")
        self.opened()
        self.assertEqual((self.path / "lock").read_text(), f"{os.getpid()}\n")

    def test_lock_let_go_after_a_failure(self) -> None:
        """A store that could not be opened keeps nothing locked."""
        self.path.mkdir(parents=True)
        database = self.path / "messages.sqlite"
        database.write_bytes(b"no database" * 1000)
        self.refused(str(database), "left as it is")
        self.assertEqual(database.read_bytes(), b"no database" * 1000)
        database.unlink()
        self.opened()

    def test_no_other_process_opens_the_file(self) -> None:
        """While the store is open other programs cannot open the database: two connections could corrupt it."""
        self.opened()
        other = sqlite3.connect(self.path / "messages.sqlite", timeout=0)
        self.addCleanup(other.close)
        with self.assertRaises(sqlite3.OperationalError):
            other.execute("SELECT count(*) FROM message")

    def test_newer_schema(self) -> None:
        """A database of a newer program is refused and left as it is."""
        self.opened().close()
        version = len(schema.MIGRATIONS) + 1
        connection = sqlite3.connect(self.path / "messages.sqlite")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.close()
        self.refused(f"version {version}", f"version {version - 1}", "newer program")

    def test_migration(self) -> None:
        """Steps a database lacks are made, each once, and what was stored stays."""
        self.opened().close()
        steps = (*schema.MIGRATIONS, ("CREATE TABLE fragment (id INTEGER)", "INSERT INTO fragment VALUES (1)"))
        connection = opening.connect(self.path / "messages.sqlite")
        self.addCleanup(connection.close)
        for _ in range(2):
            schema.migrate(connection, steps)
            self.assertEqual(connection.execute("PRAGMA user_version").fetchone(), (len(steps),))
            self.assertEqual(connection.execute("SELECT count(*) FROM fragment").fetchone(), (1,))

    def test_migration_that_fails(self) -> None:
        """A step that fails leaves nothing of itself, and those before it stand."""
        connection = opening.connect(Path(self.mktemp()))
        self.addCleanup(connection.close)
        steps = (("CREATE TABLE one (id)",), ("CREATE TABLE two (id)", "CREATE TABLE one (id)"))
        with self.assertRaises(sqlite3.OperationalError):
            schema.migrate(connection, steps)
        self.assertEqual(connection.execute("PRAGMA user_version").fetchone(), (1,))
        self.assertEqual(connection.execute("SELECT name FROM sqlite_master").fetchall(), [("one",)])

    def test_old_sqlite(self) -> None:
        """A SQLite without what is needed is refused."""
        self.patch(sqlite3, "sqlite_version_info", (3, 34, 1))
        self.patch(sqlite3, "sqlite_version", "3.34.1")
        self.refused("3.34.1", "3.35.0")

    def test_directory_that_cannot_be(self) -> None:
        """A directory that cannot be made is named."""
        self.path.parent.parent.mkdir(parents=True)
        self.path.parent.write_text("a file")
        self.refused(str(self.path))

    def test_network_file_system(self) -> None:
        """A network file system is recognised by the mount the directory is on."""
        mounts = Path(self.mktemp())
        mounts.write_text(
            "/dev/vda / ext4 rw 0 0\nserver:/x /srv nfs4 rw 0 0\n/dev/vdb /srv/local xfs rw 0 0\n"
            "s:/y /a\\040b cifs rw 0 0\n"
        )
        for place, kind in (
            ("/var/lib", ""), ("/srv", "nfs4"), ("/srv/state", "nfs4"), ("/srv/local/state", ""), ("/srvx", ""),
            ("/a b/c", "cifs"),
        ):  # fmt: skip
            self.assertEqual(opening.network_kind(Path(place), mounts), kind, place)
        self.assertEqual(opening.network_kind(Path("/srv"), Path("/nonexistent")), "")
        self.patch(opening, "network_kind", lambda path: "nfs4")
        self.refused("nfs4", "local disk")

    def test_lock_that_cannot_be(self) -> None:
        """Where no lock file can be written the store is refused, naming it."""
        lock = LockFile(Path(self.mktemp()) / "lock")
        with self.assertRaises(StoreDown) as caught:
            lock.take()
        self.assertIn(str(lock.path), str(caught.exception))

    def test_unlocking_twice(self) -> None:
        """Letting go of a lock that is not held does nothing."""
        lock = LockFile(Path(self.mktemp()))
        lock.take()
        lock.release()
        lock.release()

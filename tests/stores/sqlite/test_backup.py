"""Backup and restore of the SQLite store."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.changes import Changes
from smsgw.model.errors import StoreDown
from smsgw.model.message import Message
from smsgw.stores import MessageStore
from smsgw.stores.memory import MemoryEngine, Tables
from smsgw.stores.sqlite import Inline, SqliteEngine
from smsgw.stores.sqlite.backup import log_of
from smsgw.stores.sqlite.opening import CHECKPOINT
from smsgw.stores.sqlite.restore import Restored, check, copy_stopped, restore
from tests.stores.stepped import Stepped
from tests.stores.support import START, new


class TwoThreads(Stepped):
    """Also keeps the work of other threads for later."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Callable[[], None]] = []

    def beside(self, work: Callable[[], Any], done: Callable[[Any], object]) -> None:
        """Keep it for later."""
        self.others.append(lambda: done(work()))

    def step_beside(self) -> None:
        """Do one work of another thread, if there is some."""
        if self.others:
            self.others.pop(0)()


class BackupCase(SynchronousTestCase):
    def setUp(self) -> None:
        """A directory for the store and one for the backup."""
        self.path = Path(self.mktemp())
        self.target = Path(self.mktemp())
        self.target.mkdir()
        self.copy = self.target / "copy.sqlite"

    def opened(self, path: Path, runner: Any = None, low_water: int = 0) -> MessageStore:
        """An open store."""
        clock = Clock()
        clock.advance(START)
        self.engine = SqliteEngine(path, runner or Inline(), low_water=low_water, seconds=clock.seconds)
        store = MessageStore(self.engine, "gw1", clock.seconds)
        opening = store.open()
        if isinstance(runner, Stepped):
            runner.finish()
        self.successResultOf(opening)
        self.addCleanup(store.close)
        return store

    def accept(self, store: MessageStore, count: int = 1) -> list[Message]:
        """Accept so many messages."""
        messages = [new(store) for _ in range(count)]
        self.successResultOf(store.commit(Changes(accepts=messages)))
        return messages

    def ids(self, path: Path) -> list[int]:
        """The ids of the messages in a database file."""
        connection = sqlite3.connect(path)
        try:
            return [id for (id,) in connection.execute("SELECT id FROM message ORDER BY id")]
        finally:
            connection.close()

    def refused(self, waiting: Deferred[Any], words: str) -> None:
        """Check that a Deferred failed as StoreDown, with these words."""
        self.assertIn(words, str(self.failureResultOf(waiting, StoreDown).value))


class OperationsBackupTests(BackupCase):
    def test_operations_copy_of_the_running_store(self) -> None:
        """The copy has all messages that were accepted before, is one file, intact and readable by its owner only."""
        store = self.opened(self.path)
        messages = self.accept(store, 50)
        octets = self.successResultOf(store.back_up(self.copy))
        self.assertEqual(octets, self.copy.stat().st_size)
        self.assertEqual(self.ids(self.copy), [message.id for message in messages])
        self.assertEqual(check(self.copy), messages[-1].id)
        self.assertEqual([one.name for one in self.target.iterdir()], ["copy.sqlite"])
        self.assertEqual(stat.S_IMODE(self.copy.stat().st_mode), 0o600)

    def test_operations_commits_go_on(self) -> None:
        """In any order of commits and steps of the backup the copy is the state after one commit: it has what was
        accepted before, and of what came later a beginning without gaps."""
        random = Random(20260821)
        moved_on = 0
        for turn in range(60):
            runner = TwoThreads()
            store = self.opened(self.path / str(turn), runner)
            accepted: list[int] = []

            def commit(store: MessageStore = store, accepted: list[int] = accepted) -> None:
                messages = [new(store) for _ in range(random.randint(1, 40))]
                store.commit(Changes(accepts=messages)).addCallback(lambda _: accepted.append(messages[-1].id))

            commit()
            runner.finish()
            before = accepted[-1]
            done = store.back_up(self.copy)
            while not done.called:
                random.choice((commit, runner.step, runner.step_beside))()
            while runner.work:
                runner.step()
            self.successResultOf(done)
            found = self.ids(self.copy)
            self.assertEqual(found, list(range(1, len(found) + 1)))
            self.assertGreaterEqual(len(found), before)
            moved_on += len(found) > before
            self.assertIn(len(found), accepted)
            check(self.copy)
            closing = store.close()
            runner.finish()
            self.successResultOf(closing)
        self.assertGreater(moved_on, 20)

    def test_operations_checkpoints_are_held_back_meanwhile_only(self) -> None:
        """No checkpoint happens during the copy; afterwards they happen as before, also if the copy failed."""
        runner = TwoThreads()
        store = self.opened(self.path, runner)

        def pages() -> Any:
            return self.engine.connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0]

        for target in (self.copy, self.target / "missing" / "copy.sqlite"):
            done = store.back_up(target)
            runner.step()
            self.assertEqual(pages(), 0)
            while not done.called:
                runner.step()
                runner.step_beside()
            self.assertEqual(pages(), CHECKPOINT)
        self.refused(done, "No such file or directory")

    def test_operations_closed_meanwhile(self) -> None:
        """If the store is closed during the backup there is none: nothing is left of it."""
        for steps in range(6):
            runner = TwoThreads()
            store = self.opened(self.path / str(steps), runner)
            done = store.back_up(self.copy)
            for _ in range(steps):
                (runner.step if runner.work else runner.step_beside)()
            closing = store.close()
            runner.finish()
            while runner.others:
                runner.others.pop(0)()
                runner.finish()
            self.successResultOf(closing)
            if steps < 4:
                self.refused(done, "the store is being closed")
                self.assertEqual(list(self.target.iterdir()), [])
            else:  # everything was copied before
                self.successResultOf(done)
                check(self.copy)

    def test_operations_one_at_a_time(self) -> None:
        """A second backup during the first one is refused; after it the next is made."""
        runner = TwoThreads()
        store = self.opened(self.path, runner)
        first = store.back_up(self.copy)
        self.refused(store.back_up(self.copy), "a backup is being made")
        while not first.called:
            runner.step()
            runner.step_beside()
        self.successResultOf(first)
        self.assertNoResult(store.back_up(self.copy))

    def test_operations_no_room(self) -> None:
        """A copy that would take the room for accepted messages is refused."""
        store = self.opened(self.path, low_water=2**60)
        self.refused(store.back_up(self.copy), "the disk has no room")
        self.assertEqual(list(self.target.iterdir()), [])

    def test_operations_store_in_memory(self) -> None:
        """A store in memory, and one that is not open, say that there is no backup."""
        clock = Clock()
        self.refused(MemoryEngine(Tables(), clock.callLater).back_up(self.copy), "no backup")
        store = MessageStore(SqliteEngine(self.path, Inline()), "gw1", clock.seconds)
        self.refused(store.back_up(self.copy), "not open")


class OperationsRestoreTests(BackupCase):
    def setUp(self) -> None:
        """A store with ten messages, a backup of it, then five more messages."""
        super().setUp()
        store = self.opened(self.path)
        self.accept(store, 10)
        self.successResultOf(store.back_up(self.copy))
        self.accept(store, 5)
        self.store = store

    def test_operations_restored(self) -> None:
        """The restored store has the messages of the backup; no id is given again; the former store is kept."""
        self.store.close()
        replaced = self.path / "messages.sqlite.replaced"
        self.assertEqual(restore(self.path, self.copy, 1000), Restored(16, replaced, True))
        self.assertEqual(self.ids(replaced), list(range(1, 16)))
        self.assertEqual(self.ids(self.path / "messages.sqlite"), list(range(1, 11)))
        self.assertEqual([message.id for message in self.accept(self.opened(self.path))], [16])

    def test_operations_former_store_lost(self) -> None:
        """On a new machine, or over a store that cannot be read, the given number of ids is left out."""
        self.store.close()
        elsewhere = Path(self.mktemp())
        self.assertEqual(restore(elsewhere, self.copy, 1000), Restored(1011, None, False))
        self.assertEqual([message.id for message in self.accept(self.opened(elsewhere))], [1011])
        (self.path / "messages.sqlite").write_bytes(b"no database" * 1000)
        done = restore(self.path, self.copy, 20)
        self.assertEqual((done.first_id, done.known), (31, False))
        self.assertEqual([message.id for message in self.accept(self.opened(self.path))], [31])

    def test_operations_log_of_the_former_store(self) -> None:
        """The log that a killed gateway left is never applied to the restored database."""
        killed = Path(self.mktemp())
        killed.mkdir()
        for name in ("messages.sqlite", "messages.sqlite-wal"):
            (killed / name).write_bytes((self.path / name).read_bytes())
        self.assertGreater(log_of(killed / "messages.sqlite").stat().st_size, 0)
        self.assertEqual(restore(killed, self.copy, 1000).first_id, 16)
        self.assertFalse(log_of(killed / "messages.sqlite").exists())
        self.assertEqual(self.ids(killed / "messages.sqlite"), list(range(1, 11)))

    def test_operations_running_gateway(self) -> None:
        """While a gateway has the store, it is neither replaced nor copied from outside."""
        self.assertRaisesRegex(StoreDown, "is locked by process", restore, self.path, self.copy, 0)
        self.assertRaisesRegex(StoreDown, "is locked by process", copy_stopped, self.path, self.target / "x")
        self.assertEqual(len(self.ids(self.copy)), 10)

    def test_operations_damaged_backup(self) -> None:
        """A backup that is damaged, empty, from a newer program or no store is refused, and the store stays."""
        self.store.close()
        octets = self.copy.read_bytes()
        newer = self.target / "newer"
        newer.write_bytes(octets)
        connection = sqlite3.connect(newer)
        connection.execute("PRAGMA user_version = 1000")
        connection.close()
        damaged = octets[:8192] + b"\xff" * 8192 + octets[16384:]
        for content, words in (
            (damaged, "is damaged|malformed"), (b"", "schema version 0"), (b"text\n" * 1000, "is not a store"),
            (newer.read_bytes(), "schema version 1000"),
        ):
            self.copy.write_bytes(content)
            self.assertRaisesRegex(StoreDown, words, restore, self.path, self.copy, 0)
            self.assertEqual(len(self.ids(self.path / "messages.sqlite")), 15)
        self.assertRaises(StoreDown, restore, self.path, self.target / "missing", 0)

    def test_operations_copy_of_a_stopped_store(self) -> None:
        """The files of a stopped gateway are copied too, with the log that a kill left; without a store there is
        none."""
        self.store.close()
        target = self.target / "stopped"
        copy_stopped(self.path, target)
        self.assertEqual((check(target), self.ids(target)), (15, list(range(1, 16))))
        self.assertRaisesRegex(StoreDown, "there is no store", copy_stopped, self.target, target)

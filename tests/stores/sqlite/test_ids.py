"""F7: ids are reserved ahead, so that none is given twice."""

from __future__ import annotations

import errno
from pathlib import Path

from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.changes import Changes
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine, ids
from smsgw.stores.sqlite.ids import LARGEST, SMALLEST, IdFile
from smsgw.stores.sqlite.restore import restore
from tests.stores.support import START, new


class IdFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A directory."""
        directory = Path(self.mktemp())
        directory.mkdir()
        self.path = directory / "ids"

    def opened(self) -> IdFile:
        """The file, opened as by a fresh process."""
        file = IdFile(self.path)
        file.open()
        self.addCleanup(file.close)
        return file

    def test_f7_reserved(self) -> None:
        """What is reserved is on the disk, in growing blocks."""
        file = self.opened()
        self.assertEqual((file.reserved, file.found), (0, False))
        file.reserve(1)
        self.assertEqual(self.opened().reserved, 1 + SMALLEST)
        file.reserve(1 + SMALLEST)
        self.assertEqual(self.opened().reserved, 1 + SMALLEST)
        for _ in range(10):
            file.reserve(file.reserved + 1)
            self.assertEqual((self.opened().reserved, self.opened().found), (file.reserved, True))
        before = file.reserved
        file.reserve(before + 1)
        self.assertEqual(file.reserved, before + 1 + LARGEST)

    def test_f7_half_written(self) -> None:
        """A reservation that was written in half, at any octet, leaves the one before."""
        file = self.opened()
        file.reserve(1)
        before = self.path.read_bytes()
        first = file.reserved
        file.reserve(first + 1)
        after = self.path.read_bytes()
        changed = [at for at in range(len(after)) if before.ljust(len(after), b"\0")[at] != after[at]]
        for end in range(changed[0], changed[-1] + 2):
            self.path.write_bytes(after[:end] + before.ljust(len(after), b"\0")[end:])
            self.assertEqual(self.opened().reserved, file.reserved if end > changed[-1] else first)

    def test_f7_damaged(self) -> None:
        """Of two lines one may be damaged; a file without a line is as good as none."""
        file = self.opened()
        file.reserve(1)
        file.reserve(SMALLEST + 2)
        octets = bytearray(self.path.read_bytes())
        octets[4096 + 19] ^= 1
        self.path.write_bytes(octets)
        self.assertEqual((self.opened().reserved, self.opened().found), (1 + SMALLEST, True))
        for rubbish in (b"", b"x" * 5000, octets[:10], b"00000000000000000007 00000000\n"):
            self.path.write_bytes(rubbish)
            self.assertEqual((self.opened().reserved, self.opened().found), (0, False))

    def test_f7_released(self) -> None:
        """An orderly stop gives back what was not used."""
        file = self.opened()
        for id in (1, 5000, 20_000):
            file.reserve(id)
        file.release(20_001)
        self.assertEqual(self.opened().reserved, 20_001)


class StoreCase(SynchronousTestCase):
    """A store with a file of ids."""

    def setUp(self) -> None:
        """A directory."""
        self.path = Path(self.mktemp())

    def opened(self) -> MessageStore:
        """A store, opened as by a fresh process."""
        self.engine = SqliteEngine(self.path, Inline())
        store = MessageStore(self.engine, "gw1", lambda: START)
        with capturedLogs() as logged:
            self.successResultOf(store.open())
        self.lines = [formatEvent(one) for one in logged]
        self.addCleanup(store.close)
        return store

    def accept(self, store: MessageStore, number: int = 1) -> list[int]:
        """Store messages; returns their ids."""
        messages = [new(store) for _ in range(number)]
        self.successResultOf(store.commit(Changes(accepts=messages)))
        return [m.id for m in messages]


class ReservationTests(StoreCase):
    """Ids of a store."""

    def lose(self, store: MessageStore) -> None:
        """Kill the process, and lose the whole log of the database."""
        self.engine.lock.release()
        copy = self.path.with_name(self.path.name + "-killed")
        copy.mkdir()
        for name in ("messages.sqlite", "ids"):
            (copy / name).write_bytes((self.path / name).read_bytes())
        self.path = copy

    def test_f7_log_lost(self) -> None:
        """No id is given twice though nothing but the file says that it was given; also not after a long list."""
        given: set[int] = set()
        for number in (1, 3, 200_000):
            store = self.opened()
            fresh = self.accept(store, number) + self.accept(store)
            self.assertFalse(given.intersection(fresh))
            given.update(fresh)
            self.lose(store)
        self.assertGreater(self.opened().next_id(), max(given))

    def test_f7_no_gaps_after_a_stop(self) -> None:
        """An orderly stop leaves no gap; ids that were given and not stored are given again."""
        store = self.opened()
        self.assertEqual(self.accept(store, 3), [1, 2, 3])
        store.close()
        store = self.opened()
        self.assertEqual(self.accept(store), [4])
        store.next_id()
        store.close()
        self.assertEqual(self.opened().next_id(), 5)
        self.assertEqual(self.lines, [])

    def test_f7_file_missing(self) -> None:
        """Without the file, ids go on behind the highest in the database, and a line of the log says so; a new
        database needs none."""
        store = self.opened()
        self.assertEqual(self.lines, [])
        self.accept(store, 3)
        store.close()
        (self.path / "ids").unlink()
        self.assertEqual(self.opened().next_id(), 4)
        self.assertRegex(self.lines[0], "ids was missing or damaged: ids go on behind the highest in the database")

    def test_f7_cannot_reserve(self) -> None:
        """Where ids cannot be reserved nothing is committed: a full disk passes, any other failure ends the store."""
        failures = {errno.ENOSPC: 0, errno.EIO: 1}
        for code, ends in failures.items():
            self.path = Path(self.mktemp())
            store = self.opened()
            failed: list[Failure] = []
            store.failed.addErrback(failed.append)
            trouble: list[int] = [code]

            def fsync(descriptor: int, trouble: list[int] = trouble) -> None:
                if trouble:
                    raise OSError(trouble.pop(), "no")

            self.patch(ids.os, "fsync", fsync)
            m = new(store)
            self.failureResultOf(store.commit(Changes(accepts=[m])), StoreDown)
            self.assertEqual(len(failed), ends)
            if not ends:
                self.accept(store)
                self.assertEqual(self.successResultOf(store.find(None, [m.id])), [[]])


class LossTests(StoreCase):
    """A database that lacks commits of which the file of ids knows."""

    def kill(self, *lost: str, cut: int | None = None) -> None:
        """Kill the process; then delete the files `lost`, and cut the log of the database to `cut` octets."""
        self.engine.lock.release()
        copy = self.path.with_name(self.path.name + "-killed")
        copy.mkdir()
        for name in {"messages.sqlite", "messages.sqlite-wal", "ids"}.difference(lost):
            (copy / name).write_bytes((self.path / name).read_bytes()[: cut if name.endswith("-wal") else None])
        self.path = copy

    def check_reported(self, store: MessageStore) -> None:
        """The loss is told, by one line, and shown."""
        (line,) = self.lines
        self.assertRegex(line, "messages.sqlite has lost commits.*the id [1-9][0-9]* was stored.*database is [0-9]")
        self.assertEqual(store.check().lost_commits, 1)

    def check_whole(self, store: MessageStore) -> None:
        """Nothing is told."""
        self.assertEqual(([line for line in self.lines if "lost" in line], store.check().lost_commits), ([], 0))

    def test_f7_log_cut(self) -> None:
        """A log that is deleted or cut between two runs is noticed, in a new store and in one that was stopped before;
        the start after that is an ordinary one."""
        for stopped in (False, True):
            for cut in (None, 0, 10, 32):
                self.path = Path(self.mktemp())
                store = self.opened()
                if stopped:
                    self.accept(store, 3)
                    store.close()
                    store = self.opened()
                self.accept(store, 30)
                self.kill(*([] if cut is not None else ["messages.sqlite-wal"]), cut=cut)
                store = self.opened()
                self.check_reported(store)
                self.accept(store)
                store.close()
                self.check_whole(self.opened())

    def test_f7_database_deleted(self) -> None:
        """So is a database that is gone, after a kill and after an orderly stop."""
        for kill in (True, False):
            self.path = Path(self.mktemp())
            store = self.opened()
            self.accept(store, 3)
            if kill:
                self.kill("messages.sqlite", "messages.sqlite-wal")
            else:
                store.close()
                (self.path / "messages.sqlite").unlink()
            self.check_reported(self.opened())

    def test_f7_no_false_alarm(self) -> None:
        """A kill at once, a kill, a stop, ids that were given and not stored, and a kill between the reservation of ids
        and the commit that uses them are no loss."""
        self.check_whole(self.opened())
        self.kill()
        store = self.opened()
        self.check_whole(store)
        self.accept(store, 3)
        self.kill()
        store = self.opened()
        self.check_whole(store)
        self.accept(store, 3000)
        for _ in range(9000):
            store.next_id()
        self.successResultOf(store.commit(Changes()))
        self.kill()
        store = self.opened()
        self.check_whole(store)
        store.next_id()
        store.close()
        store = self.opened()
        self.check_whole(store)
        self.engine._ids.reserve(store.next_id() + 100_000)
        self.kill()
        self.check_whole(self.opened())

    def test_f7_purged(self) -> None:
        """Nor is a store whose messages were all deleted."""
        store = self.opened()
        messages = [new(store, state=State.UNDELIVERABLE, claimed=False, notify=0) for _ in range(5)]
        self.successResultOf(store.commit(Changes(accepts=messages)))
        self.assertEqual(self.successResultOf(store.purge(START + 10, START + 10, 100))[0], 5)
        self.kill()
        self.check_whole(self.opened())

    def test_f7_restored(self) -> None:
        """Nor is a backup that is restored, over the store or in place of one that is gone."""
        for gone in (False, True):
            self.path = Path(self.mktemp())
            store = self.opened()
            self.accept(store, 3)
            backup = Path(self.mktemp())
            self.successResultOf(store.back_up(backup))
            self.accept(store, 3000)
            store.close()
            if gone:
                (self.path / "messages.sqlite").unlink()
            restore(self.path, backup, 10)
            store = self.opened()
            self.check_whole(store)
            self.assertGreater(store.next_id(), 1004)

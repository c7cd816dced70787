"""F6: files that are deleted, moved or replaced under a running store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.changes import Changes
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine
from tests.stores.stepped import Stepped
from tests.stores.support import START, new


class F6Tests(SynchronousTestCase):
    def opened(self, runner: Inline) -> MessageStore:
        """A store with a message; each call has a directory of its own."""
        self.path = Path(self.mktemp())
        self.runner = runner
        self.failed: list[Failure] = []
        self.engine = SqliteEngine(self.path, runner)
        store = MessageStore(self.engine, "gw1", lambda: START)
        self.runs(store.open)
        store.failed.addErrback(self.failed.append)
        self.addCleanup(store.close)
        return store

    def runs(self, call: Callable[[], object]) -> None:
        """Do something, and all work that comes of it."""
        call()
        if isinstance(self.runner, Stepped):
            self.runner.finish()

    def ways(self) -> dict[str, Callable[[], object]]:
        """How files go away."""
        path = self.path
        return {
            "messages.sqlite was deleted": (path / "messages.sqlite").unlink,
            "messages.sqlite-wal was deleted": (path / "messages.sqlite-wal").unlink,
            "lock was deleted": (path / "lock").unlink,
            "ids was deleted": (path / "ids").unlink,
            "messages.sqlite was replaced": self.restore,
            f"{path} was deleted": lambda: path.rename(path.with_name("elsewhere")),
        }

    def restore(self) -> None:
        """A backup is put in the place of the database."""
        shutil.copyfile(self.path / "messages.sqlite", self.path / "backup")
        (self.path / "backup").replace(self.path / "messages.sqlite")

    def test_f6_files_gone(self) -> None:
        """Each file is missed at the next look: the store fails, and no change succeeds any more."""
        self.opened(Inline())
        for number, what in enumerate(self.ways()):
            store = self.opened(Inline())
            self.successResultOf(store.commit(Changes(accepts=[new(store)])))
            store.check()
            self.assertEqual(self.failed, [])
            what, take = list(self.ways().items())[number]
            take()
            store.check()
            (failure,) = self.failed
            failure.trap(UnknownOutcome)
            self.assertIn(what, failure.getErrorMessage())
            self.assertRaises(StoreDown, store.next_id)
            self.failureResultOf(store.commit(Changes()), StoreDown)
            self.failureResultOf(store.counts(), UnknownOutcome)
            store.check()
            self.assertEqual(len(self.failed), 1)

    def test_f6_database_cut_off(self) -> None:
        """A database that is cut off in its place is missed at the next look."""
        for size in (0, 8192):
            store = self.opened(Inline())
            self.successResultOf(store.commit(Changes(accepts=[new(store)])))
            store.check()
            self.engine._files.may_empty_log()
            self.engine.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            store.check()
            self.assertEqual(self.failed, [])
            os.truncate(self.path / "messages.sqlite", size)
            store.check()
            (failure,) = self.failed
            failure.trap(UnknownOutcome)
            self.assertIn("messages.sqlite was cut off", failure.getErrorMessage())
            self.failureResultOf(store.commit(Changes()), StoreDown)

    def test_f6_log_cut_off(self) -> None:
        """A log that is emptied in place is missed at the next look, also if commits were written behind the gap."""
        for further in (0, 3):
            store = self.opened(Inline())
            self.successResultOf(store.commit(Changes(accepts=[new(store)])))
            store.check()
            os.truncate(self.path / "messages.sqlite-wal", 0)
            for _ in range(further):
                self.successResultOf(store.commit(Changes(accepts=[new(store)])))
            store.check()
            (failure,) = self.failed
            failure.trap(UnknownOutcome)
            self.assertIn("messages.sqlite-wal was cut off", failure.getErrorMessage())

    def test_f6_log_emptied_for_a_backup(self) -> None:
        """A backup empties the log, and the log that begins anew is no other one."""
        store = self.opened(Inline())
        for number in range(3):
            self.successResultOf(store.commit(Changes(accepts=[new(store)])))
            store.check()
            self.engine._files.may_empty_log()
            self.engine.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if number:
                store.check()
        self.successResultOf(store.commit(Changes(accepts=[new(store)])))
        store.check()
        self.assertEqual(self.failed, [])

    def test_f6_commit_under_way(self) -> None:
        """A commit that is under way when the files are missed is not answered positively, though it succeeds."""
        runner = Stepped()
        store = self.opened(runner)
        under_way = store.commit(Changes(accepts=[new(store)]))
        waiting = store.commit(Changes(accepts=[new(store)]))
        (self.path / "messages.sqlite").unlink()
        reports: list[Callable[[], None]] = []
        self.patch(runner, "report", reports.append)
        runner.step()
        store.check()
        self.patch(runner, "report", lambda call: call())
        for report in reports:
            report()
        runner.finish()
        self.failureResultOf(under_way, UnknownOutcome)
        self.failureResultOf(waiting, UnknownOutcome, StoreDown)

    def test_f6_log_gone(self) -> None:
        """Of a store whose log alone was deleted nothing is lost: closing writes all to the database."""
        store = self.opened(Inline())
        messages = [new(store) for _ in range(5)]
        self.successResultOf(store.commit(Changes(accepts=messages)))
        (self.path / "messages.sqlite-wal").unlink()
        store.check()
        store.close()
        again = MessageStore(SqliteEngine(self.path, Inline()), "gw1", lambda: START)
        self.addCleanup(again.close)
        self.successResultOf(again.open())
        found = self.successResultOf(again.find(None, [m.id for m in messages]))
        self.assertEqual([len(some) for some in found], [1] * 5)

    def test_f6_replaced_stays(self) -> None:
        """A backup that was put in the place of the database is left as it is, and the log of the former database is
        not taken for its own."""
        store = self.opened(Inline())
        self.successResultOf(store.commit(Changes(accepts=[new(store)])))
        self.restore()
        octets = (self.path / "messages.sqlite").read_bytes()
        store.check()
        store.close()
        self.assertEqual((self.path / "messages.sqlite").read_bytes(), octets)
        names = {path.name for path in self.path.iterdir()}
        self.assertEqual(names, {"messages.sqlite", "messages.sqlite-wal.of-replaced-database", "lock", "ids"})

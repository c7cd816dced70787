"""F7: the end of a write-ahead log, as a kill or damage leaves it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.changes import Changes
from smsgw.model.errors import StoreDown
from smsgw.stores import MessageStore, StoreMetrics
from smsgw.stores.sqlite import Inline, SqliteEngine
from smsgw.stores.sqlite.walfile import LogEnd, read_log
from tests.metrics import value
from tests.stores.support import START, new

HEADER = 32
FRAME = 24


class LogTestCase(SynchronousTestCase):
    """Logs made by SQLite."""

    def setUp(self) -> None:
        """A directory."""
        self.path = Path(self.mktemp())
        self.path.mkdir()

    def database(self, *pragmas: str) -> sqlite3.Connection:
        """A database with a log and small pages."""
        connection = sqlite3.connect(self.path / "db", isolation_level=None)
        self.addCleanup(connection.close)
        for pragma in ("page_size = 512", "locking_mode = EXCLUSIVE", "journal_mode = WAL", *pragmas):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
        return connection

    def write(self, connection: sqlite3.Connection, commits: int, pages: int = 3) -> None:
        """Commit so many times, some pages each."""
        for _ in range(commits):
            connection.execute("BEGIN")
            for _ in range(pages):
                connection.execute("INSERT INTO t VALUES (randomblob(400))")
            connection.execute("COMMIT")

    @property
    def log(self) -> Path:
        """The log."""
        return self.path / "db-wal"

    def rewritten(self, octets: bytes) -> LogEnd:
        """How a log with these octets ends."""
        other = self.path / "other-wal"
        other.write_bytes(octets)
        return read_log(other)

    def recovered(self, octets: bytes) -> int:
        """Rows that SQLite finds with a log of these octets."""
        (self.path / "copy").write_bytes((self.path / "db").read_bytes())
        (self.path / "copy-wal").write_bytes(octets)
        connection = sqlite3.connect(self.path / "copy", isolation_level=None)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            row: tuple[int] = connection.execute("SELECT count(*) FROM t").fetchone()
        except sqlite3.OperationalError:  # the table is lost too
            return 0
        finally:
            connection.close()
        return row[0]


class LogEndTests(LogTestCase):
    def test_f7_no_log(self) -> None:
        """A missing or an empty log ends well."""
        self.assertEqual(read_log(self.log), LogEnd())
        for octets in (b"", bytes(10), bytes(5000)):
            self.assertEqual(self.rewritten(octets), LogEnd())

    def test_f7_whole(self) -> None:
        """A whole log ends well; so does one that was begun anew over an older, longer one."""
        connection = self.database("wal_autocheckpoint = 50")
        self.write(connection, 5)
        end = read_log(self.log)
        self.assertEqual((end.commits, end.lost, end.unfinished), (6, 0, False))
        for _ in range(30):
            self.write(connection, 1)
            end = read_log(self.log)
            self.assertGreater(end.commits, 0)
            self.assertEqual((end.lost, end.unfinished), (0, False))

    def test_f7_killed(self) -> None:
        """Whatever a kill leaves of the last commit, it is no loss: neither over old frames nor at the end of the
        file."""
        connection = self.database("wal_autocheckpoint = 30")
        self.write(connection, 12)
        for _ in range(6):
            before = self.log.read_bytes()
            self.write(connection, 1)
            after = self.log.read_bytes()
            changed = [at for at in range(len(after)) if at >= len(before) or before[at] != after[at]]
            # The header is one small write, which a kill does not divide.
            for end in range(max(changed[0], HEADER), changed[-1] + 1, 7):
                found = self.rewritten(after[:end] + before[end:])
                self.assertEqual(found.lost, 0, (changed[0], end))
        self.assertTrue(any(self.rewritten(after[:end]).unfinished for end in range(changed[0], changed[-1], 7)))

    def test_f7_rolled_back(self) -> None:
        """Frames of a large transaction that was rolled back, behind the next commit, are no loss."""
        connection = self.database("cache_size = 5")
        self.write(connection, 3)
        connection.execute("BEGIN")
        for _ in range(200):
            connection.execute("INSERT INTO t VALUES (randomblob(400))")
        connection.execute("ROLLBACK")
        self.write(connection, 1)
        end = read_log(self.log)
        self.assertEqual((end.commits, end.lost), (5, 0))

    def test_f7_damaged(self) -> None:
        """Wherever a log is damaged, the commits that SQLite takes and those that it ignores are counted; only damage
        to the last commit cannot always be distinguished from a kill."""
        connection = self.database()
        self.write(connection, 8)
        octets = self.log.read_bytes()
        size = FRAME + 512
        last = len(octets) - size
        self.assertEqual(read_log(self.log).commits, 9)
        for at in range(0, len(octets), 67):
            damaged = octets[:at] + bytes([octets[at] ^ 0x55]) + octets[at + 1 :]
            end = self.rewritten(damaged)
            if at < HEADER:
                self.assertEqual((end.commits, end.lost), (0, 1), at)
                continue
            self.assertEqual(self.recovered(damaged), 3 * max(end.commits - 1, 0), at)
            self.assertEqual(end.commits + end.lost, 9 if at < last else 8, at)
            self.assertEqual(end.unfinished, at >= last, at)

    def test_f7_damaged_far(self) -> None:
        """Damage over several pages, and zeros, are found too."""
        connection = self.database()
        self.write(connection, 8)
        octets = self.log.read_bytes()
        for start in range(HEADER, len(octets) - 5000, 900):
            end = self.rewritten(octets[:start] + bytes(3000) + octets[start + 3000 :])
            self.assertGreater(end.lost, 0)

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_f7_any_octets(self, data: st.DataObject) -> None:
        """Any octets are read without an exception, also after a proper header."""
        rubbish = data.draw(st.binary(max_size=3000))
        if not self.log.exists():
            self.write(self.database(), 2)
        whole = self.log.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        self.rewritten(rubbish)
        self.rewritten(whole[:cut] + rubbish)


class StartTests(LogTestCase):
    """A store whose process was killed, and whose log is damaged then."""

    def killed(self) -> list[int]:
        """The directory of a killed gateway; returns the acknowledged ids."""
        first = Path(self.mktemp())
        engine = SqliteEngine(first, Inline())
        store = MessageStore(engine, "gw1", lambda: START)
        self.successResultOf(store.open())
        self.addCleanup(store.close)
        self.ids: list[int] = []
        for _ in range(20):
            m = new(store)
            self.successResultOf(store.commit(Changes(accepts=[m])))
            self.ids.append(m.id)
        self.path = Path(self.mktemp())
        shutil.copytree(first, self.path)
        return self.ids

    @property
    def log(self) -> Path:
        """The log of the store."""
        return self.path / "messages.sqlite-wal"

    def start(self) -> MessageStore:
        """Start on what is there."""
        self.metrics = StoreMetrics()
        store = MessageStore(SqliteEngine(self.path, Inline()), "gw1", lambda: START, self.metrics)
        with capturedLogs() as logged:
            self.result = store.open()
        self.lines = [(one["log_level"], formatEvent(one)) for one in logged]
        self.addCleanup(store.close)
        return store

    def damage(self, part: float) -> None:
        """Change an octet of the log."""
        octets = bytearray(self.log.read_bytes())
        octets[int(len(octets) * part)] ^= 0xFF
        self.log.write_bytes(octets)

    def kept(self, store: MessageStore) -> int:
        """How many of the acknowledged messages are there."""
        return sum(map(len, self.successResultOf(store.find(None, self.ids))))

    def test_f7_damaged_log(self) -> None:
        """The log says what is lost, a copy of the log is kept, and no id is given again."""
        ids = self.killed()
        self.damage(0.9)
        octets = self.log.read_bytes()
        store = self.start()
        self.successResultOf(self.result)
        ((level, line),) = self.lines
        self.assertIs(level, LogLevel.critical)
        self.assertRegex(line, r"messages\.sqlite-wal is damaged: behind the damage [0-9]+ commits")
        (copy,) = self.path.glob("messages.sqlite-wal.damaged-*")
        self.assertIn(copy.name, line)
        self.assertEqual(copy.read_bytes(), octets)
        lost = len(ids) - self.kept(store)
        self.assertGreater(lost, 0)
        self.assertEqual(store.check().lost_commits, lost)
        self.assertEqual(value(self.metrics.lost_commits), lost)
        self.assertGreater(store.next_id(), ids[-1])
        store.close()
        self.start()
        self.assertEqual(self.lines, [])

    def test_f7_damaged_header(self) -> None:
        """A log whose header is damaged is lost as a whole, and the log says so."""
        ids = self.killed()
        octets = bytearray(self.log.read_bytes())
        octets[20] ^= 1
        self.log.write_bytes(octets)
        store = self.start()
        self.assertIs(self.lines[0][0], LogLevel.critical)
        self.assertGreater(store.check().lost_commits, 0)
        self.assertGreater(store.next_id(), ids[-1])

    def test_f7_plain_kill(self) -> None:
        """After a plain kill there is no alarm, whether the last commit was written whole or in half."""
        ids = self.killed()
        store = self.start()
        self.assertEqual((self.lines, store.check().lost_commits, self.kept(store)), ([], 0, len(ids)))
        self.killed()
        self.log.write_bytes(self.log.read_bytes()[:-1000])
        store = self.start()
        ((level, line),) = self.lines
        self.assertIs(level, LogLevel.info)
        self.assertIn("ends in an unfinished commit", line)
        self.assertEqual((store.check().lost_commits, self.kept(store)), (0, len(ids) - 1))
        self.assertGreater(store.next_id(), ids[-1])

    def test_f7_inconsistent(self) -> None:
        """If what is left does not fit together the start is refused, and nothing is changed."""
        self.killed()
        self.damage(0.5)
        database = self.path / "messages.sqlite"
        connection = sqlite3.connect(self.path / "other")
        connection.execute("CREATE TABLE other (x)")
        connection.close()
        octets = bytearray(database.read_bytes())
        octets[100] = 0x77  # no kind of page
        octets[24:28] = bytes(4)
        database.write_bytes(octets)
        log = self.log.read_bytes()
        self.log.write_bytes(log[:HEADER] + bytes([log[HEADER] ^ 1]) + log[HEADER + 1 :])
        log = self.log.read_bytes()
        self.start()
        failure = self.failureResultOf(self.result, StoreDown)
        self.assertRegex(failure.getErrorMessage(), "damaged, together with its log .*restore a backup")
        self.assertEqual(self.log.read_bytes(), log)
        self.assertEqual(database.read_bytes(), octets)

"""The watch: what the administrator learns of the disk and the clock (F1, F2)."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.changes import Changes
from smsgw.model.errors import StoreFull
from smsgw.services.clock import GRACE, CheckedClock
from smsgw.services.metrics import ServiceMetrics
from smsgw.services.watch import Watch
from smsgw.stores import MessageStore, StoreMetrics
from smsgw.stores.sqlite import Inline, SqliteEngine, disk
from tests.metrics import value
from tests.stores.support import START, new

MIB = 2**20


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A store on a disk with room, and time that can be set."""
        self.clock = Clock()
        self.clock.advance(1.0)
        self.lead = 0.0
        self.free = 10_000 * MIB
        self.patch(disk, "free_octets", lambda path: self.free)
        self.path = self.mktemp()
        self.metrics, self.counts = StoreMetrics(), ServiceMetrics()
        self.begin()

    def begin(self) -> None:
        """Start, or start again."""
        self.time = CheckedClock(lambda: START + self.clock.seconds() + self.lead, self.clock.seconds)
        engine = SqliteEngine(self.path, Inline(), seconds=self.clock.seconds)
        self.store = MessageStore(engine, "gw1", self.time.now, self.metrics, clock=self.time)
        self.store.open()
        self.addCleanup(self.store.close)
        self.watch = Watch(self.store, self.time, self.clock, self.counts)
        with capturedLogs() as self.logged:
            self.watch.start()
        self.addCleanup(self.watch.stop)

    def lines(self, seconds: int) -> list[str]:
        """What is logged while so many seconds pass."""
        with capturedLogs() as logged:
            self.clock.pump([1.0] * seconds)
        return [formatEvent(one) for one in logged if one["log_level"] >= LogLevel.warn]

    def accept(self) -> None:
        """Store a new message."""
        self.successResultOf(self.store.commit(Changes(accepts=[new(self.store)])))

    def check_refused(self) -> None:
        """A new message is refused."""
        self.failureResultOf(self.store.commit(Changes(accepts=[new(self.store)])), StoreFull)

    def test_f1_disk_short_then_free(self) -> None:
        """A disk that becomes short, and has room again: found without any commit, within two seconds each time."""
        self.assertEqual(self.lines(5), [])
        self.assertEqual((self.watch.health()["disk"], self.watch.health()["accepting"]), ("enough", True))
        self.free = 255 * MIB
        (line,) = self.lines(2)
        self.assertEqual(
            line,
            "the disk of the store is nearly full (255 MiB are free): new messages are refused until 320 MiB are free; "
            "accepted messages are finished",
        )
        self.assertEqual((self.watch.health()["disk"], self.watch.health()["accepting"]), ("short", False))
        self.assertEqual(value(self.metrics.disk_short), 1)
        self.assertEqual(value(self.metrics.disk_free), 255 * MIB)
        self.check_refused()
        self.assertEqual(self.lines(60), [])
        self.free = 600 * MIB
        (line,) = self.lines(2)
        self.assertEqual(line, "the disk of the store has room again (600 MiB are free): new messages are accepted")
        self.assertEqual((self.watch.health()["disk"], self.watch.health()["accepting"]), ("enough", True))
        self.assertEqual(value(self.metrics.disk_short), 0)
        self.accept()

    def test_f1_started_on_a_small_disk(self) -> None:
        """A start on a small disk says so at once, and new messages are accepted when there is room."""
        self.watch.stop()
        self.store.close()
        self.free = 100 * MIB
        self.begin()
        self.assertRegex(formatEvent(self.logged[0]), "nearly full .100 MiB")
        self.check_refused()
        self.free = 600 * MIB
        self.assertEqual(len(self.lines(2)), 1)
        self.accept()

    def test_f1_refusals_do_not_hide_the_disk(self) -> None:
        """While every new message is refused, the disk is looked at all the same."""
        self.free = 0
        self.lines(1)
        for _ in range(10):
            self.check_refused()
            self.clock.advance(0.3)
        self.free = 600 * MIB
        self.clock.advance(1)
        self.accept()

    def test_f2_told(self) -> None:
        """A jump, its end and its acceptance are one line each, and shown by the health and the metric."""
        self.assertEqual((self.watch.health()["clock"], self.watch.health()["clock_jump_seconds"]), ("steady", 0.0))
        self.lead = 108_000.0
        (line,) = self.lines(3)
        self.assertRegex(line, "the wall clock jumped by [+]108000 s.*300 s.*smsgw clock accept")
        self.assertEqual((self.watch.health()["clock"], self.watch.health()["clock_jump_seconds"]), ("jumped", 108e3))
        self.assertTrue(self.watch.health()["accepting"])
        self.assertEqual(value(self.counts.clock_jump), 108_000.0)
        self.lead = 0.0
        self.assertEqual(self.lines(3), ["the wall clock is back; its jump changed nothing"])
        self.assertEqual(value(self.counts.clock_jump), 0.0)
        self.lead = -7200.0
        (line,) = self.lines(int(GRACE))
        self.assertIn("jumped by -7200 s", line)
        (line,) = self.lines(2)
        self.assertIn("is accepted", line)
        self.assertEqual(self.watch.health()["clock"], "steady")

    def test_f2_accept_clock(self) -> None:
        """The administrator accepts a jump, also one that the watch has not seen yet."""
        self.assertEqual(self.watch.accept_clock(), 0.0)
        self.lead = 108_000.0
        with capturedLogs() as logged:
            self.assertAlmostEqual(self.watch.accept_clock(), 108_000.0)
        self.assertEqual(len(logged), 2)
        self.assertAlmostEqual(self.time.now(), START + self.clock.seconds() + self.lead, 3)
        self.assertEqual(self.watch.accept_clock(), 0.0)

    def test_f2_start_long_after(self) -> None:
        """A start with a clock forty days ahead of the last run is reported as a jump; an ordinary restart is not."""
        self.watch.stop()
        self.store.close()
        self.begin()
        self.assertEqual(self.logged, [])
        self.watch.stop()
        self.store.close()
        self.lead = 40 * 86_400.0
        self.begin()
        self.assertRegex(formatEvent(self.logged[0]), "last ran.*[+]34560.. s.*clock accept")
        self.assertEqual(self.watch.health()["clock"], "jumped")

    def end(self) -> None:
        """End, as a kill would as far as the database is concerned: what is committed stays."""
        self.watch.stop()
        self.store.close()

    def run_seconds(self, seconds: int) -> None:
        """Let time pass; the node stores its sign of life as the sweep has it do."""
        for _ in range(seconds):
            self.clock.advance(1.0)
            self.successResultOf(self.store.release_due(START, 10))

    def test_f2_second_start_in_a_jump(self) -> None:
        """A second start, and a third, within the jump at a start find the same jump, whatever was stored between;
        a start with the right clock finds none. When the jump is accepted, the sign of life follows."""
        for lead in (2 * 86_400.0, -3 * 86_400.0):
            self.lead = 0.0
            self.end()
            self.path = self.mktemp()
            self.begin()
            self.run_seconds(20)
            for _ in range(3):
                self.end()
                self.lead = lead
                self.begin()
                self.assertIn("when this gateway last ran", formatEvent(self.logged[0]))
                self.assertLess(abs(self.watch.jump - lead), 60.0)
                self.accept()
                self.run_seconds(25)
                right = START + self.clock.seconds()
                self.assertLessEqual(self.time.earliest(), right + min(lead, 0.0) + 1e-3)
            self.end()
            self.lead = 0.0
            self.begin()
            self.assertEqual((self.logged, self.watch.jump), ([], 0.0))
            self.end()
            self.lead = lead
            self.begin()
            self.watch.accept_clock()
            self.run_seconds(12)
            self.end()
            self.begin()
            self.assertEqual((self.logged, self.watch.jump), ([], 0.0))

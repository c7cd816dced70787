from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import LogLevel, capturedLogs, formatEvent

from smsgw.model.errorcodes import ErrorCode
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport
from smsgw.model.outcome import Busy, Lost, Sent
from smsgw.services.clock import GRACE, CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.metrics import ServiceMetrics
from smsgw.services.sweep import INTERVAL, Sweep
from tests.configured import configured
from tests.services.dispatch.support import DAY, NOON, DispatchTestCase, HandConnector, message


class SweepTests(DispatchTestCase):
    """Deadlines are looked at once a second."""

    def begin(self, *connectors: HandConnector, **settings: Any) -> HandConnector:
        """Start dispatch and the sweep."""
        first = super().begin(*connectors, **settings)
        self.counts = ServiceMetrics()
        self.sweep = Sweep(
            configured(keep=30 * DAY, event_keep=7 * DAY),
            self.store,
            Commits(self.store, self.outbox),
            self.dispatch,
            self.clock,
            self.time,
            self.counts,
        )
        self.sweep.start()
        self.addCleanup(self.sweep.stop)
        return first

    def later(self, seconds: float) -> None:
        """Let so much time pass, and a sweep happen in the end."""
        self.clock.advance(seconds)
        self.clock.advance(INTERVAL)

    def test_scheduled(self) -> None:
        """A scheduled message leaves when its time comes, and not before."""
        sim = self.begin()
        self.accept(message(1, state=State.SCHEDULED, due=NOON + 60))
        self.later(55)
        self.assertEqual((sim.sends, self.state(1)), ([], State.SCHEDULED))
        self.later(5)
        self.assertEqual(sim.sends, [[(1, 1)]])

    def test_scheduled_while_down(self) -> None:
        """A message whose time came while the program was down leaves after the start."""
        self.begin()
        self.accept(message(1, state=State.SCHEDULED, due=NOON + 60))
        self.sweep.stop()
        self.clock.advance(3600)
        self.crash()
        sim = self.begin()
        self.later(1)
        self.assertEqual(sim.sent, [(1, 1)])

    def test_many_at_once(self) -> None:
        """Thousands that are due at the same moment leave without waiting for a second each."""
        sim = self.begin(HandConnector(window=5000))
        self.accept(*[message(id, state=State.SCHEDULED, due=NOON + 60) for id in range(1, 2502)])
        self.later(60)
        self.assertEqual(len(sim.sent), 2501)

    def test_retry(self) -> None:
        """A message that found the upstream busy is tried again when its pause is over."""
        sim = self.begin(retry_first=5.0)
        self.accept(message(1))
        sim.answer(Busy())
        self.later(5)
        self.assertEqual(sim.sends, [[(1, 1)], [(1, 1)]])

    def test_queued_expires(self) -> None:
        """A message that still waits when its validity ends is expired, with an event."""
        sim = self.begin(HandConnector(window=1))
        self.accept(message(1), message(2, expires=NOON + 60), message(3, state=State.SCHEDULED, due=NOON + 3600,
                                                                       expires=NOON + 60))
        self.later(60)
        self.assertEqual([self.state(id) for id in (1, 2, 3)], [State.QUEUED, State.EXPIRED, State.EXPIRED])
        self.assertEqual(sorted(self.outbox.reported), [(2, State.EXPIRED), (3, State.EXPIRED)])
        sim.answer()
        self.assertEqual(sim.sent, [(1, 1)])

    def test_claim_under_way(self) -> None:
        """A message whose claim is under way when its validity ends is not both expired and sent."""
        sim = self.begin(HandConnector(window=1))
        self.accept(message(1), message(2, expires=NOON + 10))
        self.clock.advance(9.9)
        self.runner.by_hand = True
        sim.answer()
        self.clock.advance(2)
        self.runner.work()
        self.later(10)
        self.assertEqual(sim.sent, [(1, 1), (2, 1)])
        self.assertNotIn((2, State.EXPIRED), self.outbox.reported)

    def test_no_report(self) -> None:
        """A part without a receipt within the report timeout becomes unknown, with an event."""
        sim = self.begin()
        self.accept(message(1, expires=NOON + 9 * DAY), message(2, expires=NOON + 9 * DAY))
        sim.answer()
        report = DeliveryReport("sim-1", State.DELIVERED, 0, NOON)
        self.successResultOf(self.links["sim"].sink.receipts("sim", [report]))
        self.later(DAY)
        self.assertEqual([self.state(id) for id in (1, 2)], [State.DELIVERED, State.UNKNOWN])
        self.assertEqual(self.found(2).error, ErrorCode.NO_RECEIPT)
        self.assertEqual(self.outbox.reported[-1], (2, State.UNKNOWN))

    def test_no_report_on_a_part(self) -> None:
        """So does one part of several, and with it the message when the others are final."""
        sim = self.begin()
        self.accept(message(1, parts=2, expires=NOON + 9 * DAY))
        sim.answer(Sent("A1"), count=1)
        sim.answer(Sent("A2"))
        self.successResultOf(self.links["sim"].sink.receipts("sim", [DeliveryReport("A1", State.DELIVERED, 0, NOON)]))
        self.later(DAY)
        self.assertEqual(self.state(1), State.UNKNOWN)

    def test_purge(self) -> None:
        """Final messages, and events that no client took, are deleted after their time, in small batches."""
        sim = self.begin(HandConnector(window=50))
        self.accept(*[message(id) for id in range(1, 31)], message(99, state=State.SCHEDULED, due=NOON + 90 * DAY,
                                                                  expires=NOON + 99 * DAY))
        sim.answer()
        reports = [DeliveryReport(f"sim-{id}", State.DELIVERED, 0, NOON) for id in range(1, 31)]
        self.successResultOf(self.links["sim"].sink.receipts("sim", reports))
        with capturedLogs() as logged:
            self.later(8 * DAY)
        self.assertEqual(self.counts.given_up[()], 60)
        warnings = [formatEvent(one) for one in logged if one["log_level"] is LogLevel.warn]
        self.assertEqual([line.split(",")[0] for line in warnings], ["60 events were given up"])
        self.assertEqual(self.state(1), State.DELIVERED)
        self.later(31 * DAY)
        self.assertEqual(self.counts.purged[()], 30)
        self.assertEqual(self.successResultOf(self.store.find(None, [1])), [[]])
        self.assertEqual(self.state(99), State.SCHEDULED)

    def test_failures(self) -> None:
        """A step that fails is counted, logged once until it succeeds, and tried again; other steps go on."""
        sim = self.begin()
        overdue = self.store.scan_overdue

        def broken(*_: object) -> Deferred[None]:
            return fail(StoreDown("disk full"))

        self.patch(self.store, "scan_overdue", broken)
        self.accept(message(1, state=State.SCHEDULED, due=NOON + 2), message(2, state=State.SCHEDULED, due=NOON + 60,
                                                                            expires=NOON + 4))
        line = "sweep: overdue failed and is tried again every second: disk full"
        with capturedLogs() as logged:
            self.clock.pump([1.0] * 5)
        self.assertEqual([formatEvent(one) for one in logged if one["log_level"] is LogLevel.warn], [line])
        self.assertEqual(self.counts.sweep_failures["overdue"], 5)
        self.assertEqual(sim.sent, [(1, 1)])
        self.patch(self.store, "scan_overdue", overdue)
        self.clock.advance(1)
        self.assertEqual(self.state(2), State.EXPIRED)
        self.patch(self.store, "scan_overdue", broken)
        with capturedLogs() as logged:
            self.clock.pump([1.0] * 2)
        self.assertEqual([formatEvent(one) for one in logged if one["log_level"] is LogLevel.warn], [line])

    def test_faults(self) -> None:
        """A fault in one step is logged with its traceback and stops neither the other steps nor the next sweep."""
        self.begin()

        def broken(*_: object) -> None:
            raise ZeroDivisionError("a fault")

        self.patch(self.dispatch, "tick", broken)
        self.clock.pump([1.0] * 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_one_at_a_time(self) -> None:
        """A sweep that takes longer than a second is not joined by another."""
        self.begin()
        under_way: list[Deferred[list[tuple[str, str, int]]]] = []

        def slow(now: float, limit: int, earliest: float) -> Deferred[list[tuple[str, str, int]]]:
            under_way.append(Deferred())
            return under_way[-1]

        self.patch(self.store, "release_due", slow)
        self.clock.pump([1.0] * 5)
        self.assertEqual(len(under_way), 1)
        under_way[0].callback([])
        self.clock.advance(1)
        self.assertEqual(len(under_way), 2)
        under_way[1].callback([])

    def test_stop(self) -> None:
        """Stopping waits for the sweep under way; then there is no timer left."""
        self.begin()
        self.runner.by_hand = True
        self.clock.advance(1)
        stopping = self.sweep.stop()
        self.assertNoResult(stopping)
        self.runner.work()
        self.successResultOf(stopping)
        self.assertEqual(self.clock.calls, [])

    def jump(self, lead: float, seconds: int = 3) -> None:
        """Set the wall clock, and let time pass with a check of the clock each second."""
        self.lead = lead
        for _ in range(seconds):
            self.time.check()
            self.clock.advance(1)

    def test_f2_short_jump(self) -> None:
        """A clock that is wrong for three seconds expires no message, ends none that is on its way, deletes none and
        gives up no event; what was sent meanwhile goes its way."""
        sim = self.begin(HandConnector(window=4))
        self.accept(*(message(id, expires=NOON + DAY) for id in range(1, 9)))
        sim.answer(Sent("a"), count=1)
        sim.answer(Sent("b"), count=1)
        self.successResultOf(self.links["sim"].sink.receipts("sim", [DeliveryReport("a", State.DELIVERED, 0, NOON)]))
        before = [self.state(id) for id in range(1, 9)]
        self.assertEqual(before[:2], [State.DELIVERED, State.ENROUTE])
        for lead in (30 * 3600.0, 40 * DAY, -30 * 3600.0, -40 * DAY):
            self.jump(lead)
            self.jump(0.0)
            self.assertEqual([self.state(id) for id in range(1, 9)], before)
            self.assertEqual((self.counts.purged[()], self.counts.given_up[()]), (0, 0))
            reported = [(1, State.ENROUTE), (1, State.DELIVERED), (2, State.ENROUTE)]
            self.assertEqual(sorted(self.outbox.reported), reported)
        sim.answer()
        self.assertEqual([self.state(id) for id in range(2, 6)], [State.ENROUTE] * 4)

    def test_f2_lasting_jump(self) -> None:
        """When a jump has lasted, deadlines are tested by the new time; but not those that were set meanwhile."""
        sim = self.begin(HandConnector(window=1))
        self.accept(message(1, expires=NOON + 9 * DAY), message(2, expires=NOON + 3600.0))
        sim.answer()
        self.assertEqual([self.state(1), self.state(2)], [State.ENROUTE, State.QUEUED])
        self.jump(3 * DAY, 10)
        sim.answer()
        self.assertEqual(self.state(2), State.ENROUTE)
        self.accept(message(4, expires=NOON + 9 * DAY), message(3, expires=NOON + 3600.0))
        self.jump(3 * DAY, int(GRACE))
        self.assertEqual([self.state(id) for id in (1, 2, 3)], [State.UNKNOWN, State.ENROUTE, State.EXPIRED])

    def test_f2_accepted_jump(self) -> None:
        """So they are at once when the administrator accepts the jump."""
        self.begin(HandConnector(window=0))
        self.accept(message(1, expires=NOON + 3600.0))
        self.jump(3 * DAY)
        self.time.accept()
        self.clock.advance(1)
        self.assertEqual(self.state(1), State.EXPIRED)

    def test_f2_retries_after_a_jump_back(self) -> None:
        """When the time is set back for good, what is to be tried again is tried at once instead of hours later. What
        is scheduled or held stays where it is."""
        sim = self.begin(HandConnector(window=3), retry_first=5.0, on_unknown="hold")
        self.accept(
            message(1, expires=NOON + DAY),
            message(2, expires=NOON + DAY),
            message(3, state=State.SCHEDULED, due=NOON + 60, expires=NOON + DAY),
        )
        sim.answer(Lost(), count=1)
        self.jump(-3 * 3600.0)
        sim.answer(Busy())
        self.time.accept()
        self.clock.advance(1)
        self.assertEqual(sim.sends, [[(1, 1), (2, 1)], [(2, 1)]])
        self.assertEqual([self.state(1), self.state(3)], [State.QUEUED, State.SCHEDULED])
        self.clock.advance(100)
        self.assertEqual(sim.sends, [[(1, 1), (2, 1)], [(2, 1)]])

    def test_f2_wrong_clock_at_start(self) -> None:
        """A start with a clock forty days ahead expires nothing that waits, also nothing that is claimed, and deletes
        nothing, until the clock has stood there."""
        sim = self.begin(HandConnector(window=1))
        self.accept(*(message(id, expires=NOON + DAY) for id in (1, 2, 3)))
        self.sweep.stop()
        self.lead = 40 * DAY
        self.time = CheckedClock(self.wall, self.now)
        self.crash()
        self.assertLess(abs(self.time.jump - 40 * DAY), 60.0)
        sim = self.begin(HandConnector(window=1))
        self.clock.advance(2)
        self.assertEqual([self.state(id) for id in (1, 2, 3)], [State.QUEUED] * 3)
        self.assertEqual(sim.sent, [(1, 1)])
        self.jump(0.0, 5)
        sim.answer()
        sim.answer()
        self.assertEqual([self.state(id) for id in (1, 2, 3)], [State.ENROUTE, State.ENROUTE, State.QUEUED])

    def test_f2_scheduled_at_a_jumped_start(self) -> None:
        """After a start with a clock two days ahead a scheduled message stays where it is until the jump is accepted;
        what is to be tried again does not wait for that."""
        sim = self.begin(retry_first=5.0)
        self.accept(message(1, state=State.SCHEDULED, due=NOON + DAY, expires=NOON + 9 * DAY))
        self.sweep.stop()
        self.lead = 2 * DAY
        self.time = CheckedClock(self.wall, self.now)
        self.crash()
        sim = self.begin(retry_first=5.0)
        self.accept(message(2, expires=NOON + 9 * DAY))
        sim.answer(Busy())
        self.jump(2 * DAY, 10)
        self.assertEqual((sim.sent, self.state(1)), ([(2, 1), (2, 1)], State.SCHEDULED))
        self.time.accept()
        self.clock.advance(1)
        self.assertEqual(sim.sent[2:], [(1, 1)])

    def test_f2_busy_during_a_jump_back(self) -> None:
        """A message that finds the upstream busy while the clock is in doubt is tried again after its pause."""
        sim = self.begin(retry_first=5.0)
        self.accept(message(1, expires=NOON + 60))
        self.jump(-3600.0, 2)
        sim.answer(Busy())
        self.jump(-3600.0, 3)
        self.assertEqual(sim.sends, [[(1, 1)]])
        self.jump(-3600.0, 3)
        self.assertEqual(sim.sends, [[(1, 1)], [(1, 1)]])

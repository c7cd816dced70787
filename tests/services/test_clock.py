"""The checked clock (F2): a wall clock that is set moves the time only when that has lasted, or is accepted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.services.clock import (
    GRACE,
    LONG_STOP,
    SLEW,
    TOLERANCE,
    CheckedClock,
    ClockEvent,
    elapsed_seconds,
)

START = 1_700_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR


class Machine:
    """A machine whose wall clock can be set, and a gateway's clock on it."""

    def __init__(self) -> None:
        self.elapsed = 500.0
        self.lead = 0.0
        self.clock = CheckedClock(self.wall, lambda: self.elapsed)

    @property
    def true(self) -> float:
        """The time of a wall clock that nobody sets."""
        return START + self.elapsed - 500.0

    def wall(self) -> float:
        """The wall clock."""
        return self.true + self.lead

    def run(self, seconds: float, slew: float = 0.0) -> list[ClockEvent]:
        """Let time pass, with a check each second; the wall clock gains `slew` seconds per second."""
        events = []
        for _ in range(int(seconds)):
            self.elapsed += 1.0
            self.lead += slew
            event = self.clock.check()
            if event is not None:
                events.append(event)
        return events

    @property
    def error(self) -> float:
        """By how much the gateway's time differs from the wall clock."""
        return self.clock.now() - self.wall()


class F2Tests(SynchronousTestCase):
    def setUp(self) -> None:
        """A gateway that has run for a minute."""
        self.machine = Machine()
        self.clock = self.machine.clock
        self.assertEqual(self.machine.run(60), [])

    def check_undisturbed(self) -> None:
        """The time is what it was before the jump, and nothing is in doubt."""
        self.assertLessEqual(abs(self.clock.now() - self.machine.true), 1e-3)
        self.assertEqual((self.clock.jump, self.clock.ahead, self.clock.behind), (0.0, 0.0, 0.0))
        self.assertEqual(self.clock.earliest(), self.clock.now())

    def test_f2_short_jumps(self) -> None:
        """A jump of some seconds, forward or back, changes nothing."""
        for jump in (30 * HOUR, 40 * DAY, -30 * HOUR, 11.0):
            self.machine.lead = jump
            self.assertEqual(self.machine.run(3), [ClockEvent.JUMPED])
            self.assertEqual(self.clock.jump, jump)
            self.assertLessEqual(abs(self.clock.now() - self.machine.true), 1e-3)
            self.assertLessEqual(self.clock.earliest(), min(self.machine.true, self.machine.wall()) + 1e-3)
            self.assertGreaterEqual(
                self.clock.now() + self.clock.ahead, max(self.machine.true, self.machine.wall()) - 1e-3
            )
            self.machine.lead = 0.0
            self.assertEqual(self.machine.run(3), [ClockEvent.RETURNED])
            self.check_undisturbed()

    def test_f2_unseen_jump(self) -> None:
        """A jump between two checks is not seen at all."""
        self.machine.lead = 30 * HOUR
        self.assertLessEqual(abs(self.clock.earliest() - self.machine.true), 1e-3)
        self.machine.lead = 0.0
        self.assertEqual(self.machine.run(2), [])

    def test_f2_lasting_jumps(self) -> None:
        """A jump that lasts is followed after the grace time, whatever its direction."""
        for jump in (30 * HOUR, -30 * HOUR):
            self.machine.lead += jump
            self.assertEqual(self.machine.run(GRACE), [ClockEvent.JUMPED])
            self.assertLessEqual(abs(self.machine.error + jump), 1e-3)
            self.assertEqual(self.machine.run(2), [ClockEvent.ACCEPTED])
            self.assertLessEqual(abs(self.machine.error), 1e-3)
            self.assertEqual((self.clock.jump, self.clock.ahead, self.clock.behind), (0.0, 0.0, 0.0))

    def test_f2_second_jump(self) -> None:
        """A second jump begins the grace time anew."""
        self.machine.lead = 30 * HOUR
        self.machine.run(GRACE - 10)
        self.machine.lead = 60 * HOUR
        self.assertEqual(self.machine.run(GRACE), [ClockEvent.JUMPED])
        self.assertEqual(self.clock.jump, 60 * HOUR)
        self.assertEqual(self.machine.run(2), [ClockEvent.ACCEPTED])

    def test_f2_runaway(self) -> None:
        """A wall clock that runs ten times too fast is never followed."""
        events = self.machine.run(3 * GRACE, slew=9.0)
        self.assertEqual(set(events), {ClockEvent.JUMPED})
        self.assertLessEqual(abs(self.clock.now() - self.machine.true), TOLERANCE)

    def test_f2_accepted(self) -> None:
        """The administrator may accept a jump at once; without a jump that does nothing."""
        self.clock.accept()
        self.check_undisturbed()
        self.machine.lead = -2 * HOUR
        self.machine.run(2)
        self.clock.accept()
        self.assertLessEqual(abs(self.machine.error), 1e-3)
        self.assertEqual(self.machine.run(2 * GRACE), [])

    def test_f2_slew(self) -> None:
        """A wall clock that is slewed by a time service is followed without a jump."""
        for slew in (0.0005, -0.0005, 0.083, -0.083):
            self.assertEqual(self.machine.run(2 * HOUR, slew), [])
            self.assertLess(abs(self.machine.error), 0.1)

    def test_f2_small_step(self) -> None:
        """A step of some seconds is followed slowly."""
        for step in (8.0, -8.0):
            self.machine.lead += step
            before = self.clock.now()
            self.assertEqual(self.machine.run(1), [])
            self.assertLessEqual(abs(self.clock.now() - before - 1.0), SLEW + 1e-6)
            self.machine.run(100)
            self.assertLessEqual(abs(self.machine.error), 1e-3)

    def test_f2_suspended(self) -> None:
        """After a night of sleep, which the elapsed seconds count, all goes on at once."""
        self.machine.elapsed += 8 * HOUR
        self.machine.lead += 0.7
        self.assertEqual(self.machine.run(1), [])
        self.assertLessEqual(abs(self.machine.error), 1e-3)

    def test_f2_elapsed(self) -> None:
        """The clock of elapsed seconds goes forward with the one of the system."""
        first = elapsed_seconds()
        self.assertGreaterEqual(elapsed_seconds(), first)

    def test_f2_start_after_long_stop(self) -> None:
        """A start long after the last sign of the former process: new messages have the wall clock's time, and what
        was stored before is not tested by it until the grace time is over."""
        self.assertTrue(self.clock.start(self.machine.true - 40 * DAY))
        self.assertLessEqual(abs(self.clock.now() - self.machine.wall()), 1e-3)
        self.assertLessEqual(abs(self.clock.earliest() - self.machine.wall() + 40 * DAY), 1e-3)
        self.assertEqual((self.clock.jump, self.clock.ahead), (40 * DAY, 0.0))
        self.assertEqual(self.machine.run(GRACE - 2), [])
        self.assertEqual(self.machine.run(2), [ClockEvent.ACCEPTED])
        self.check_undisturbed()

    def test_f2_start_with_wrong_clock(self) -> None:
        """A wall clock that was wrong at the start and is set right soon after harms nothing: what was stored before
        is tested by the right time as soon as it is there."""
        self.machine.lead = 40 * DAY
        self.clock = self.machine.clock = CheckedClock(self.machine.wall, lambda: self.machine.elapsed)
        self.assertTrue(self.clock.start(self.machine.true - HOUR))
        self.assertLessEqual(self.clock.earliest(), self.machine.true)
        self.machine.run(10)
        self.machine.lead = 0.0
        self.assertEqual(self.machine.run(GRACE), [ClockEvent.JUMPED])
        self.assertLessEqual(abs(self.clock.earliest() - self.machine.true), 1e-3)
        self.assertEqual(self.machine.run(3), [ClockEvent.ACCEPTED])
        self.check_undisturbed()

    def test_f2_second_jump_after_a_jumped_start(self) -> None:
        """A wall clock that jumps on after a wrong start does not make the wrong start's time the one that deadlines
        are tested by; neither does its return to that time."""
        self.machine.lead = 2 * DAY
        self.clock = self.machine.clock = CheckedClock(self.machine.wall, lambda: self.machine.elapsed)
        self.clock.start(self.machine.true - HOUR)
        for lead in (2 * DAY, 4 * DAY, 2 * DAY, 0.0, 2 * DAY, 9 * DAY, 2 * DAY):
            self.machine.lead = lead
            self.machine.run(5)
            self.assertLessEqual(self.clock.earliest(), self.machine.true + 1e-3)
            self.assertLessEqual(abs(self.clock.sign_of_life() - self.machine.true), HOUR + 1e-3)
            self.assertNotEqual(self.clock.jump, 0.0)
        self.assertEqual(self.machine.run(GRACE), [ClockEvent.ACCEPTED])
        self.assertEqual(self.clock.sign_of_life(), self.clock.now())
        self.check_accepted()

    def check_accepted(self) -> None:
        """The time is the wall clock's, and nothing is in doubt."""
        self.assertLessEqual(abs(self.machine.error), 1e-3)
        self.assertEqual((self.clock.jump, self.clock.ahead, self.clock.behind), (0.0, 0.0, 0.0))

    def test_f2_start_before_the_last_sign(self) -> None:
        """A start at a time before the last sign is a jump too."""
        self.assertTrue(self.clock.start(self.machine.true + HOUR))
        self.assertEqual((self.clock.jump, self.clock.ahead, self.clock.behind), (-HOUR, HOUR, 0.0))
        self.clock.accept()
        self.check_undisturbed()

    def test_f2_ordinary_starts(self) -> None:
        """A first start, and one after an ordinary stop, are no jumps."""
        for last_seen in (0.0, self.machine.true, self.machine.true - LONG_STOP + 1.0):
            self.assertFalse(self.clock.start(last_seen))
            self.check_undisturbed()

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["set", "return", "slew"]),
                st.floats(-60 * DAY, 60 * DAY),
                st.floats(-0.09, 0.09),
                st.integers(1, 100),
            ),
            max_size=12,
        )
    )
    def test_f2_property(self, steps: list[tuple[str, float, float, int]]) -> None:
        """Whatever is done to the wall clock: while no jump is accepted the time passes as the elapsed seconds do,
        within what is slewed; the earliest and the latest time enclose both clocks; and a wall clock that is left alone
        is followed in the end."""
        machine = Machine()
        clock = machine.clock
        for what, value, slew, seconds in steps:
            if what == "set":
                machine.lead = value
            elif what == "return":
                machine.lead = 0.0
            for _ in range(seconds):
                before = clock.now()
                machine.elapsed += 1.0
                machine.lead += slew if what == "slew" else 0.0
                event = clock.check()
                if event is not ClockEvent.ACCEPTED:
                    assert abs(clock.now() - before - 1.0) <= SLEW + 1e-6
                else:
                    assert abs(machine.error) <= TOLERANCE
                now = clock.now()
                assert clock.earliest() <= min(now, machine.wall()) + TOLERANCE + 1e-6
                assert now + clock.ahead >= max(now, machine.wall()) - TOLERANCE - 1e-6
                assert bool(clock.jump) == bool(clock.ahead or clock.behind)
        machine.run(GRACE + 110)
        assert abs(machine.error) <= 1e-3
        assert clock.jump == 0.0

"""The time of the gateway: the system's wall clock, checked instead of followed.

A wall clock that is set wrong for some seconds must not expire messages or delete what is stored. So the time is that
of a clock that nobody sets, plus an offset to the wall clock. The offset follows small differences slowly. A *jump*, a
larger difference, changes nothing until it has lasted :data:`GRACE`, or until the administrator accepts it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Final

TOLERANCE: Final = 10.0
"""Seconds that the wall clock may differ before that is a jump."""

SLEW: Final = 0.1
"""Seconds per second by which the offset follows a smaller difference. Time services slew by less than that."""

GRACE: Final = 300.0
"""Seconds that a jump must last before it is accepted."""

LONG_STOP: Final = 86_400.0
"""Seconds between the last sign of the former process and the start, from which on the start is a jump."""


elapsed_seconds: Final[Callable[[], float]] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Returns seconds of a clock that is never set. It goes on while the machine sleeps, where the system has such a
clock."""


class ClockEvent(Enum):
    """What a check of the clock found."""

    JUMPED = "jumped"
    """The wall clock differs, or differs by another amount than before."""

    RETURNED = "returned"
    """The wall clock agrees again."""

    ACCEPTED = "accepted"
    """The jump has lasted: the time is the wall clock's."""


class CheckedClock:
    """Absolute time in seconds since 1970. Call :meth:`check` once a second.

    While there is a jump, a deadline is set by the latest and tested by the earliest time that it may be, so that
    nothing ends early, whichever clock is right.

    :ivar jump: seconds by which the wall clock is ahead (negative: behind) since it jumped, as of the last check; 0
        while it agrees.
    :ivar ahead, behind: seconds by which the latest time that it may be is ahead of :meth:`now`, and the earliest
        behind it.
    :param wall: the wall clock. :param elapsed: seconds of a clock that is never set.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, elapsed: Callable[[], float] = elapsed_seconds
    ) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._checked = elapsed()
        self._offset = wall() - self._checked
        self._since = 0.0
        self._at_start = False
        self._former: float | None = None
        self.ahead = 0.0
        self.behind = 0.0
        self.jump = 0.0

    def now(self) -> float:
        """The time. Unless a jump is accepted it steps by a tenth of the time between two checks at most."""
        return self._elapsed() + self._offset

    def earliest(self) -> float:
        """The earliest time that it may be: tests deadlines after which something is ended or deleted."""
        return self._elapsed() + self._offset - self.behind

    def sign_of_life(self) -> float:
        """The time to store as the last sign of this process. After a start that is a jump it goes on from the sign of
        the former process until the jump is accepted, so that a second start meanwhile finds the same jump."""
        return self._elapsed() + (self._offset if self._former is None else self._former)

    def start(self, last_seen: float) -> bool:
        """Compare the time with that of the last sign of the former process, 0 for none: a start after a very long
        stop, or before that sign, is a jump of a wall clock that may have been set wrong at the start of the
        machine. Returns whether it is."""
        stopped = self.now() - last_seen
        if not last_seen or -TOLERANCE <= stopped < LONG_STOP:
            return False
        self._former = self._offset - stopped
        self._begin_at_start()
        return True

    def check(self) -> ClockEvent | None:
        """Compare the time with the wall clock; returns what is new."""
        elapsed = self._elapsed()
        since, self._checked = elapsed - self._checked, elapsed
        difference = self._wall() - elapsed - self._offset
        if abs(difference) <= TOLERANCE:
            self._follow(difference, since)
            if self._at_start:
                return None if elapsed - self._since < GRACE else self._end(ClockEvent.ACCEPTED)
            if self._former is not None:
                self._begin_at_start()
                return ClockEvent.JUMPED
            return self._end(ClockEvent.RETURNED) if self.jump else None
        if not self.jump or self._at_start or abs(difference - self.jump) > TOLERANCE:
            self._begin(difference)
            return ClockEvent.JUMPED
        if elapsed - self._since < GRACE:
            return None
        self._offset += difference
        return self._end(ClockEvent.ACCEPTED)

    def accept(self) -> None:
        """Accept the jump that the last check found; without effect if there is none."""
        if self.jump and not self._at_start:
            self._offset = self._wall() - self._elapsed()
        self._end(ClockEvent.ACCEPTED)

    def _follow(self, difference: float, seconds: float) -> None:
        most = SLEW * seconds
        self._offset += min(max(difference, -most), most)

    def _begin(self, jump: float) -> None:
        self._since = self._checked
        self._at_start = False
        self.jump = jump
        self.ahead, self.behind = max(jump, 0.0), max(-jump, 0.0)
        if self._former is not None:
            wall = self._offset + jump
            if -TOLERANCE <= wall - self._former < LONG_STOP:
                self._former = wall  # the wall clock goes on where the former process ended
            self.behind = max(self.behind, self._offset - self._former)

    def _begin_at_start(self) -> None:
        """Begin the jump from the clock of the former process to the time of this one."""
        assert self._former is not None
        self._since = self._checked
        self._at_start = True
        self.jump = self._offset - self._former
        self.ahead, self.behind = max(-self.jump, 0.0), max(self.jump, 0.0)

    def _end(self, event: ClockEvent) -> ClockEvent:
        self._at_start = False
        self._former = None
        self.jump = self.ahead = self.behind = 0.0
        return event

"""The watch: once a second it looks at the disk, at the files of the store and at the wall clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from smsgw.interfaces import IMessageStore, StoreCondition
from smsgw.services.clock import GRACE, CheckedClock, ClockEvent
from smsgw.services.metrics import ServiceMetrics

INTERVAL: Final = 1.0
"""Seconds between two looks."""

_MIB: Final = 2**20

_log = Logger()


class Watch:
    """Tells the administrator, by the log, by metrics and by :meth:`health`, when something begins to be wrong, and
    when it ends. That a file is gone is reported by the store itself, which then fails.

    :param clock: its seconds are monotonic.
    """

    def __init__(
        self,
        store: IMessageStore,
        time: CheckedClock,
        clock: IReactorTime,
        metrics: ServiceMetrics | None = None,
    ) -> None:
        self._store = store
        self._time = time
        (metrics or ServiceMetrics()).clock_jump.set_function(lambda: self._time.jump)
        self._condition = StoreCondition()
        self._loop = LoopingCall(self.look)
        self._loop.clock = clock

    def start(self) -> None:
        """Look now, and once a second from then on. The store must be open: the opening compares the clock with the
        last sign of the former process."""
        if self._time.jump:
            self._jumped("when this gateway last ran, its clock differed from now")
        self._loop.start(INTERVAL).addErrback(lambda failure: _log.failure("the watch ended", failure))

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def look(self) -> None:
        """Look once."""
        self._tell(self._time.check())
        before, self._condition = self._condition, self._store.check()
        now = self._condition
        if now.short and not before.short:
            _log.warn(
                "the disk of the store is nearly full ({free} MiB are free): new messages are refused until {needed} "
                "MiB are free; accepted messages are finished",
                free=now.free // _MIB,
                needed=now.needed // _MIB,
            )
        elif before.short and not now.short:
            _log.warn(
                "the disk of the store has room again ({free} MiB are free): new messages are accepted",
                free=now.free // _MIB,
            )

    def accept_clock(self) -> float:
        """Accept the jump of the wall clock; returns its seconds, 0 if there is none."""
        self.look()
        jump = self._time.jump
        if jump:
            self._time.accept()
            self._tell(ClockEvent.ACCEPTED)
        return jump

    @property
    def jump(self) -> float:
        """Seconds by which the wall clock jumped, 0 if it did not or the jump is accepted."""
        return self._time.jump

    def health(self) -> Mapping[str, Any]:
        """What /health says of the last look; ``accepting`` is whether the disk has room for new messages."""
        condition = self._condition
        return {
            "accepting": not condition.short,
            "disk": "short" if condition.short else "enough",
            "log": "damaged" if condition.lost_commits else "whole",
            "clock": "jumped" if self._time.jump else "steady",
            "clock_jump_seconds": round(self._time.jump, 1),
        }

    def _jumped(self, what: str) -> None:
        _log.warn(
            "{what} by {seconds} s. Nothing expires or is deleted for that until the clock has stood there for {grace} "
            "s. If it is right: python -m smsgw clock accept",
            what=what,
            seconds=f"{self._time.jump:+.0f}",
            grace=f"{GRACE:.0f}",
        )

    def _tell(self, event: ClockEvent | None) -> None:
        if event is ClockEvent.JUMPED:
            self._jumped("the wall clock jumped")
        elif event is ClockEvent.RETURNED:
            _log.warn("the wall clock is back; its jump changed nothing")
        elif event is ClockEvent.ACCEPTED:
            _log.warn("the jump of the wall clock is accepted: deadlines are tested by its time from now on")

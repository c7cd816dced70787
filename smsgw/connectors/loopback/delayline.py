"""A delay line: passes batches on after a constant time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

ROUNDING: Final = 1e-6
"""Seconds by which a timer may be early, because of rounding in sums of floats."""

T = TypeVar("T")


class DelayLine(Generic[T]):
    """Passes batches on in order, after :meth:`put` has returned, with one timer for all of them.

    :param seconds: the delay; with 0 a batch is passed on in the next turn of the reactor.
    :param deliver: called with all batches that are due.
    """

    def __init__(self, clock: IReactorTime, seconds: float, deliver: Callable[[list[T]], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._deliver = deliver
        self._waiting: deque[tuple[float, T]] = deque()
        self._timer: IDelayedCall | None = None

    def put(self, batch: T) -> None:
        """Pass `batch` on after the delay."""
        self._waiting.append((self._clock.seconds() + self._seconds, batch))
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._over)

    def _over(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        waiting = self._waiting
        due = []
        while waiting and waiting[0][0] <= now + ROUNDING:
            due.append(waiting.popleft()[1])
        if waiting:
            self._timer = self._clock.callLater(waiting[0][0] - now, self._over)
        if due:
            self._deliver(due)

    def empty(self) -> list[T]:
        """Remove all batches and return them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batches = [batch for _, batch in self._waiting]
        self._waiting.clear()
        return batches

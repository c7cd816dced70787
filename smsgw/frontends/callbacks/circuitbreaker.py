"""How many requests one receiver of callbacks gets at a time, and when it gets none.

A circuit breaker for each account and origin (scheme, host, port): an account whose receiver is broken never slows
another down, even at the same host.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

TRIES: Final = 5
"""Requests in a row without an answer after which a receiver is left alone."""

FIRST_PAUSE: Final = 10.0
"""Seconds for which it is left alone at first; doubled each time a single try is in vain."""

LONGEST_PAUSE: Final = 600.0
"""Seconds that such a pause never exceeds."""

J = TypeVar("J")


@attrs.define(eq=False)
class CircuitBreaker(Generic[J]):
    """Requests to one origin for one account.

    :ivar run: begins a request; :meth:`ended` must follow. :ivar woken: called when there is room after a pause.
    :ivar most: requests at a time. :ivar waiting: requests whose turn has not come.
    """

    clock: IReactorTime
    run: Callable[[CircuitBreaker[J], J], None]
    woken: Callable[[], None]
    most: int
    waiting: deque[J] = attrs.field(factory=deque)
    running: int = 0
    _failures: int = 0
    _pause: float = FIRST_PAUSE
    _trying: bool = False
    _timer: IDelayedCall | None = None

    @property
    def down(self) -> bool:
        """Whether it is left alone now."""
        return self._timer is not None

    @property
    def idle(self) -> bool:
        """True if no request is running, queued or paused."""
        return not (self.running or self.waiting or self.down)

    def room(self) -> int:
        """How many requests it may be given now, beside those it has."""
        if self.down:
            return 0
        return max((1 if self._trying else self.most) - self.running - len(self.waiting), 0)

    def wait(self) -> float:
        """Seconds for which it is left alone still."""
        return max(self._timer.getTime() - self.clock.seconds(), 0.0) if self._timer is not None else 0.0

    def add(self, job: J) -> None:
        """Run this when its turn comes."""
        self.waiting.append(job)
        self.pump()

    def pump(self) -> None:
        """Begin what may begin."""
        while self.waiting and not self.down and self.running < (1 if self._trying else self.most):
            self.running += 1
            self.run(self, self.waiting.popleft())

    def ended(self, answered: bool) -> bool:
        """A request is over; returns whether the receiver is left alone from now on."""
        self.running -= 1
        if answered:
            self._failures = 0
            self._trying = False
            self._pause = FIRST_PAUSE
            return False
        self._failures += 1
        if self.down or not (self._trying or self._failures >= TRIES):
            return False
        if self._trying:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._timer = self.clock.callLater(self._pause, self._again)
        return True

    def _again(self) -> None:
        """One try."""
        self._timer = None
        self._trying = True
        if self.waiting:
            self.pump()
        else:
            self.woken()

    def stop(self) -> None:
        """Forget the pause."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

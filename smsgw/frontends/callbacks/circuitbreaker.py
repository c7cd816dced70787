"""A circuit breaker, which limits the concurrent requests to a receiver of callbacks and pauses after failures.

Each pair of account and origin (scheme, host, port) has its own, so that a broken receiver of one account does not slow
down other accounts, even at the same host.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

TRIES: Final = 5
"""Failed requests in a row after which the requests to a receiver pause."""

FIRST_PAUSE: Final = 10.0
"""Seconds of the first pause; each failed test request doubles the pause."""

LONGEST_PAUSE: Final = 600.0
"""Seconds of the longest pause."""

J = TypeVar("J")


@attrs.define(eq=False)
class CircuitBreaker(Generic[J]):
    """Requests to one origin for one account.

    :ivar run: starts a request; :meth:`ended` must be called at its end. :ivar woken: called when a pause ends and the
        queue is empty.
    :ivar most: highest number of concurrent requests. :ivar waiting: the queue of requests.
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
        """Whether requests to the receiver pause now."""
        return self._timer is not None

    @property
    def idle(self) -> bool:
        """True if no request is running, queued or paused."""
        return not (self.running or self.waiting or self.down)

    def room(self) -> int:
        """Return how many further requests may be added now."""
        if self.down:
            return 0
        return max((1 if self._trying else self.most) - self.running - len(self.waiting), 0)

    def wait(self) -> float:
        """Return the remaining seconds of the pause."""
        return max(self._timer.getTime() - self.clock.seconds(), 0.0) if self._timer is not None else 0.0

    def add(self, job: J) -> None:
        """Queue a request."""
        self.waiting.append(job)
        self.pump()

    def pump(self) -> None:
        """Start queued requests within the limit."""
        while self.waiting and not self.down and self.running < (1 if self._trying else self.most):
            self.running += 1
            self.run(self, self.waiting.popleft())

    def ended(self, answered: bool) -> bool:
        """Count the end of a request; return whether a pause begins."""
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
        """The pause has ended: allow one request as a test."""
        self._timer = None
        self._trying = True
        if self.waiting:
            self.pump()
        else:
            self.woken()

    def stop(self) -> None:
        """End the pause."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

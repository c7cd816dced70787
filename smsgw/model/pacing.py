"""The arithmetic of rates and retries. The caller passes the time; there are no timers."""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class Bucket:
    """A token bucket: `rate` tokens a second, at most `burst` saved up; a `rate` of 0 means no limit.

    The level may go below zero: a caller that finds it above zero may charge more than is left, so that a long text
    always passes, and later callers wait until the debt is refilled.
    """

    rate: float
    burst: float
    _tokens: float = attrs.field(init=False)
    _at: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._tokens = self.burst

    def level(self, now: float) -> float:
        """Return the tokens available at `now` (seconds of a monotonic clock); infinite without a limit."""
        if not self.rate:
            return float("inf")
        if now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
        return self._tokens

    def charge(self, tokens: float) -> None:
        """Take `tokens`, even if the level goes below zero."""
        if self.rate:
            self._tokens -= tokens

    def take(self, now: float) -> bool:
        """Take one token if there is one; return whether there was."""
        there = self.level(now) >= 1
        if there:
            self.charge(1)
        return there

    def owe(self, tokens: float, now: float) -> float:
        """Take `tokens`, even if the level goes below zero; return the seconds until it is zero again."""
        level = self.level(now)
        self.charge(tokens)
        return max(0.0, tokens - level) / self.rate if self.rate else 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until one token is available."""
        missing = 1.0 - self.level(now)
        return missing / self.rate if missing > 0 else 0.0


def log_limit() -> Bucket:
    """Return the limit for log lines that unauthenticated clients cause: 20 at once, then one in two seconds, so that
    they cannot fill the disk. Metrics count the events without limit."""
    return Bucket(0.5, 20.0)


def back_off(attempts: int, first: float, limit: float) -> float:
    """Return the seconds to wait before attempt number `attempts` + 1: `first`, doubled each time, at most `limit`."""
    return min(limit, first * 2.0 ** min(max(attempts - 1, 0), 32))

"""Arithmetic of rates and retries, on clock readings handed in: no timers here."""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class Bucket:
    """A token bucket: `rate` tokens a second, at most `burst` saved up; a `rate` of 0 means no limit.

    It may go negative: whoever finds it above zero may charge more than is left (a long text always passes),
    and the debt is paid off by waiting.
    """

    rate: float
    burst: float
    _tokens: float = attrs.field(init=False)
    _at: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._tokens = self.burst

    def level(self, now: float) -> float:
        """Tokens available at `now` (seconds of a monotonic clock); infinite without a limit."""
        if not self.rate:
            return float("inf")
        if now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
        return self._tokens

    def charge(self, tokens: float) -> None:
        """Take `tokens`, even into debt."""
        if self.rate:
            self._tokens -= tokens

    def take(self, now: float) -> bool:
        """Take a token, if there is a whole one."""
        there = self.level(now) >= 1
        if there:
            self.charge(1)
        return there

    def wait(self, now: float) -> float:
        """Seconds until at least one token is there."""
        missing = 1.0 - self.level(now)
        return missing / self.rate if missing > 0 else 0.0


def log_limit() -> Bucket:
    """For lines of the log that anybody can cause, before a login: 20 at once, then one in two seconds. What they tell
    of is counted as well, so that nothing is hidden and no disk filled."""
    return Bucket(0.5, 20.0)


def back_off(attempts: int, first: float, limit: float) -> float:
    """Seconds to wait before attempt number `attempts` + 1: `first`, doubled each time, never above `limit`."""
    return min(limit, first * 2.0 ** min(max(attempts - 1, 0), 32))

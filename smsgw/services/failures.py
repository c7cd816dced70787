"""Counts failed logins, and says when further ones are not looked at."""

from __future__ import annotations

from collections import OrderedDict

import attrs

from smsgw.model.pacing import Bucket


@attrs.define(eq=False)
class Failures:
    """Counts wrong passwords per key. After `most` of them within `period` seconds the key is refused for `pause`
    seconds.

    :ivar size: the most keys that are remembered; the one that failed longest ago is forgotten first.
    """

    most: float
    period: float
    pause: float
    size: int = 20_000
    _counts: OrderedDict[object, tuple[Bucket, float]] = attrs.field(factory=OrderedDict, init=False)

    def refuses(self, key: object, now: float) -> bool:
        """Whether the key is refused now."""
        count = self._counts.get(key)
        return count is not None and now < count[1]

    def add(self, key: object, now: float) -> None:
        """Count a failure."""
        bucket, until = self._counts.get(key, (None, 0.0))
        if bucket is None:
            bucket = Bucket(self.most / self.period, self.most)
        bucket.level(now)
        bucket.charge(1.0)
        if bucket.level(now) < 1.0:
            until = now + self.pause
        self._counts[key] = bucket, until
        self._counts.move_to_end(key)
        if len(self._counts) > self.size:
            self._counts.popitem(last=False)

    def forget(self, key: object) -> None:
        """Forget the failures of the key."""
        self._counts.pop(key, None)

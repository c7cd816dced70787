"""The room of a connector: the free slots of its window, limited by the tokens of its rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from smsgw.config import ConnectorSettings
from smsgw.model.pacing import Bucket

BURST: Final = 0.1
"""Seconds for which the bucket of the rate collects tokens."""

TICK: Final = 0.01
"""Seconds that a connector without tokens waits at least, so that it sends in batches."""

ADJUSTABLE: Final = ("window", "rate", "on_unknown", "refuse_after", "retry_first", "retry_limit")
"""The keys that all connectors have: they change how much is sent and what dispatch does, not how it is sent."""


def adjustable(before: ConnectorSettings, after: ConnectorSettings) -> bool:
    """Whether two settings differ in keys of :data:`ADJUSTABLE` only."""
    return attrs.evolve(before, **{key: getattr(after, key) for key in ADJUSTABLE}) == after


class Window:
    """The room of one connector. A slot is taken from :meth:`take` to :meth:`release`.

    :param window: slots at most. :param rate: parts a second, 0 for no limit.
    :param ready: called when the room grows from 0. :param willing: returns False while the connector cannot send for
        another reason; the connector calls :meth:`feed` when that changes.
    :ivar open: False: the room is 0.
    """

    def __init__(
        self,
        window: int,
        rate: float,
        clock: IReactorTime,
        ready: Callable[[], None],
        willing: Callable[[], bool] | None = None,
    ) -> None:
        self.open = False
        self._willing = willing
        self._window = window
        self._clock = clock
        self._ready = ready
        self._bucket = Bucket(rate, max(1.0, rate * BURST))
        self._taken = 0
        self._starved = True
        self._tokens: IDelayedCall | None = None

    def apply(self, window: int, rate: float) -> None:
        """Use another number of slots, and another rate: from now on with its own bucket."""
        self._window = window
        if rate != self._bucket.rate:
            self._bucket = Bucket(rate, max(1.0, rate * BURST))
        self.feed()

    def room(self) -> int:
        """How many parts may be sent now."""
        room = self._window - self._taken if self.open and (self._willing is None or self._willing()) else 0
        if room > 0 and self._bucket.rate:
            now = self._clock.seconds()
            room = min(room, int(self._bucket.level(now)))
            if room <= 0 and self._tokens is None:
                self._tokens = self._clock.callLater(max(self._bucket.wait(now), TICK), self._have_tokens)
        if room <= 0:
            self._starved = True
            return 0
        return room

    def take(self, count: int) -> None:
        """Take slots and tokens for `count` parts that are sent."""
        self._taken += count
        self._starved = self._starved or self._taken >= self._window
        self._bucket.charge(count)

    def release(self, count: int) -> None:
        """Free the slots of `count` parts whose outcomes are committed."""
        self._taken -= count
        self.feed()

    def _have_tokens(self) -> None:
        self._tokens = None
        self.feed()

    def feed(self) -> None:
        """Call `ready` if there is room after there was none."""
        if self._starved and self.room() > 0:
            self._starved = False
            self._ready()

    def close(self) -> None:
        """Close the window: the room is 0 from now on."""
        self.open = False
        if self._tokens is not None:
            self._tokens.cancel()
            self._tokens = None

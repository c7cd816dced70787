"""How much a connector may be offered: its window less what is not settled, and the tokens of its rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from smsgw.model.pacing import Bucket

BURST: Final = 0.1
"""Seconds of the rate that may be saved up."""

TICK: Final = 0.01
"""Seconds that a connector out of tokens waits at least, so that they are spent in batches."""


class Window:
    """The room of one connector.

    :param window: parts at most that are not settled. :param rate: parts a second, 0 for no limit.
    :param ready: called whenever the room was 0 and grows. :param willing: says no while there is none for reasons of
        the connector's own; call :meth:`feed` when that changes.
    :ivar open: whether anything may be offered at all.
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
        self._unsettled = 0
        self._starved = True
        self._tokens: IDelayedCall | None = None

    def room(self) -> int:
        """How many parts may be offered now."""
        room = self._window - self._unsettled if self.open and (self._willing is None or self._willing()) else 0
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
        """So many parts were offered."""
        self._unsettled += count
        self._starved = self._starved or self._unsettled >= self._window
        self._bucket.charge(count)

    def settled(self, count: int) -> None:
        """The outcomes of so many parts are stored."""
        self._unsettled -= count
        self.feed()

    def _have_tokens(self) -> None:
        self._tokens = None
        self.feed()

    def feed(self) -> None:
        """Say so if there is room again."""
        if self._starved and self.room() > 0:
            self._starved = False
            self._ready()

    def close(self) -> None:
        """Nothing may be offered any more."""
        self.open = False
        if self._tokens is not None:
            self._tokens.cancel()
            self._tokens = None

"""The limits that clients exceed: how the administrator learns of them.

An overload begins when a limit is exceeded and ends when that has not happened for a minute. Its begin and its end are
one log line each, whatever the number of hits between them; the hits are counted in a metric.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
from prometheus_client import CollectorRegistry
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.telemetry import Counts

QUIET: Final = 60.0
"""Seconds without a hit after which an overload has ended."""

log: Final = Logger()


class OverloadMetrics:
    """The metric of exceeded limits.

    :param registry: exports the metric; None: it is not exported. :ivar hits: by limit and what it is for.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.hits = Counts(
            "smsgw_limit_hits_total",
            "How often a limit was exceeded, by limit and the listener or account that it is for.",
            ["limit", "of"],
            registry=registry,
        )


@attrs.define(eq=False)
class _Overload:
    since: float
    last: float
    hits: int = 0


class Overloads:
    """The limits of one program that are exceeded now.

    :param clock: its seconds must be monotonic.
    :param metrics: counts the hits; None: they are counted and shown nowhere.
    """

    def __init__(self, clock: IReactorTime, metrics: OverloadMetrics | None = None) -> None:
        self._clock = clock
        self._current: dict[tuple[str, str], _Overload] = {}
        self._next: IDelayedCall | None = None
        self._metrics = metrics or OverloadMetrics()

    def hit(self, limit: str, of: str, why: str) -> None:
        """Note that a limit was exceeded.

        :param limit: a word for the limit. :param of: the name of its listener or account, empty if it has none; never
            a word of a client. :param why: what happens, for the log line at the begin.
        """
        now = self._clock.seconds()
        self._metrics.hits[limit, of] += 1
        found = self._current.get((limit, of))
        if found is None:
            found = self._current[limit, of] = _Overload(now, now)
            log.warn("limit {limit} of {of} is exceeded: {why}", limit=limit, of=of or "the gateway", why=why)
            if self._next is None:
                self._next = self._clock.callLater(QUIET, self._look)
        found.last = now
        found.hits += 1

    def current(self) -> list[dict[str, Any]]:
        """Return the overloads of now for /health, oldest first."""
        now = self._clock.seconds()
        return [
            {"limit": limit, "of": of, "hits": one.hits, "seconds": int(now - one.since)}
            for (limit, of), one in self._current.items()
        ]

    def _look(self) -> None:
        self._next = None
        now = self._clock.seconds()
        for (limit, of), one in list(self._current.items()):
            if now - one.last >= QUIET:
                del self._current[limit, of]
                log.info(
                    "limit {limit} of {of} is kept again; it was exceeded {hits} times in {seconds} s",
                    limit=limit,
                    of=of or "the gateway",
                    hits=one.hits,
                    seconds=int(one.last - one.since),
                )
        if self._current:
            oldest = min(one.last for one in self._current.values())
            self._next = self._clock.callLater(max(1.0, oldest + QUIET - now), self._look)

"""Counters, gauges and histograms that any layer may increment: plain numbers in memory, no I/O.

A metric is declared once, at module level, and lives for the life of the process; `/metrics` renders
:data:`METRICS`. Values of labels must come from the configuration or from a fixed list, never from a peer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

Labels = tuple[str, ...]


class Counter:
    """A number that only grows, per combination of labels."""

    kind: Final = "counter"

    def __init__(self, name: str, documentation: str, labels: Labels = ()) -> None:
        self.name = name
        self.documentation = documentation
        self.labels = labels
        self.values: dict[Labels, float] = {} if labels else {(): 0.0}
        METRICS.append(self)

    def add(self, amount: float = 1.0, *labels: str) -> None:
        """Grow by `amount` for these label values, given in the order of the declaration."""
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def value(self, *labels: str) -> float:
        """What has been counted for these labels."""
        return self.values.get(labels, 0.0)


class Gauge:
    """A number that is read when somebody looks: set it, or hand in how to read it."""

    kind: Final = "gauge"

    def __init__(self, name: str, documentation: str, labels: Labels = ()) -> None:
        self.name = name
        self.documentation = documentation
        self.labels = labels
        self._read: dict[Labels, Callable[[], float]] = {}
        METRICS.append(self)

    def set(self, value: float, *labels: str) -> None:
        """Say what it is now."""
        self._read[labels] = lambda: value

    def watch(self, read: Callable[[], float], *labels: str) -> None:
        """Call `read` whenever somebody looks."""
        self._read[labels] = read

    def forget(self, *labels: str) -> None:
        """What it measured is gone."""
        self._read.pop(labels, None)

    @property
    def values(self) -> dict[Labels, float]:
        """The numbers now."""
        return {labels: read() for labels, read in self._read.items()}


class Histogram:
    """How often a measured value fell under each of some bounds, with count and sum."""

    kind: Final = "histogram"

    def __init__(self, name: str, documentation: str, bounds: tuple[float, ...]) -> None:
        self.name = name
        self.documentation = documentation
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        METRICS.append(self)

    def observe(self, value: float, times: int = 1) -> None:
        """Count `value`, `times` over."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times


METRICS: Final[list[Counter | Gauge | Histogram]] = []
"""Everything declared so far, in order of declaration."""

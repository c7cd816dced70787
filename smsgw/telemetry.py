"""Helpers for metrics.

Each package declares its metrics in one class. The program makes the classes with one registry and passes them to the
objects that count.

Metrics of a class that was made without a registry count but are not exported. Label values must come from the
configuration or from a fixed list, never from a client or an upstream.
"""

from __future__ import annotations

from typing import TypeVar

from prometheus_client import Counter, Gauge

M = TypeVar("M", Counter, Gauge)


class Children(dict[str | tuple[str, ...], M]):
    """The children of a metric by the value of its label, or by the tuple of values if it has several labels.

    A child is made at its first lookup and kept, so that counting needs no search by labels. The number of label values
    must be bounded.
    """

    def __init__(self, metric: M) -> None:
        super().__init__()
        self.metric: M = metric

    def __missing__(self, values: str | tuple[str, ...]) -> M:
        child: M = self.metric.labels(*([values] if isinstance(values, str) else values))
        self[values] = child
        return child

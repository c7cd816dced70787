"""What the classes of metrics share. Each package declares its metrics in one class; the program makes the classes with
one registry and passes them to what counts.

A metric of a class that was made without a registry counts and is shown nowhere. Values of labels must come from the
configuration or from a fixed list, never from a client or an upstream.
"""

from __future__ import annotations

from typing import TypeVar

from prometheus_client import Counter, Gauge

M = TypeVar("M", Counter, Gauge)


class Children(dict[str | tuple[str, ...], M]):
    """The children of a metric by the value of its label (by the tuple of values where it has several).

    A child is made when it is first asked for, so that counting costs no search by labels. Ask only for values that are
    bounded: nothing is forgotten.
    """

    def __init__(self, metric: M) -> None:
        super().__init__()
        self.metric: M = metric

    def __missing__(self, values: str | tuple[str, ...]) -> M:
        child: M = self.metric.labels(*([values] if isinstance(values, str) else values))
        self[values] = child
        return child

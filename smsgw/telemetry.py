"""Helpers for metrics.

Each package declares its metrics in one class. The program makes the classes with one registry of prometheus-client and
passes them to the objects that count. Counters are plain numbers that the registry reads at every scrape: a call of
prometheus-client's ``inc`` costs seven function calls and two locks.

Metrics of a class that was made without a registry count but are not exported. Label values must come from the
configuration or from a fixed list, never from a client or an upstream. Only the reactor's thread may count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Counts(dict[str | tuple[str, ...], int], Collector):
    """A counter, by the value of its label or by the tuple of values if it has several labels; without labels under
    the empty tuple. ``counts["demo"] += 2`` counts; a value that was never counted reads as 0.

    :ivar labels: the names of the labels. The number of their values must be bounded.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]  # the registry keeps collectors by identity
    __eq__ = object.__eq__

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str] = (), *, registry: CollectorRegistry | None = None
    ) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.name = name
        self.documentation = documentation
        if not labels:
            self[()] = 0
        if registry is not None:
            registry.register(self)

    def __missing__(self, values: str | tuple[str, ...]) -> int:
        return 0

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self.name, self.documentation, labels=self.labels)
        for values, count in self.items():
            family.add_metric([values] if isinstance(values, str) else values, count)
        yield family


class Buckets:
    """The values of one histogram.

    :param bounds: the upper bounds of its buckets, in ascending order. :ivar sum: the sum of all values.
    """

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count one value, `times` times."""
        self._counts[bisect_left(self._bounds, value)] += times
        self.sum += value * times

    def cumulated(self) -> list[tuple[str, float]]:
        """How many values are at most each bound, as a histogram is exported."""
        sums = accumulate(self._counts)
        return [(floatToGoString(bound), total) for bound, total in zip((*self._bounds, inf), sums, strict=True)]


class Distribution(Buckets, Collector):
    """A histogram without labels."""

    labels = ()

    def __init__(
        self, name: str, documentation: str, bounds: Sequence[float], *, registry: CollectorRegistry | None = None
    ) -> None:
        super().__init__(bounds)
        self.name = name
        self.documentation = documentation
        if registry is not None:
            registry.register(self)

    def collect(self) -> Iterable[Metric]:
        yield HistogramMetricFamily(self.name, self.documentation, buckets=self.cumulated(), sum_value=self.sum)


class Distributions(dict[str, Buckets], Collector):
    """The histograms of one name, by the value of their label. The number of values must be bounded."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # the registry keeps collectors by identity
    __eq__ = object.__eq__

    def __init__(
        self,
        name: str,
        documentation: str,
        label: str,
        bounds: Sequence[float],
        *,
        registry: CollectorRegistry | None = None,
    ) -> None:
        super().__init__()
        self.labels = (label,)
        self.name = name
        self.documentation = documentation
        self._bounds = bounds
        if registry is not None:
            registry.register(self)

    def __missing__(self, value: str) -> Buckets:
        buckets = self[value] = Buckets(self._bounds)
        return buckets

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self.name, self.documentation, labels=self.labels)
        for value, buckets in self.items():
            family.add_metric([value], buckets.cumulated(), buckets.sum)
        yield family


class Gauges(dict[str | tuple[str, ...], Gauge]):
    """The gauges of one name, by the value of their label or by the tuple of values if there are several labels.

    A gauge is made at its first lookup and kept. The number of label values must be bounded.
    """

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], *, registry: CollectorRegistry | None = None
    ) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.name = name
        self.documentation = documentation
        self._gauge = Gauge(name, documentation, labels, registry=registry)

    def __missing__(self, values: str | tuple[str, ...]) -> Gauge:
        gauge = self._gauge.labels(*([values] if isinstance(values, str) else values))
        self[values] = gauge
        return gauge

    def forget(self, values: str | tuple[str, ...]) -> None:
        """Remove a gauge, with its line in the export."""
        if self.pop(values, None) is not None:
            self._gauge.remove(*([values] if isinstance(values, str) else values))

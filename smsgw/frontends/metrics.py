"""Our telemetry in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from smsgw.telemetry import METRICS, Counter, Gauge, Histogram

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class _Telemetry(Collector):
    """Reads the counters at the moment somebody asks; several objects of one name are one family."""

    def __init__(self, metrics: Sequence[Counter | Gauge | Histogram]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """One family per metric."""
        for metric in self._metrics:
            if isinstance(metric, Histogram):
                yield _histogram(metric)
                continue
            kind = CounterMetricFamily if isinstance(metric, Counter) else GaugeMetricFamily
            family = kind(metric.name, metric.documentation, labels=metric.labels)
            for labels, value in metric.values.items():
                family.add_metric(labels, value)
            yield family


def _histogram(metric: Histogram) -> Metric:
    total, buckets = 0, []
    for bound, count in zip((*map(str, metric.bounds), "+Inf"), metric.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return HistogramMetricFamily(metric.name, metric.documentation, buckets=buckets, sum_value=metric.sum)


def exposition() -> bytes:
    """Everything declared in :mod:`smsgw.telemetry` as one page."""
    # The library names the type of what it renders after a registry; anything with collect() is one.
    return generate_latest(_Telemetry(METRICS))  # type: ignore[arg-type]

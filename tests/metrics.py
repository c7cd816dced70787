"""Reading metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge


def value(metric: Counter | Gauge) -> float:
    """Return the value of one child, or of a metric without labels."""
    (family,) = metric.collect()
    return family.samples[0].value

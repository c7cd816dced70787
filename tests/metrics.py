"""Reading metrics."""

from __future__ import annotations

from prometheus_client import Gauge


def value(gauge: Gauge) -> float:
    """Return the value of one gauge."""
    (family,) = gauge.collect()
    return family.samples[0].value

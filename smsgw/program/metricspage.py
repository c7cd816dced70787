"""Writes docs/metrics.rst: every metric with its kind, its labels and its meaning, from the declarations."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import Gauge, ProcessCollector

from smsgw.frontends.admin.metrics import StoredMetrics
from smsgw.program.metrics import Metrics
from smsgw.telemetry import Counts, Distribution, Distributions, Gauges

_HEAD: Final = """\
Metrics
=======

``/metrics`` on the admin listener has these metrics in the format of Prometheus. Counters begin with 0 at each start. A
line with labels appears when it was first counted. This page is generated: ``make metrics``.
"""

_PARTS: Final[Mapping[str, str]] = {
    "program": "The program",
    "stored": "What is stored",
    "store": "The store",
    "services": "Accounts, messages and what is swept",
    "intake": "Acceptance",
    "dispatch": "Connectors",
    "outbox": "Reports to accounts",
    "smpp": "SMPP sessions",
    "binds": "Binds",
    "http": "HTTP",
    "callbacks": "Callbacks",
    "overloads": "Limits that clients exceed",
}
"""The parts of the page, by the attribute of :class:`~smsgw.program.metrics.Metrics`."""

_KINDS: Final[Mapping[type, str]] = {
    Counts: "counter",
    Distribution: "histogram",
    Distributions: "histogram",
    Gauge: "gauge",
    Gauges: "gauge",
}

_WIDTH: Final = 118


def page() -> str:
    """Return the whole page."""
    metrics = Metrics()
    parts = {**vars(metrics), "stored": StoredMetrics()}
    unknown = parts.keys() - _PARTS.keys() - {"registry"}
    if unknown:
        raise ValueError(f"metrics without a part of the page: {', '.join(sorted(unknown))}")
    lines = [_HEAD]
    for part, title in _PARTS.items():
        lines += [title, "-" * len(title), "", *_rows(vars(parts[part]).values()), ""]
    lines += ["The process", "-----------", "", *_process()]
    return "\n".join(lines) + "\n"


def _rows(metrics: Any) -> Iterator[str]:
    """Yield an entry for each metric."""
    for metric in metrics:
        kind = _KINDS.get(type(metric))
        if kind is None:
            continue
        if isinstance(metric, Gauge):  # the library has no public names for these
            name, labels, meaning = metric._name, metric._labelnames, metric._documentation
        else:
            name, labels, meaning = metric.name, metric.labels, metric.documentation
        by = f", by {', '.join(f'``{label}``' for label in labels)}" if labels else ""
        yield f"``{name}`` ({kind}{by})"
        yield from textwrap.wrap(meaning, _WIDTH, initial_indent="    ", subsequent_indent="    ")


def _process() -> Iterator[str]:
    for family in sorted(ProcessCollector(registry=None).collect(), key=lambda one: one.name):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield f"``{name}`` ({family.type})"
        yield f"    {family.documentation}"

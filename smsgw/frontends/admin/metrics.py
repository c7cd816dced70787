"""Our telemetry in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from smsgw.interfaces import IConnector
from smsgw.telemetry import METRICS, Counter, Gauge, Histogram

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"

UP: Final = Gauge("smsgw_connector_up", "Whether the link of a connector is usable.", ("connector",))
ROOM: Final = Gauge("smsgw_connector_room", "Parts that a connector takes now.", ("connector",))
SESSIONS: Final = Gauge("smsgw_sessions", "Connections that are open, by listener.", ("listener",))

_PROCESS: Final = ProcessCollector(registry=None)


def watch(connectors: Mapping[str, IConnector], sessions: Mapping[str, Callable[[], int]]) -> None:
    """From now on tell of these connectors, and of the connections of these listeners, whenever somebody looks."""
    for name, connector in connectors.items():
        UP.watch(lambda one=connector: float(one.up), name)  # type: ignore[misc]
        ROOM.watch(lambda one=connector: float(one.room()), name)  # type: ignore[misc]
    for name, count in sessions.items():
        SESSIONS.watch(lambda count=count: float(count()), name)  # type: ignore[misc]


class _Telemetry(Collector):
    """Reads the counters at the moment somebody asks."""

    def __init__(self, metrics: Sequence[Counter | Gauge | Histogram], extra: Iterable[Metric]) -> None:
        self._metrics = metrics
        self._extra = extra

    def collect(self) -> Iterator[Metric]:
        """One family per name; what the process uses; `extra`."""
        families: dict[str, list[Counter | Gauge | Histogram]] = {}
        for metric in self._metrics:
            families.setdefault(metric.name, []).append(metric)
        for same in families.values():
            yield _family(same)
        yield from _PROCESS.collect()
        yield from self._extra


def _family(same: Sequence[Counter | Gauge | Histogram]) -> Metric:
    """Several objects of one name, as two gateways in one process have them: what they count is added up, and of
    what they measure the newest is right."""
    newest = same[-1]
    if isinstance(newest, Histogram):
        return _histogram([metric for metric in same if isinstance(metric, Histogram)])
    adds_up = isinstance(newest, Counter)
    values: dict[tuple[str, ...], float] = {}
    for metric in same:
        assert not isinstance(metric, Histogram), metric.name
        for labels, value in metric.values.items():
            values[labels] = value + values.get(labels, 0.0) * adds_up
    kind = CounterMetricFamily if adds_up else GaugeMetricFamily
    family = kind(newest.name, newest.documentation, labels=newest.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(same: Sequence[Histogram]) -> Metric:
    newest = same[-1]
    counts = [sum(column) for column in zip(*(metric.counts for metric in same), strict=True)]
    total, buckets = 0, []
    for bound, count in zip((*map(floatToGoString, newest.bounds), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return HistogramMetricFamily(
        newest.name, newest.documentation, buckets=buckets, sum_value=sum(metric.sum for metric in same)
    )


def exposition(extra: Iterable[Metric] = ()) -> bytes:
    """Everything declared in :mod:`smsgw.telemetry`, what the process uses, and `extra`, as one page."""
    # The library names the type of what it renders after a registry; anything with collect() is one.
    return generate_latest(_Telemetry(METRICS, extra))

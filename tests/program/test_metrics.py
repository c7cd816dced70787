"""The metrics of a gateway: their names, and gauges that are measured at every scrape."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import Gauge
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

import smsgw
from smsgw.config import parse
from smsgw.connectors.loopback import LoopbackSettings
from smsgw.frontends.admin.metrics import StoredMetrics
from smsgw.plugins import dialects
from smsgw.program.metrics import Metrics
from smsgw.program.metricspage import page
from smsgw.program.wiring import make_parts
from smsgw.telemetry import Counts, Distribution, Distributions, Gauges

LABELS = {
    "account", "connector", "dialect", "fault", "limit", "listener", "method", "of", "outcome", "path", "protocol",
    "reason", "refusal", "result", "state", "status", "step", "what",
}
"""The allowed labels: the values of each come from the configuration or from a fixed list."""

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.rst"
METRICS = (Counts, Distribution, Distributions, Gauge, Gauges)

CONFIG = """
[gateway]
state = {state}

[listen smpp]
protocol = smpp
endpoint = tcp:2775:interface=127.0.0.1
dialect = standard

[account demo]
password = demo

[connector sim]
type = loopback
window = 7

[route all]
to = *
connectors = sim
"""


def labels() -> Iterator[str]:
    """Yield the names of the labels of all metrics."""
    metrics = Metrics()
    for one in vars(metrics).values():
        for metric in vars(one).values() if one is not metrics.registry else ():
            yield from metric._labelnames if isinstance(metric, Gauge) else metric.labels


class NameTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Metrics are named smsgw_... and documented; counters end in _total, and no other metric does."""
        registry = Metrics().registry
        StoredMetrics(registry)
        found = {family.name: family for family in registry.collect() if not family.name.startswith("process_")}
        self.assertIn("smsgw_accepted", found)
        for name, family in found.items():
            self.assertRegex(name, r"\Asmsgw_[a-z0-9_]+(?<!_total)\Z")
            self.assertRegex(family.documentation, r"\A[A-Z][^\n]+\.\Z", name)

    def test_u8_page(self) -> None:
        """docs/metrics.rst lists every metric; if it is out of date: make metrics."""
        self.assertEqual(PAGE.read_text("utf-8"), page())
        families = [*Metrics().registry.collect(), *StoredMetrics().__dict__.values()]
        for family in families:
            name = getattr(family, "name", None) or family._name
            self.assertIn(f"``{name}", PAGE.read_text("utf-8"))

    def test_labels(self) -> None:
        """Labels have few values: never a number, an address or an id."""
        self.assertEqual(set(labels()) | {"state"}, LABELS)

    def test_no_module_has_one(self) -> None:
        """A metric belongs to the object that counts: two gateways in one process share none."""
        names = [one.name for one in pkgutil.walk_packages(smsgw.__path__, "smsgw.")]
        for name in names:
            if name not in ("smsgw.tap", "smsgw.__main__"):
                found = [one for one in vars(importlib.import_module(name)).values() if isinstance(one, METRICS)]
                self.assertEqual(found, [], name)

    def test_the_process(self) -> None:
        """Memory and open files of the process are exported."""
        registry = Metrics().registry
        self.assertGreater(registry.get_sample_value("process_resident_memory_bytes") or 0, 1_000_000)
        self.assertGreater(registry.get_sample_value("process_open_fds") or 0, 2)


class GaugeTests(SynchronousTestCase):
    def test_connectors(self) -> None:
        """Links and room of connectors are measured at the scrape; two gateways have separate values."""
        text = CONFIG.format(state=self.mktemp())
        settings = parse(text, "gw.ini", {"loopback": LoopbackSettings}, dialects())
        reactor: Any = MemoryReactorClock()
        parts, other = make_parts(settings, reactor), make_parts(settings, reactor)
        registry, sim = parts.metrics.registry, {"connector": "sim"}

        def measured() -> list[float | None]:
            return [registry.get_sample_value(f"smsgw_{name}", sim) for name in ("connector_up", "connector_room")]

        self.assertEqual(measured(), [0, 0])
        sim_pump = parts.dispatch._roster.pumps["sim"]
        parts.dispatch._roster.start(sim_pump)
        self.assertEqual(measured(), [1, 7])
        self.assertEqual(other.metrics.registry.get_sample_value("smsgw_connector_up", sim), 0)
        self.assertEqual(registry.get_sample_value("smsgw_waiting_in_memory", sim), 0)
        self.assertEqual(registry.get_sample_value("smsgw_outstanding", sim), 0)
        self.assertEqual(registry.get_sample_value("smsgw_events_held"), 0)
        self.assertEqual(registry.get_sample_value("smsgw_callback_receivers_down"), 0)

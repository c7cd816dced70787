"""The helpers for metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge
from twisted.trial.unittest import SynchronousTestCase

from smsgw.telemetry import Children
from tests.metrics import value


class ChildrenTests(SynchronousTestCase):
    def test_one_label(self) -> None:
        """A child is made at its first lookup, and is the one in the registry."""
        registry = CollectorRegistry()
        seen = Children(Counter("seen_total", "Seen.", ["account"], registry=registry))
        self.assertIsNone(registry.get_sample_value("seen_total", {"account": "demo"}))
        seen["demo"].inc(2)
        seen["shop"].inc()
        seen["demo"].inc()
        self.assertIs(seen["demo"], seen["demo"])
        self.assertEqual((value(seen["demo"]), value(seen["shop"])), (3, 1))
        self.assertEqual(registry.get_sample_value("seen_total", {"account": "demo"}), 3)

    def test_several_labels(self) -> None:
        """The values of several labels are given as a tuple, in the order of the declaration."""
        registry = CollectorRegistry()
        refused = Children(Counter("refused_total", "Refused.", ["account", "reason"], registry=registry))
        refused["demo", "no_route"].inc()
        labels = {"account": "demo", "reason": "no_route"}
        self.assertEqual(registry.get_sample_value("refused_total", labels), 1)

    def test_without_a_registry(self) -> None:
        """Metrics without a registry count, separately for each object."""
        first, second = (Children(Gauge("room", "Room.", ["connector"], registry=None)) for _ in range(2))
        first["sim"].set(7)
        self.assertEqual((value(first["sim"]), value(second["sim"])), (7, 0))

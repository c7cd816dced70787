"""Counters, gauges and histograms, and the names that the program gives them."""

from __future__ import annotations

import importlib
import pkgutil

from twisted.trial.unittest import SynchronousTestCase

import smsgw
from smsgw import telemetry
from smsgw.telemetry import Counter, Gauge, Histogram

WORDS = ("account", "connector", "listener", "protocol", "reason", "refusal", "result", "state", "path", "fault",
         "status", "step", "what", "outcome", "form")
"""What a label may be called: each takes its values from the configuration or from a fixed list."""


class MetricTests(SynchronousTestCase):
    def setUp(self) -> None:
        """What a test declares is not declared for the others."""
        self.declared: list[Counter | Gauge | Histogram] = []
        self.patch(telemetry, "METRICS", self.declared)

    def test_declared(self) -> None:
        """Whatever is made is on the list, in order."""
        made = [Counter("a_total", "A."), Gauge("b", "B."), Histogram("c", "C.", (1,))]
        self.assertEqual(self.declared, made)

    def test_counter(self) -> None:
        """A counter adds up per combination of labels and starts at nothing."""
        counter = Counter("seen_total", "Seen.", ("account",))
        self.assertEqual((counter.value("demo"), counter.values), (0, {}))
        counter.add(2, "demo")
        counter.add(1, "shop")
        counter.add(1, "demo")
        self.assertEqual((counter.value("demo"), counter.value("shop")), (3, 1))

    def test_counter_without_labels(self) -> None:
        """A counter without labels is there from the start, so that a rate over it is known."""
        counter = Counter("seen_total", "Seen.")
        self.assertEqual(counter.values, {(): 0})
        counter.add()
        self.assertEqual(counter.value(), 1)

    def test_gauge(self) -> None:
        """A gauge is set, or read whenever somebody looks, or forgotten."""
        gauge = Gauge("queue", "Waiting.", ("connector",))
        queue: list[int] = []
        gauge.set(5, "a")
        gauge.watch(lambda: len(queue), "b")
        queue.append(1)
        self.assertEqual(gauge.values, {("a",): 5, ("b",): 1})
        gauge.set(6, "a")
        gauge.forget("b")
        gauge.forget("never")
        self.assertEqual(gauge.values, {("a",): 6})

    def test_histogram(self) -> None:
        """A value falls under the first bound that is not below it, or behind the last."""
        histogram = Histogram("sizes", "Sizes.", (1, 2, 5))
        for value in (0, 1, 1.5, 2, 5, 5.1, 1000):
            histogram.observe(value)
        histogram.observe(2, times=10)
        self.assertEqual(histogram.counts, [2, 12, 1, 2])
        self.assertAlmostEqual(histogram.sum, 0 + 1 + 1.5 + 2 + 5 + 5.1 + 1000 + 20)


class NameTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Every module is there, and so is what it declares."""
        for module in pkgutil.walk_packages(smsgw.__path__, "smsgw."):
            if module.name not in ("smsgw.tap", "smsgw.__main__"):
                importlib.import_module(module.name)
        names = {metric.name for metric in telemetry.METRICS}
        self.assertLessEqual({"smsgw_accepted_total", "smsgw_store_commits_total", "smsgw_connector_up"}, names)

    def test_names(self) -> None:
        """Metrics are named smsgw_..., counters end in _total and nothing else does, each has its sentence."""
        for metric in telemetry.METRICS:
            self.assertRegex(metric.name, r"\Asmsgw_[a-z0-9_]+\Z")
            self.assertEqual(metric.name.endswith("_total"), isinstance(metric, Counter), metric.name)
            self.assertRegex(metric.documentation, r"\A[A-Z][^\n]+\.\Z", metric.name)

    def test_labels(self) -> None:
        """Labels are words whose values are few: never a number, an address or an id of somebody."""
        used = {label for metric in telemetry.METRICS if not isinstance(metric, Histogram) for label in metric.labels}
        self.assertLessEqual(used, set(WORDS))

"""The helpers for metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from smsgw.telemetry import Counts, Distribution, Distributions, Gauges
from tests.metrics import value


class CountsTests(SynchronousTestCase):
    def test_one_label(self) -> None:
        """What is counted is exported at the next scrape, by label; a value that was not counted is not exported."""
        registry = CollectorRegistry()
        seen = Counts("seen_total", "Seen.", ["account"], registry=registry)
        self.assertIsNone(registry.get_sample_value("seen_total", {"account": "demo"}))
        seen["demo"] += 2
        seen["shop"] += 1
        seen["demo"] += 1
        self.assertEqual((seen["demo"], seen["shop"], seen["other"]), (3, 1, 0))
        self.assertEqual(registry.get_sample_value("seen_total", {"account": "demo"}), 3)
        self.assertIsNone(registry.get_sample_value("seen_total", {"account": "other"}))

    def test_several_labels(self) -> None:
        """The values of several labels are given as a tuple, in the order of the declaration."""
        registry = CollectorRegistry()
        refused = Counts("refused_total", "Refused.", ["account", "reason"], registry=registry)
        refused["demo", "no_route"] += 1
        labels = {"account": "demo", "reason": "no_route"}
        self.assertEqual(registry.get_sample_value("refused_total", labels), 1)

    def test_no_label(self) -> None:
        """A counter without labels is exported from the start."""
        registry = CollectorRegistry()
        purged = Counts("purged_total", "Purged.", registry=registry)
        self.assertEqual(registry.get_sample_value("purged_total"), 0)
        purged[()] += 7
        self.assertEqual(registry.get_sample_value("purged_total"), 7)

    def test_separate(self) -> None:
        """Two counters of one registry stay apart even while their counts are equal."""
        registry = CollectorRegistry()
        for name in ("first_total", "second_total"):
            Counts(name, "Counted.", ["account"], registry=registry)
        families = text_string_to_metric_families(generate_latest(registry).decode())
        self.assertEqual({family.name for family in families}, {"first", "second"})


class DistributionTests(SynchronousTestCase):
    def test_like_the_library(self) -> None:
        """The export is octet by octet that of a Histogram of prometheus-client with the same values."""
        ours, theirs = CollectorRegistry(), CollectorRegistry()
        bounds = (0.5, 1, 10)
        distribution = Distribution("seconds", "How long.", bounds, registry=ours)
        histogram = Histogram("seconds", "How long.", buckets=bounds, registry=theirs)
        for seconds in (0, 0.5, 0.7, 1, 2.5, 10, 11):
            distribution.observe(seconds)
            histogram.observe(seconds)
        expected = [line for line in generate_latest(theirs).splitlines() if b"_created" not in line]
        self.assertEqual(generate_latest(ours).splitlines(), expected)


class DistributionsTests(SynchronousTestCase):
    def test_u8_like_the_library(self) -> None:
        """With a label too, the export is that of prometheus-client; a value may be counted several times at once."""
        ours, theirs = CollectorRegistry(), CollectorRegistry()
        bounds = (0.5, 1)
        distributions = Distributions("seconds", "How long.", "connector", bounds, registry=ours)
        histogram = Histogram("seconds", "How long.", ["connector"], buckets=bounds, registry=theirs)
        for connector, seconds, times in (("sim", 0.7, 3), ("mts", 2.0, 1), ("sim", 0.1, 1)):
            distributions[connector].observe(seconds, times)
            for _ in range(times):
                histogram.labels(connector).observe(seconds)
        expected = [line for line in generate_latest(theirs).splitlines() if b"_created" not in line]
        self.assertEqual(generate_latest(ours).splitlines(), expected)


class GaugesTests(SynchronousTestCase):
    def test_without_a_registry(self) -> None:
        """Gauges without a registry are kept, separately for each object."""
        first, second = (Gauges("room", "Room.", ["connector"]) for _ in range(2))
        first["sim"].set(7)
        self.assertIs(first["sim"], first["sim"])
        self.assertEqual((value(first["sim"]), value(second["sim"])), (7, 0))

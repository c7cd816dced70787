"""/metrics: what a Prometheus server reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from smsgw import telemetry
from smsgw.frontends.admin import metrics
from smsgw.frontends.admin.metrics import exposition, watch
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.telemetry import METRICS, Counter, Gauge, Histogram
from tests.frontends.admin.support import Admin

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(page: bytes) -> Samples:
    """Read a page as Prometheus does: values by name and labels. A family that stands twice fails."""
    families = list(text_string_to_metric_families(page.decode("utf-8")))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), sorted(names)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


class ExpositionTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Nothing is declared yet."""
        declared: list[Any] = []
        self.patch(telemetry, "METRICS", declared)
        self.patch(metrics, "METRICS", declared)

    def test_counters(self) -> None:
        """A counter shows each combination of labels, one without labels shows 0 from the start."""
        Counter("smsgw_idle_total", "Nothing yet.")
        counted = Counter("smsgw_seen_total", "Seen.", ("account", "reason"))
        counted.add(2, "demo", 'a "quoted"\nreason')
        counted.add(0.5, "demo", 'a "quoted"\nreason')
        counted.add(1, "shop", "")
        found = samples(exposition())
        self.assertEqual(found["smsgw_idle_total", ()], 0)
        self.assertEqual(found["smsgw_seen_total", (("account", "demo"), ("reason", 'a "quoted"\nreason'))], 2.5)
        self.assertEqual(found["smsgw_seen_total", (("account", "shop"), ("reason", ""))], 1)

    def test_gauges_are_read_when_asked(self) -> None:
        """A gauge shows what is so at the moment of the question."""
        queue = [1]
        Gauge("smsgw_queue", "Waiting.", ("connector",)).watch(lambda: len(queue), "sim")
        self.assertEqual(samples(exposition())["smsgw_queue", (("connector", "sim"),)], 1)
        queue.append(2)
        self.assertEqual(samples(exposition())["smsgw_queue", (("connector", "sim"),)], 2)

    def test_histograms_are_cumulative(self) -> None:
        """Each bucket counts everything up to its bound, the last everything; sum and count fit."""
        sizes = Histogram("smsgw_sizes", "Sizes.", (1, 10))
        sizes.observe(1)
        sizes.observe(5, times=2)
        sizes.observe(100)
        found = samples(exposition())
        buckets = [found["smsgw_sizes_bucket", (("le", bound),)] for bound in ("1.0", "10.0", "+Inf")]
        self.assertEqual(buckets, [1, 3, 4])
        self.assertEqual((found["smsgw_sizes_count", ()], found["smsgw_sizes_sum", ()]), (4, 111))

    def test_one_name_is_one_family(self) -> None:
        """Two gateways in one process declare the same names: counts add up, of measured values the newest is shown."""
        for value in (1, 2):
            Counter("smsgw_seen_total", "Seen.", ("account",)).add(value, "demo")
            Gauge("smsgw_room", "Room.", ("connector",)).set(value, "sim")
            Histogram("smsgw_sizes", "Sizes.", (1,)).observe(value)
        Counter("smsgw_seen_total", "Seen.", ("account",)).add(5, "shop")
        found = samples(exposition())
        self.assertEqual(found["smsgw_seen_total", (("account", "demo"),)], 3)
        self.assertEqual(found["smsgw_seen_total", (("account", "shop"),)], 5)
        self.assertEqual(found["smsgw_room", (("connector", "sim"),)], 2)
        self.assertEqual((found["smsgw_sizes_count", ()], found["smsgw_sizes_sum", ()]), (2, 3))

    def test_the_process(self) -> None:
        """Memory and open files of the process are there: what must stay bounded."""
        found = samples(exposition())
        self.assertGreater(found["process_resident_memory_bytes", ()], 1_000_000)
        self.assertGreater(found["process_open_fds", ()], 2)

    def test_extra(self) -> None:
        """Whoever serves the page may add to it."""
        self.assertEqual(samples(exposition([GaugeMetricFamily("smsgw_extra", "More.", 7)]))["smsgw_extra", ()], 7)


class WatchTests(SynchronousTestCase):
    def test_connectors_and_sessions(self) -> None:
        """Links, room and connections are what they are when somebody looks."""
        connector = SimpleNamespace(up=True, room=lambda: 7)
        sessions = {1, 2, 3}
        watch({"watched": connector}, {"smpp": lambda: len(sessions)})  # type: ignore[dict-item]
        self.addCleanup(metrics.UP.forget, "watched")
        self.addCleanup(metrics.ROOM.forget, "watched")
        self.addCleanup(metrics.SESSIONS.forget, "smpp")
        found = samples(exposition())
        self.assertEqual(found["smsgw_connector_up", (("connector", "watched"),)], 1)
        self.assertEqual(found["smsgw_connector_room", (("connector", "watched"),)], 7)
        self.assertEqual(found["smsgw_sessions", (("listener", "smpp"),)], 3)
        connector.up = False
        sessions.clear()
        found = samples(exposition())
        self.assertEqual(found["smsgw_connector_up", (("connector", "watched"),)], 0)
        self.assertEqual(found["smsgw_sessions", (("listener", "smpp"),)], 0)


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A listener over an empty store."""
        self.admin = Admin(self.mktemp())
        self.addCleanup(self.admin.store.close)

    def test_page(self) -> None:
        """The page is in the text format and has everything that is declared, with the messages by state."""
        self.admin.accept()
        answer = self.admin.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        found = samples(answer.body)
        self.assertEqual({state.word: found["smsgw_messages", (("state", state.word),)] for state in State}, {
            **{state.word: 0 for state in State}, "queued": 1
        })
        self.assertEqual(found["smsgw_store_up", ()], 1)
        for metric in METRICS:
            self.assertIn(f"# HELP {metric.name} ".encode(), answer.body)

    def test_store_down(self) -> None:
        """A store that fails takes only its own numbers from the page."""
        self.admin.broken = StoreDown("full")
        answer = self.admin.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(samples(answer.body)["smsgw_store_up", ()], 0)
        self.assertNotIn(b"smsgw_messages{", answer.body)

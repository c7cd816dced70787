"""/metrics for a Prometheus server."""

from __future__ import annotations

from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from tests.frontends.admin.support import Admin

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(page: bytes) -> Samples:
    """Parse a page as Prometheus does: values by name and labels. A repeated family is an error."""
    families = list(text_string_to_metric_families(page.decode("utf-8")))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), sorted(names)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


class PageTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A listener over an empty store."""
        self.admin = Admin(self.mktemp())
        self.addCleanup(self.admin.store.close)

    def states(self) -> dict[str, float]:
        """Return the messages by state on the page."""
        found = samples(self.admin.get("/metrics").body)
        return {dict(labels)["state"]: number for (name, labels), number in found.items() if name == "smsgw_messages"}

    def test_page(self) -> None:
        """The page is in the text format and has the metrics of its registry and the messages by state."""
        counted = Counter("smsgw_seen_total", "Seen.", ["account"], registry=self.admin.registry)
        counted.labels('a "quoted"\nname').inc(2.5)
        self.admin.accept()
        answer = self.admin.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        found = samples(answer.body)
        self.assertEqual(found["smsgw_seen_total", (("account", 'a "quoted"\nname'),)], 2.5)
        self.assertEqual(found["smsgw_store_up", ()], 1)
        self.assertEqual(self.states(), {**{state.word: 0 for state in State}, "queued": 1})

    def test_store_down(self) -> None:
        """If the store fails, only its numbers are missing on the page, until it answers again."""
        self.admin.accept()
        self.assertEqual(self.states()["queued"], 1)
        self.admin.broken = StoreDown("full")
        answer = self.admin.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(samples(answer.body)["smsgw_store_up", ()], 0)
        self.assertEqual(self.states(), {})
        self.admin.broken = None
        self.assertEqual(self.states()["queued"], 1)

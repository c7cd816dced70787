"""Limits that are exceeded, as the administrator learns of them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.overload import QUIET, OverloadMetrics, Overloads


class OverloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        """No overload, and the log."""
        self.clock = Clock()
        self.registry = CollectorRegistry()
        self.overloads = Overloads(self.clock, OverloadMetrics(self.registry))
        self.lines: list[str] = []

        def observe(event: dict[str, object]) -> None:
            if event.get("log_namespace") == "smsgw.protocols.overload":
                self.lines.append(str(event["log_format"]).format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def test_begin_and_end(self) -> None:
        """However often a limit is exceeded, its begin and its end are one line each; the metric counts all."""
        for _ in range(100):
            self.overloads.hit("mails", "demo", "too many")
            self.clock.advance(1)
        self.assertEqual(self.lines, ["limit mails of demo is exceeded: too many"])
        self.assertEqual(self.overloads.current(), [{"limit": "mails", "of": "demo", "hits": 100, "seconds": 100}])
        self.clock.pump([1.0] * int(QUIET))
        self.assertEqual(self.lines[1:], ["limit mails of demo is kept again; it was exceeded 100 times in 99 s"])
        self.assertEqual((self.overloads.current(), self.clock.getDelayedCalls()), ([], []))
        labels = {"limit": "mails", "of": "demo"}
        self.assertEqual(self.registry.get_sample_value("smsgw_limit_hits_total", labels), 100)

    def test_several(self) -> None:
        """Each limit of each listener or account is told by itself."""
        self.overloads.hit("mails", "demo", "too many")
        self.clock.advance(30)
        self.overloads.hit("password_checks", "", "all places")
        self.clock.advance(31)
        self.assertEqual([one["limit"] for one in self.overloads.current()], ["password_checks"])
        self.overloads.hit("mails", "demo", "too many")
        self.assertEqual([one["limit"] for one in self.overloads.current()], ["password_checks", "mails"])
        self.assertEqual(len(self.lines), 4)
        self.clock.pump([1.0] * 100)
        self.assertEqual((self.overloads.current(), len(self.lines)), ([], 6))

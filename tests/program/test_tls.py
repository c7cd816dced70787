"""The watch over the certificates of listeners."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from smsgw.program import tls
from smsgw.program.metrics import ProgramMetrics
from smsgw.program.tls import ExpiryWatch, Pair
from tests.metrics import value

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC)


class ExpiryTests(SynchronousTestCase):
    """A certificate is exported, and logged once a day from 14 days before its end on."""

    def setUp(self) -> None:
        """Two listeners, watched for as long as a test lets the time pass."""
        self.clock = Clock()
        self.patch(tls, "now", lambda: START + datetime.timedelta(seconds=self.clock.seconds()))
        self.pairs = {"smpp": self.pair(20, b"1"), "mail": self.pair(100, b"2")}
        self.gauge = ProgramMetrics().expiry
        self.watch = ExpiryWatch(self.pairs.items, self.gauge, self.clock)
        self.lines: list[str] = []
        observer = cast(ILogObserver, self.observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.watch.start()
        self.addCleanup(self.watch.stop)

    def observe(self, event: LogEvent) -> None:
        """Record warnings."""
        if event["log_level"] is LogLevel.warn:
            self.lines.append(formatEvent(event))

    def pair(self, days: int, identity: bytes) -> Pair:
        """Return a certificate that expires so many days after the start."""
        context: Any = None
        return Pair(Path("tls.crt"), context, START + days * DAY, identity, self_made=False)

    def after(self, days: float) -> list[str]:
        """Let days pass; return the lines logged meanwhile."""
        self.lines.clear()
        self.clock.pump([3600] * int(days * 24))
        return self.lines

    def test_daily(self) -> None:
        """One line a day, none before, also when it has expired; a renewed certificate ends them."""
        self.assertEqual(value(self.gauge["smpp"]), (START + 20 * DAY).timestamp())
        self.assertEqual(self.after(6), [])
        line = "[listen smpp] the certificate tls.crt expires at 2026-12-11 12:00 UTC: renew it, then send SIGHUP"
        self.assertEqual(self.after(3), [line] * 3)
        self.assertEqual(len(self.after(12)), 12)
        self.assertIn("has expired at", self.lines[-1])
        self.pairs["smpp"] = self.pair(200, b"3")
        self.watch.look()
        self.assertEqual(self.after(3), [])
        self.assertEqual(self.watch.shown()["smpp"], {"expires": "2027-06-09T12:00:00Z", "days": 176})

    def test_removed_listener(self) -> None:
        """A listener that is gone is exported no more."""
        del self.pairs["smpp"]
        self.watch.look()
        self.assertEqual(set(self.gauge), {"mail"})

"""A stop takes at most 20 seconds and loses no message."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import Esme
from tests.flows.process import GatewayProcess
from tests.flows.test_kill import ReceiptBook

WINDOW = 200
MOST = 20.0
"""Seconds that a stop may take."""


class Load:
    """An ESME that keeps its window full and records responses and receipts."""

    def __init__(self, port: int, book: ReceiptBook) -> None:
        self.book = book
        self._esme = Esme(port)
        self._outstanding = 0

    def run(self, seconds: float) -> None:
        """Send for `seconds`; raises ConnectionError if the gateway closed."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            while self._outstanding < WINDOW:
                self._esme.submit("stop me if you can")
                self._outstanding += 1
            self.read(min(left, 0.1))

    def read(self, seconds: float) -> None:
        """Wait for PDUs and record them."""
        try:
            self._esme.read(seconds)
        finally:
            self._outstanding -= len(self._esme.answers)
            self.book.take(self._esme)

    def close(self) -> None:
        """Close the connection."""
        self._esme.close()


class StopTests(SynchronousTestCase):
    def gateway(self, connector: str) -> GatewayProcess:
        """Start a gateway."""
        gateway = GatewayProcess(Path(self.mktemp()).absolute(), connector=connector)
        self.addCleanup(gateway.kill)
        gateway.start()
        return gateway

    def test_stop_under_load(self) -> None:
        """SIGTERM under load ends with 0 in time. After a restart each accepted message is reported exactly once, and
        none was sent twice."""
        gateway = self.gateway("latency = 0.1\ndelay = 0.5\nwindow = 300\nrate = 0")
        book = ReceiptBook()
        load = Load(gateway.smpp, book)
        self.addCleanup(load.close)
        load.run(1.0)
        gateway.signal(signal.SIGTERM)
        self.assertRaises(ConnectionError, load.run, MOST)
        self.assertEqual(gateway.wait(MOST), 0)
        self.assertGreater(len(book.promised), WINDOW)
        self.assertNotIn("Traceback", gateway.log.read_text())
        gateway.start()
        again = Load(gateway.smpp, book)
        self.addCleanup(again.close)
        deadline = time.monotonic() + 30
        while book.unreported and time.monotonic() < deadline:
            again.read(1.0)
        again.read(1.0)
        self.assertEqual(book.unreported, set(), "promised and never reported on")
        self.assertEqual({id: times for id, times in book.reported.items() if times > 1}, {}, "reported more than once")
        metrics = gateway.get("/metrics")[1]
        self.assertNotRegex(metrics, r"(?m)^smsgw_ambiguous_(resends_)?total\{.*\} [^0]")
        counts = gateway.get("/health")[1]["messages"]
        self.assertEqual(set(counts), {"delivered"})
        self.assertGreaterEqual(counts["delivered"], len(book.promised))

    def test_second_signal(self) -> None:
        """A second SIGTERM ends a stop that waits for the upstream's answers; accepted messages are kept."""
        gateway = self.gateway("latency = 60")
        esme = Esme(gateway.smpp)
        id = esme.accepted("Unanswered")
        esme.close()
        self.assertEqual(gateway.get(f"/messages/{id}")[1]["state"], "queued")
        gateway.signal(signal.SIGTERM)
        gateway.logged("stopping: finishing open work")
        gateway.signal(signal.SIGTERM)
        self.assertEqual(gateway.wait(5), 128 + signal.SIGTERM)
        self.assertNotIn("stopped; everything accepted is in the store", gateway.log.read_text())
        gateway.start()
        self.assertEqual(gateway.get(f"/messages/{id}")[1]["state"], "queued")

    def test_stop_of_an_idle_gateway(self) -> None:
        """SIGINT, as a terminal sends it, ends an idle gateway in order, with 0 and without a traceback."""
        gateway = self.gateway("delay = 0.1")
        gateway.signal(signal.SIGINT)
        self.assertEqual(gateway.wait(), 0)
        log = gateway.logged("stopped; everything accepted is in the store")
        self.assertNotIn("Traceback", log)

"""A connector whose code raises: what the gateway assumes, counts, shows and logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.message import Part
from smsgw.model.outcome import Lost
from smsgw.services.dispatch.guard import GuardedConnector
from smsgw.services.dispatch.metrics import DispatchMetrics
from tests.services.dispatch.support import message


class Faulty:
    """A connector of a third party; each attribute and method does what the test sets, or raises it."""

    name = "acme"

    def __init__(self) -> None:
        self.does: dict[str, Any] = {"up": True, "room": 7, "send": None, "release": None}

    def _do(self, what: str) -> Any:
        result = self.does[what]
        if isinstance(result, Exception):
            raise result
        return result

    @property
    def up(self) -> Any:
        return self._do("up")

    def room(self) -> Any:
        return self._do("room")

    def send(self, parts: Any) -> None:
        self._do("send")

    def release(self, count: int) -> None:
        self._do("release")


class GuardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connector, self.metrics, self.clock = Faulty(), DispatchMetrics(), Clock()
        connector: Any = self.connector
        self.guarded = GuardedConnector("acme", connector, self.clock, self.metrics)
        self.logged: list[LogEvent] = []
        observer: Any = self.logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def lines(self) -> list[tuple[LogLevel, str]]:
        """Return the lines logged since the last call, with their levels."""
        lines = [(event["log_level"], formatEvent(event)) for event in self.logged]
        self.logged.clear()
        self.flushLoggedErrors()
        return lines

    def count(self, method: str) -> int:
        return self.metrics.exceptions["acme", method]

    def test_without_fault(self) -> None:
        """A connector without fault is passed on as it is."""
        self.assertEqual((self.guarded.up, self.guarded.room(), dict(self.guarded.failing)), (True, 7, {}))
        self.assertEqual(self.guarded.send([Part(message(1), 1)], 7), [])
        self.guarded.release(1)
        self.assertEqual((dict(self.guarded.failing), self.lines()), ({}, []))

    def test_each_method(self) -> None:
        """An exception has a defined result; it is counted and shown until the same method works again."""
        part = Part(message(1), 1)
        uses: dict[str, tuple[Callable[[], Any], Any]] = {
            "up": (lambda: self.guarded.up, False),
            "room": (self.guarded.room, 0),
            "release": (lambda: self.guarded.release(2), None),
            "send": (lambda: [(one, type(outcome)) for one, outcome in self.guarded.send([part], 7)], [(part, Lost)]),
        }
        for method, (use, assumed) in uses.items():
            well = self.connector.does[method]
            self.connector.does[method] = ZeroDivisionError("a fault")
            for _ in range(3):
                self.assertEqual(use(), assumed, method)
            self.assertEqual(dict(self.guarded.failing), {method: "ZeroDivisionError"})
            self.assertEqual(self.count(method), 3)
            self.connector.does[method] = KeyError("another fault")
            use()
            self.assertEqual(dict(self.guarded.failing), {method: "KeyError"})
            self.connector.does[method] = well
            use()
            self.assertEqual((dict(self.guarded.failing), self.count(method)), ({}, 4))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 4)

    def test_lines(self) -> None:
        """The first exception of a series is logged with its traceback, and the end of the series; the exceptions
        between are not, however often the state of the connector is read."""
        self.connector.does["up"] = ZeroDivisionError("a fault")
        for _ in range(50):
            self.assertFalse(self.guarded.up)
            self.guarded.room()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        ((level, line),) = self.lines()
        self.assertIs(level, LogLevel.critical)
        self.assertIn("connector acme raised an exception in up", line)
        self.connector.does["up"] = True
        self.assertTrue(self.guarded.up)
        self.assertEqual(self.lines(), [(LogLevel.info, "connector acme works again in up")])

    def test_now_and_then(self) -> None:
        """A connector that raises at every other call does not fill the log."""
        for _ in range(500):
            self.connector.does["room"] = ZeroDivisionError("a fault")
            self.guarded.room()
            self.connector.does["room"] = 7
            self.guarded.room()
        self.assertEqual((len(self.lines()), self.count("room")), (20, 500))

    def test_no_integer(self) -> None:
        """A room that is no integer is a fault of the connector; a negative one is 0."""
        for wrong in (None, "7", 2.5):
            self.connector.does["room"] = wrong
            self.assertEqual(self.guarded.room(), 0)
            self.assertEqual(dict(self.guarded.failing), {"room": "TypeError"})
        self.flushLoggedErrors(TypeError)
        self.connector.does["room"] = -3
        self.assertEqual((self.guarded.room(), dict(self.guarded.failing)), (0, {}))

"""The program's service: order and time limits of its stop."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from smsgw.program.lifecycle import Gateway, Step


class _Reactor(Clock):
    """A clock with the callWhenRunning of a reactor."""

    def callWhenRunning(self, call: object) -> None:
        """Ignore the call, which would install signal handlers."""


async def reload() -> None:
    """Change nothing."""


class StopTests(SynchronousTestCase):
    """All parts are stopped and the stop ends, even if a part hangs or fails."""

    def setUp(self) -> None:
        """Make a gateway of three parts; the tests fire the start and the stop of the middle one."""
        self.clock = _Reactor()
        self.middle: Deferred[None] = Deferred(self.cancelled)
        self.cancels = 0
        self.stops: list[str] = []
        self.ends: list[int] = []
        self.gateway = Gateway(self.clock, self.ends.append, 15.0, reload, list)
        self.gateway.steps = [
            Step("store", None, lambda: self.stops.append("store")),
            Step("middle", lambda: self.starting, self.stop_middle),
            Step("listeners", None, lambda: self.stops.append("listeners")),
        ]
        self.starting: Deferred[None] | None = None
        self.said: list[LogLevel] = []
        self.lines: list[str] = []
        observer = cast(ILogObserver, self.observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def begun(self) -> Gateway:
        """Start the gateway and return it."""
        self.gateway.startService()
        return self.gateway

    def observe(self, event: LogEvent) -> None:
        """Record the level of an event."""
        self.said.append(event["log_level"])
        self.lines.append(formatEvent(event))

    def stop_middle(self) -> Deferred[None]:
        """Return the Deferred that the test fires."""
        self.stops.append("middle")
        return self.middle

    def cancelled(self, _: Deferred[None]) -> None:
        """Record the cancellation."""
        self.cancels += 1

    def test_in_order(self) -> None:
        """Parts stop one after the other, the last started first."""
        stopping = self.begun().stopService()
        self.assertEqual(self.stops, ["listeners", "middle"])
        self.middle.callback(None)
        self.assertEqual(self.stops, ["listeners", "middle", "store"])
        self.successResultOf(stopping)
        self.assertEqual(self.gateway.state, "stopped")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_part_that_takes_too_long(self) -> None:
        """A part that takes too long is cancelled, abandoned and logged; the others stop."""
        stopping = self.begun().stopService()
        self.clock.advance(14.9)
        self.assertNoResult(stopping)
        self.clock.advance(0.2)
        self.successResultOf(stopping)
        self.assertEqual((self.cancels, self.stops), (1, ["listeners", "middle", "store"]))
        self.assertIn(LogLevel.warn, self.said)

    def test_ignored_cancellation(self) -> None:
        """A part that ignores the cancellation does not delay the end, even if it finishes later."""
        stubborn: Deferred[None] = Deferred()
        self.patch(stubborn, "cancel", lambda: None)
        self.middle = stubborn
        stopping = self.begun().stopService()
        self.clock.advance(15.1)
        self.successResultOf(stopping)
        self.assertEqual(self.stops, ["listeners", "middle", "store"])
        stubborn.callback(None)

    def test_fault(self) -> None:
        """A part that fails to stop is logged, and the others stop."""
        stopping = self.begun().stopService()
        self.middle.errback(ValueError("broken"))
        self.successResultOf(stopping)
        self.assertEqual(self.stops, ["listeners", "middle", "store"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_while_starting(self) -> None:
        """A stop during the start cancels the rest of the start, which is no failure."""
        self.starting = Deferred()
        gateway = self.begun()
        self.assertEqual(gateway.state, "starting")
        stopping = gateway.stopService()
        self.middle.callback(None)
        self.successResultOf(stopping)
        self.assertEqual((self.stops, self.ends, gateway.state), (["middle", "store"], [], "stopped"))

    def test_u7_last_line(self) -> None:
        """Only a gateway that ran says that everything accepted is in the store."""
        gateway = self.begun()
        self.middle.callback(None)
        gateway.stopService()
        self.assertEqual(self.lines[-1], "stopped; everything accepted is in the store")
        self.starting = Deferred()
        gateway = self.begun()
        gateway.stopService()
        self.assertEqual(self.lines[-1], "stopped before the start was over")

"""The service that is the whole program: the order and the bounds of its stop."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from smsgw.program.lifecycle import Gateway, Step


class _Reactor(Clock):
    """A clock that keeps what is to be called once it runs."""

    def callWhenRunning(self, call: object) -> None:
        """Signals are not for a test."""


class StopTests(SynchronousTestCase):
    """Whatever a part does, the parts below it are stopped, and the stop ends."""

    def setUp(self) -> None:
        """A gateway of three parts; the start and the stop of the middle one are ours to answer."""
        self.clock = _Reactor()
        self.middle: Deferred[None] = Deferred(self.cancelled)
        self.cancels = 0
        self.stops: list[str] = []
        self.ends: list[int] = []
        self.gateway = Gateway(self.clock, self.ends.append, 15.0, lambda: None, lambda listeners: [])
        self.gateway.steps = [
            Step("store", None, lambda: self.stops.append("store")),
            Step("middle", lambda: self.starting, self.stop_middle),
            Step("listeners", None, lambda: self.stops.append("listeners")),
        ]
        self.starting: Deferred[None] | None = None
        self.said: list[LogLevel] = []
        observer = cast(ILogObserver, self.observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def begun(self) -> Gateway:
        """The gateway, after its start."""
        self.gateway.startService()
        return self.gateway

    def observe(self, event: LogEvent) -> None:
        """Note how loudly something was said."""
        self.said.append(event["log_level"])

    def stop_middle(self) -> Deferred[None]:
        """It takes as long as the test says."""
        self.stops.append("middle")
        return self.middle

    def cancelled(self, _: Deferred[None]) -> None:
        """Nobody waits for it any longer."""
        self.cancels += 1

    def test_in_order(self) -> None:
        """Parts stop one after the other, the last started first; each is waited for."""
        stopping = self.begun().stopService()
        self.assertEqual(self.stops, ["listeners", "middle"])
        self.middle.callback(None)
        self.assertEqual(self.stops, ["listeners", "middle", "store"])
        self.successResultOf(stopping)
        self.assertEqual(self.gateway.state, "stopped")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_patience(self) -> None:
        """A part that takes too long is cancelled and left behind; that is told, and the others stop."""
        stopping = self.begun().stopService()
        self.clock.advance(14.9)
        self.assertNoResult(stopping)
        self.clock.advance(0.2)
        self.successResultOf(stopping)
        self.assertEqual((self.cancels, self.stops), (1, ["listeners", "middle", "store"]))
        self.assertIn(LogLevel.warn, self.said)

    def test_deaf_to_cancelling(self) -> None:
        """A part whose stop cannot even be cancelled does not hold up the end, whenever it comes after all."""
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
        """A stop in the middle of the start ends the start: nothing further is begun, and that is no failure."""
        self.starting = Deferred()
        gateway = self.begun()
        self.assertEqual(gateway.state, "starting")
        stopping = gateway.stopService()
        self.middle.callback(None)
        self.successResultOf(stopping)
        self.assertEqual((self.stops, self.ends, gateway.state), (["middle", "store"], [], "stopped"))

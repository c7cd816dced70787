"""A receiver of callbacks that does not answer is left alone, and harms no other."""

from __future__ import annotations

from smsgw.frontends.callbacks import circuitbreaker
from smsgw.frontends.callbacks.path import PER_ACCOUNT, PER_RECEIVER
from tests.dialects.support import status
from tests.frontends.callbacks.test_path import Case, account
from tests.metrics import value


class BrokenReceiverTests(Case):
    """Receivers that fail."""

    def break_down(self) -> None:
        """Make this number of failed requests."""
        for number in range(circuitbreaker.TRIES):
            self.path.deliver([status(id=number + 1)])
            self.next().fail()

    def test_left_alone(self) -> None:
        """Requests to a failing receiver pause, then one is tried; each failure doubles the pause."""
        self.assertEqual(value(self.metrics.receivers_down), 0)
        self.break_down()
        self.assertEqual((self.path.room("demo"), value(self.metrics.receivers_down)), (0, 1))
        del self.sink.ready_accounts[:]
        for pause in (10, 20, 40):
            self.clock.advance(pause - 0.1)
            self.assertEqual((self.path.room("demo"), self.sink.ready_accounts), (0, []))
            self.clock.advance(0.1)
            self.assertEqual((self.path.room("demo"), self.sink.ready_accounts), (1, ["demo"]))
            self.path.deliver([status()])
            self.assertEqual(self.path.room("demo"), 0)
            self.next().fail()
            del self.sink.ready_accounts[:]
        self.clock.advance(80)
        self.path.deliver([status()])
        self.next().answer()
        self.assertEqual((self.path.room("demo"), value(self.metrics.receivers_down)), (PER_RECEIVER, 0))

    def test_errors_are_answers(self) -> None:
        """Error responses do not cause a pause; those of an overloaded receiver do."""
        for number in range(20):
            self.path.deliver([status(id=number + 1)])
            self.next().answer(500)
        self.assertEqual(self.path.room("demo"), PER_RECEIVER)
        for number in range(circuitbreaker.TRIES):
            self.path.deliver([status(id=number + 1)])
            self.next().answer(503)
        self.assertEqual(self.path.room("demo"), 0)

    def test_what_waits(self) -> None:
        """Events that wait when a pause begins are sent after it; the pause does not count as an attempt."""
        events = [status(id=number + 1) for number in range(20)]
        self.path.deliver(events)
        for _ in range(circuitbreaker.TRIES - 1 + PER_RECEIVER):
            self.next().fail()
        self.assertEqual(self.asked, [])
        self.clock.advance(10)
        self.assertEqual(len(self.asked), 1)
        while self.asked:
            self.next().answer()
        self.assertEqual(self.sink.acknowledged_events, events[circuitbreaker.TRIES - 1 + PER_RECEIVER :])

    def test_others_are_not_harmed(self) -> None:
        """A hanging receiver does not affect another account, even at the same host (002-133)."""
        self.accounts["other"] = account("other")
        self.path.deliver([status(id=number + 1) for number in range(PER_RECEIVER)])
        self.assertEqual((self.path.room("demo"), self.path.room("other")), (0, PER_ACCOUNT))
        self.break_down_others()
        self.assertEqual(self.path.room("other"), PER_RECEIVER)

    def break_down_others(self) -> None:
        """All requests of demo fail, one of other succeeds."""
        for asked in list(self.asked):
            asked.fail()
        del self.asked[:]
        event = status(id=99)
        event.message.account = "other"
        self.path.deliver([event])
        self.next().answer()

"""The return path over HTTP: order, repetition, at most once, broken receivers, stopping."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any, cast

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from zope.interface.verify import verifyObject

from smsgw.config import AccountSettings
from smsgw.frontends.callbacks import circuitbreaker
from smsgw.frontends.callbacks.metrics import CallbackMetrics
from smsgw.frontends.callbacks.path import PER_ACCOUNT, PER_RECEIVER, CallbackPath
from smsgw.interfaces import IReturnPath, IReturnSink
from smsgw.model.content import Labels
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import Event
from smsgw.protocols.http.client import RequestFailed, WebResponse
from tests.configured import configured
from tests.frontends.callbacks.test_forms import incoming, status
from tests.frontends.smpp.support import HandSink
from tests.metrics import value


@attrs.define(eq=False)
class Asked:
    """A request under way."""

    url: str
    body: bytes
    guarded: bool
    result: Deferred[WebResponse]

    def answer(self, code: int = 200, headers: dict[str, list[str]] | None = None) -> None:
        """The receiver answers."""
        self.result.callback(WebResponse(code, Headers(headers or {}), b"", True))

    def fail(self, *, refused: bool = False) -> None:
        """It does not."""
        self.result.errback(RequestFailed("no response in time", sent=True, refused=refused))


class HandClient:
    """Makes calls that a test answers."""

    def __init__(self, under_way: list[Asked], guarded: bool) -> None:
        self.under_way = under_way
        self.guarded = guarded

    def request(
        self, method: bytes, url: str, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes | None = None
    ) -> Deferred[WebResponse]:
        """One more."""
        asked = Asked(url, body or b"", self.guarded, Deferred(self.cancelled))
        self.under_way.append(asked)
        return asked.result

    @staticmethod
    def cancelled(result: Deferred[WebResponse]) -> None:
        """What the real client does."""
        result.errback(RequestFailed("no response in time", sent=True))


@attrs.define
class Account:
    """An account as it is configured now."""

    settings: AccountSettings


def account(name: str = "demo", **keys: Any) -> Account:
    """One that is called back."""
    keys = {"callback": "http://h.example/x", "callback_dialect": "native", **keys}
    return Account(AccountSettings(name=name, **keys))


class Sink(HandSink):
    """Notes what the path says, and when it wants more.

    :ivar by_hand: whether forgetting waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_hand = False
        self.forgetting: list[Deferred[None]] = []

    def acknowledge_before_send(self, events: Sequence[Event]) -> Deferred[None]:
        """See IReturnSink."""
        done = super().acknowledge_before_send(events)
        if not self.by_hand:
            return done
        self.forgetting.append(Deferred())
        return self.forgetting[-1]


class Case(SynchronousTestCase):
    """One path between a client and a sink, both worked by hand."""

    def setUp(self) -> None:
        """An account with a callback."""
        self.accounts = {"demo": account()}
        self.clock = Clock()
        self.asked: list[Asked] = []
        self.metrics = CallbackMetrics()
        self.sink = Sink()
        self.path = CallbackPath(
            configured(timezone=UTC),
            cast(Any, self.accounts),
            HandClient(self.asked, False),
            HandClient(self.asked, True),
            self.clock,
            lambda: 1e9,
            lambda: 0.5,
            self.metrics,
        )
        self.path.attach(self.sink)
        self.addCleanup(self.end)

    def end(self) -> None:
        """Nobody stays down."""
        for receiver in self.path._receivers.values():
            receiver.stop()

    def use(self, **keys: Any) -> None:
        """Another configuration."""
        self.accounts["demo"] = account(**keys)

    def next(self) -> Asked:
        """The next call."""
        return self.asked.pop(0)


class TellingTests(Case):
    """What is called, and what becomes of the event."""

    def test_interfaces(self) -> None:
        """It is a return path, and the sink of these tests is one."""
        verifyObject(IReturnPath, self.path)
        verifyObject(IReturnSink, self.sink)

    def test_success(self) -> None:
        """An event is told when the receiver answers 2xx, and there is room for more (002-105)."""
        event = status()
        self.path.deliver([event])
        asked = self.next()
        self.assertEqual(
            (asked.url, asked.guarded, b'"event":"854019.2"' in asked.body), ("http://h.example/x", False, True)
        )
        self.assertEqual(self.sink.acknowledged_events, [])
        asked.answer(204)
        self.assertEqual(self.sink.acknowledged_events, [event])
        self.assertEqual(self.sink.ready_accounts, ["demo"])

    def test_failures(self) -> None:
        """Everything else is tried again later: redirects, errors, silence; a receiver may say when."""
        for code in (199, 301, 302, 400, 404, 500, 503):
            self.path.deliver([status(id=code)])
            self.next().answer(code)
        self.path.deliver([status(id=1)])
        self.next().fail()
        self.assertEqual([wait for _, wait in self.sink.retried], [2.5] * 8)
        for text, seconds in {
            "7": 7.0,
            "999999": 3600.0,
            "-1": 2.5,
            "Wed, 21 Oct 2015 07:28:00 GMT": 2.5,
            "٣": 2.5,
        }.items():
            self.path.deliver([status()])
            self.next().answer(
                429 if seconds == 7.0 else 500, {"Retry-After": [text.encode("utf-8").decode("latin-1")]}
            )
            self.assertEqual(self.sink.retried[-1][1], seconds, text)
        self.assertEqual(self.sink.acknowledged_events, [])

    def test_pauses(self) -> None:
        """Pauses are random, up to a bound that doubles with each attempt until it is an hour."""
        for attempts, pause in ((0, 2.5), (1, 5.0), (4, 40.0), (50, 1800.0)):
            event = status()
            event.attempts = attempts
            self.path.deliver([event])
            self.next().answer(500)
            self.assertEqual(self.sink.retried[-1], (event, pause))

    def test_at_most_once(self) -> None:
        """In the form of Rostelecom an event counts as told before the call, and whatever comes of it then
        (004-200)."""
        self.use(callback_dialect="rostelecom")
        self.sink.by_hand = True
        events = [status(id=number) for number in (1, 2, 3)]
        self.path.deliver(events)
        self.assertEqual((self.sink.acknowledged_before, self.asked), (events, []))
        self.sink.forgetting.pop().callback(None)
        self.next().answer(500)
        self.next().fail()
        self.next().answer()
        self.assertEqual((self.sink.acknowledged_events, self.sink.retried, self.sink.requeued), ([], [], []))
        self.assertEqual(self.path.room("demo"), PER_RECEIVER)

    def test_not_marked(self) -> None:
        """What could not be marked is not told."""
        self.use(callback_dialect="rostelecom")
        self.sink.by_hand = True
        self.path.deliver([status()])
        self.sink.forgetting.pop().errback(Failure(StoreDown("gone")))
        self.assertEqual(self.asked, [])
        self.assertEqual((self.path._held, self.path.room("demo")), ({}, PER_RECEIVER))

    def test_forms(self) -> None:
        """The account's form is used; what has no place in it counts as told."""
        self.use(callback_dialect="smsc", callback="http://h.example/x?md5=abc")
        self.path.deliver([incoming()])
        self.assertTrue(self.next().body.startswith(b"id=77&phone=79161234567&mes="))
        self.use(callback_dialect="rostelecom")
        event = incoming()
        self.path.deliver([event])
        self.assertEqual((self.asked, self.sink.acknowledged_before), ([], [event]))

    def test_poisoned_event(self) -> None:
        """An event that cannot be written is put off alone, logged, and stops no other."""
        poisoned = status(id=1)
        poisoned.at = 1e300
        self.path.deliver([poisoned, status(id=2)])
        self.assertEqual(self.sink.retried, [(poisoned, 600.0)])
        self.next().answer()
        self.assertEqual(len(self.sink.acknowledged_events), 1)
        self.assertEqual((self.path._held, self.path.room("demo")), ({}, PER_RECEIVER))
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_own_address(self) -> None:
        """A message's own address is called in the native form, by the client that looks where it leads."""
        self.use(callback_dialect="rostelecom", callback_key=None)
        self.path.deliver([status(labels=Labels("http://h.example/own"))])
        asked = self.next()
        self.assertEqual((asked.url, asked.guarded, asked.body[:1]), ("http://h.example/own", True, b"{"))
        asked.fail(refused=True)
        self.assertEqual([wait for _, wait in self.sink.retried], [600.0])

    def test_nobody_to_tell(self) -> None:
        """Without an address, or an account, events wait; one that was handed over is put off."""
        self.assertEqual(self.path.room("stranger"), 0)
        self.use(callback="")
        self.assertEqual(self.path.room("demo"), 0)
        self.path.deliver([status()])
        self.use(enabled=False)
        self.assertEqual(self.path.room("demo"), 0)
        self.path.deliver([status()])
        self.assertEqual([wait for _, wait in self.sink.retried], [600.0, 600.0])
        self.use(callback="", callback_hosts=("h.example",))
        self.assertEqual(self.path.room("demo"), PER_ACCOUNT)

    def test_account_that_goes(self) -> None:
        """An account that is disabled while its events wait here is not called any more."""
        events = [status(id=number) for number in range(1, PER_RECEIVER + 2)]
        self.path.deliver(events)
        self.use(enabled=False)
        self.next().answer()
        self.assertEqual(self.sink.retried, [(events[-1], 600.0)])


class OrderTests(Case):
    """Events of one message."""

    def test_order(self) -> None:
        """The next event of a message is told after the answer to the one before, even when that counts as told
        already (002-134)."""
        self.use(callback_dialect="rostelecom")
        self.path.deliver([status(State.ENROUTE)])
        self.path.deliver([status()])
        self.assertEqual(len(self.asked), 1)
        first = self.next()
        self.assertIn("awaiting_report", first.url)
        first.fail()
        self.assertIn("delivered", self.next().url)

    def test_several_at_a_time(self) -> None:
        """Different messages are told side by side, so many at a time and no more."""
        self.path.deliver([status(id=number) for number in range(1, 20)])
        self.assertEqual(len(self.asked), PER_RECEIVER)
        self.assertEqual(self.path.room("demo"), 0)
        self.next().answer()
        self.assertEqual(len(self.asked), PER_RECEIVER)


class BrokenReceiverTests(Case):
    """Receivers that do not answer."""

    def break_down(self) -> None:
        """So many calls in vain."""
        for number in range(circuitbreaker.TRIES):
            self.path.deliver([status(id=number + 1)])
            self.next().fail()

    def test_left_alone(self) -> None:
        """A receiver that does not answer is left alone, then tried once, for twice as long each time."""
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
        """A receiver that answers, if only with errors, is not left alone; one that is overloaded is."""
        for number in range(20):
            self.path.deliver([status(id=number + 1)])
            self.next().answer(500)
        self.assertEqual(self.path.room("demo"), PER_RECEIVER)
        for number in range(circuitbreaker.TRIES):
            self.path.deliver([status(id=number + 1)])
            self.next().answer(503)
        self.assertEqual(self.path.room("demo"), 0)

    def test_what_waits(self) -> None:
        """What waits when a receiver goes down goes out when it is back, and no attempt is charged for it."""
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
        """A receiver that hangs costs another account nothing, even at the same host (002-133)."""
        self.accounts["other"] = account("other")
        self.path.deliver([status(id=number + 1) for number in range(PER_RECEIVER)])
        self.assertEqual((self.path.room("demo"), self.path.room("other")), (0, PER_ACCOUNT))
        self.break_down_others()
        self.assertEqual(self.path.room("other"), PER_RECEIVER)

    def break_down_others(self) -> None:
        """Everything of demo fails, and one of other succeeds."""
        for asked in list(self.asked):
            asked.fail()
        del self.asked[:]
        event = status(id=99)
        event.message.account = "other"
        self.path.deliver([event])
        self.next().answer()


class StoppingTests(Case):
    """The end of the program."""

    def test_nothing_under_way(self) -> None:
        """With nothing under way it is over at once, and nothing more is taken."""
        self.successResultOf(self.path.stop())
        self.assertEqual(self.path.room("demo"), 0)

    def test_under_way(self) -> None:
        """Calls under way may end; what waits is given back."""
        events = [status(id=number + 1) for number in range(PER_RECEIVER + 1)]
        self.path.deliver(events)
        stopped = self.path.stop()
        self.assertEqual(self.sink.requeued, events[-1:])
        while self.asked:
            self.assertNoResult(stopped)
            self.next().answer()
        self.successResultOf(stopped)
        self.assertEqual(len(self.sink.acknowledged_events), PER_RECEIVER)

    def test_too_long(self) -> None:
        """After some seconds they are given up: nobody knows whether they arrived, and they come again."""
        self.path.deliver([status()])
        stopped = self.path.stop()
        self.clock.advance(5)
        self.successResultOf(stopped)
        self.assertEqual(len(self.sink.requeued), 1)


class PropertyTests(SynchronousTestCase):
    """Whatever receivers do."""

    @settings(max_examples=100, deadline=None)
    @given(st.data())
    def test_each_event_is_answered_once(self, data: st.DataObject) -> None:
        """Each event is answered exactly once, in the order of its message, with no more calls at a time than
        allowed, and in the end nothing is held."""
        case = Case()
        case.setUp()
        case.accounts["demo"] = account(callback_dialect=data.draw(st.sampled_from(["native", "smsc", "rostelecom"])))
        try:
            handed: list[Event] = []
            for number in range(data.draw(st.integers(1, 40))):
                step = data.draw(st.integers(0, 5))
                if step < 2 and case.path.room("demo"):
                    events = [status(id=number * 100 + n) for n in range(min(case.path.room("demo"), 9))]
                    handed += events
                    case.path.deliver(events)
                elif step == 5:
                    case.clock.advance(data.draw(st.integers(1, 30)))
                elif case.asked:
                    self.end_one(case, data.draw(st.integers(0, len(case.asked) - 1)), data.draw(st.booleans()))
                self.assertLessEqual(len(case.asked), PER_RECEIVER)
            for _ in range(1000):
                if not case.asked:
                    case.clock.advance(700)
                    if not case.asked:
                        break
                self.end_one(case, 0, True)
            sink = case.sink
            answered = [*sink.acknowledged_events, *(e for e, _ in sink.retried), *sink.acknowledged_before]
            self.assertEqual(sorted(map(id, answered)), sorted(map(id, handed)))
            self.assertEqual((case.path._held, case.path._chains), ({}, {}))
        finally:
            case.end()

    @staticmethod
    def end_one(case: Case, number: int, well: bool) -> None:
        """One call ends."""
        asked = case.asked.pop(number)
        if well:
            asked.answer()
        else:
            asked.fail()

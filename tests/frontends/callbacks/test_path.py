"""The return path over HTTP: order, repetition, at most once, stopping."""

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
from smsgw.dialects import NATIVE, QUICKTEL, ROSTELECOM, SMSC
from smsgw.frontends.callbacks.metrics import CallbackMetrics
from smsgw.frontends.callbacks.path import PER_ACCOUNT, PER_RECEIVER, CallbackPath
from smsgw.interfaces import IReturnPath, IReturnSink
from smsgw.model.content import Labels
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import Event
from smsgw.protocols.http.client import RequestFailed, WebResponse
from tests.configured import configured
from tests.dialects.support import incoming, status
from tests.frontends.smpp.support import HandSink

DIALECTS = {dialect.name: dialect for dialect in (NATIVE, QUICKTEL, ROSTELECOM, SMSC)}


@attrs.define(eq=False)
class Asked:
    """An outstanding request."""

    url: str
    body: bytes
    guarded: bool
    result: Deferred[WebResponse]

    def answer(self, code: int = 200, headers: dict[str, list[str]] | None = None) -> None:
        """Fire the response."""
        self.result.callback(WebResponse(code, Headers(headers or {}), b"", True))

    def fail(self, *, refused: bool = False) -> None:
        """Fail the request."""
        self.result.errback(RequestFailed("no response in time", sent=True, refused=refused))


class HandClient:
    """A client whose requests the test answers."""

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
        """Record a request."""
        result.errback(RequestFailed("no response in time", sent=True))


@attrs.define
class Account:
    """An account."""

    settings: AccountSettings


def account(name: str = "demo", **keys: Any) -> Account:
    """An account with a callback."""
    keys = {"callback": "http://h.example/x", "callback_dialect": "native", **keys}
    return Account(AccountSettings(name=name, **keys))


class Sink(HandSink):
    """Records the reports of the path.

    :ivar by_hand: whether acknowledge_before_send waits for the test.
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
    """One path between a client and a sink, both controlled by the test."""

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
            DIALECTS,
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
        """Check that no receiver stays down."""
        for receiver in self.path._receivers.values():
            receiver.stop()

    def use(self, **keys: Any) -> None:
        """Another configuration."""
        self.accounts["demo"] = account(**keys)

    def next(self) -> Asked:
        """Return the next request."""
        return self.asked.pop(0)


class TellingTests(Case):
    """The requests, and the results of events."""

    def test_interfaces(self) -> None:
        """The path and the sink of these tests provide their interfaces."""
        verifyObject(IReturnPath, self.path)
        verifyObject(IReturnSink, self.sink)

    def test_success(self) -> None:
        """An event is acknowledged when the receiver responds with 2xx, and the room grows (002-105)."""
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
        """After other responses, errors and timeouts the event is retried later; Retry-After sets the time."""
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
        """In the Rostelecom form an event is acknowledged before the request, for any result of it (004-200)."""
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
        """An event that could not be acknowledged is not sent."""
        self.use(callback_dialect="rostelecom")
        self.sink.by_hand = True
        self.path.deliver([status()])
        self.sink.forgetting.pop().errback(Failure(StoreDown("gone")))
        self.assertEqual(self.asked, [])
        self.assertEqual((self.path._held, self.path.room("demo")), ({}, PER_RECEIVER))

    def test_forms(self) -> None:
        """The account's dialect is used; an event that it cannot represent is acknowledged."""
        self.use(callback_dialect="smsc", callback="http://h.example/x?md5=abc")
        self.path.deliver([incoming()])
        self.assertTrue(self.next().body.startswith(b"id=77&phone=79161234567&mes="))
        self.use(callback_dialect="rostelecom")
        event = incoming()
        self.path.deliver([event])
        self.assertEqual((self.asked, self.sink.acknowledged_before), ([], [event]))

    def test_no_dialect(self) -> None:
        """An event is retried later if the account's dialect has no callbacks or is gone."""
        for name in ("quicktel", "klingon"):
            self.use(callback_dialect=name)
            self.path.deliver([status()])
        self.assertEqual([wait for _, wait in self.sink.retried], [600.0, 600.0])
        self.assertEqual((self.asked, self.path._held), ([], {}))

    def test_poisoned_event(self) -> None:
        """An event whose request cannot be written is retried later and logged; the others are sent."""
        poisoned = status(id=1)
        poisoned.at = 1e300
        self.path.deliver([poisoned, status(id=2)])
        self.assertEqual(self.sink.retried, [(poisoned, 600.0)])
        self.next().answer()
        self.assertEqual(len(self.sink.acknowledged_events), 1)
        self.assertEqual((self.path._held, self.path.room("demo")), ({}, PER_RECEIVER))
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_own_address(self) -> None:
        """A message's own URL gets the native form, from the client that guards against private addresses."""
        self.use(callback_dialect="rostelecom", callback_key=None)
        self.path.deliver([status(labels=Labels("http://h.example/own"))])
        asked = self.next()
        self.assertEqual((asked.url, asked.guarded, asked.body[:1]), ("http://h.example/own", True, b"{"))
        asked.fail(refused=True)
        self.assertEqual([wait for _, wait in self.sink.retried], [600.0])

    def test_no_receiver(self) -> None:
        """Without a URL or an account the room is 0; an event that is still delivered is retried later."""
        self.assertEqual(self.path.room("unknown"), 0)
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
        """An account that is disabled while its events wait here gets no further requests."""
        events = [status(id=number) for number in range(1, PER_RECEIVER + 2)]
        self.path.deliver(events)
        self.use(enabled=False)
        self.next().answer()
        self.assertEqual(self.sink.retried, [(events[-1], 600.0)])


class OrderTests(Case):
    """Events of one message."""

    def test_order(self) -> None:
        """The next event of a message is sent after the response to the previous one, also in the at-most-once form
        (002-134)."""
        self.use(callback_dialect="rostelecom")
        self.path.deliver([status(State.ENROUTE)])
        self.path.deliver([status()])
        self.assertEqual(len(self.asked), 1)
        first = self.next()
        self.assertIn("awaiting_report", first.url)
        first.fail()
        self.assertIn("delivered", self.next().url)

    def test_several_at_a_time(self) -> None:
        """Events of different messages are sent concurrently, up to the limit."""
        self.path.deliver([status(id=number) for number in range(1, 20)])
        self.assertEqual(len(self.asked), PER_RECEIVER)
        self.assertEqual(self.path.room("demo"), 0)
        self.next().answer()
        self.assertEqual(len(self.asked), PER_RECEIVER)


class StoppingTests(Case):
    """The stop."""

    def test_nothing_under_way(self) -> None:
        """Without requests the stop ends at once, and the room is 0."""
        self.successResultOf(self.path.stop())
        self.assertEqual(self.path.room("demo"), 0)

    def test_under_way(self) -> None:
        """Current requests may complete; waiting events are requeued."""
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
        """After some seconds current requests are cancelled; their events are requeued, as the result is unknown."""
        self.path.deliver([status()])
        stopped = self.path.stop()
        self.clock.advance(5)
        self.successResultOf(stopped)
        self.assertEqual(len(self.sink.requeued), 1)


class PropertyTests(SynchronousTestCase):
    """Any behaviour of receivers."""

    @settings(max_examples=100, deadline=None)
    @given(st.data())
    def test_each_event_is_answered_once(self, data: st.DataObject) -> None:
        """Each event is reported exactly once, in the order of its message, within the limit of requests, and in the
        end no event is held."""
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
        """End one request."""
        asked = case.asked.pop(number)
        if well:
            asked.answer()
        else:
            asked.fail()

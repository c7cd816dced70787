"""The connector to upstreams with an HTTP API: requests, outcomes, the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from zope.interface import implementer
from zope.interface.verify import verifyObject

from smsgw.config import Secret
from smsgw.connectors.http.connector import HttpConnector
from smsgw.connectors.http.settings import HttpConnectorSettings
from smsgw.connectors.templates import JSON, LOCATION, TEMPLATE
from smsgw.interfaces import IConnector, IConnectorSink, IRetrying, IWebhookReceiver
from smsgw.model.content import Content
from smsgw.model.errors import Refusal, StoreDown
from smsgw.model.errors import Refused as NotOurs
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Incoming, Message, Part
from smsgw.model.outcome import Busy, Lost, Outcome, Rejected, Sent
from smsgw.protocols.http.client import RequestFailed, WebResponse
from tests.connectors import port
from tests.cuts import cut_into


@implementer(IConnectorSink)
class Sink:
    """Records the reports of the connector.

    :ivar broken: whether the store fails.
    """

    def __init__(self) -> None:
        self.reported: list[tuple[Part, Outcome]] = []
        self.reports: list[DeliveryReport] = []
        self.came: list[Incoming] = []
        self.wants = 0
        self.broken = False
        self.without_account = False

    def outcomes(self, connector: str, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        """See IConnectorSink."""
        self.reported += outcomes

    def receipts(self, connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """See IConnectorSink."""
        if self.broken:
            return fail(StoreDown("closed"))
        self.reports += reports
        return succeed(None)

    def incoming(self, connector: str, incoming: Sequence[Incoming]) -> Deferred[list[NotOurs | None]]:
        """See IConnectorSink."""
        if self.broken:
            return fail(StoreDown("closed"))
        self.came += incoming
        return succeed([NotOurs(Refusal.NO_ROUTE) if self.without_account else None])

    def ready(self, connector: str) -> None:
        """See IConnectorSink."""
        self.wants += 1

    def kinds(self) -> list[str]:
        """Return the outcomes in order, and clear them."""
        kinds = [type(outcome).__name__ for _, outcome in self.reported]
        del self.reported[:]
        return kinds


@attrs.define(eq=False)
class Asked:
    """An outstanding request."""

    method: bytes
    url: str
    headers: dict[bytes, bytes]
    body: bytes | None
    result: Deferred[WebResponse]
    clock: Clock

    def answer(self, body: bytes = b"{}", code: int = 200, headers: dict[str, list[str]] | None = None) -> None:
        """Fire the response."""
        self.result.callback(WebResponse(code, Headers(headers or {}), body, True))
        self.clock.advance(0)

    def fail(self, *, sent: bool = True) -> None:
        """Fail the request."""
        self.result.errback(RequestFailed("no response in time", sent=sent))
        self.clock.advance(0)


class Case(SynchronousTestCase):
    """One connector, with an upstream that the test controls."""

    def setUp(self) -> None:
        """A connector to an upstream without receipts."""
        self.make()

    def make(self, **keys: Any) -> None:
        """Another."""
        given = {"name": "up", "type": "http", "url": "http://h/?t={text}", "window": 5, "rate": 0, **keys}
        read = {"url": TEMPLATE, "form": TEMPLATE, "poll_url": TEMPLATE, "json": JSON}
        for name, value in given.items():
            if isinstance(value, str) and (kind := read.get(name)) is not None:
                given[name] = kind.take(value)
            elif isinstance(value, str) and value.startswith(("json:", "query:", "form:", "header:", "regex:")):
                given[name] = LOCATION.take(value)
        self.clock = Clock()
        self.sink = Sink()
        self.asked: list[Asked] = []
        self.connecting: list[tuple[str, Deferred[None]]] = []
        self.connector = HttpConnector(
            HttpConnectorSettings(**given), self.clock, cast(Any, self), lambda: 1_700_000_000.0
        )
        self.connector.start(self.sink)
        self.number = 0

    def request(
        self, method: bytes, url: str, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes | None = None
    ) -> Deferred[WebResponse]:
        """The client."""
        self.asked.append(Asked(method, url, dict(headers), body, Deferred(), self.clock))
        return self.asked[-1].result

    def connect(self, url: str) -> Deferred[None]:
        """The client's attempt to connect."""
        self.connecting.append((url, Deferred(lambda one: one.errback(RequestFailed("cancelled", sent=False)))))
        return self.connecting[-1][1]

    def message(self, parts: int = 1, data_coding: int = 0, remote_id: str = "", text: bytes = b"hi %d;") -> Message:
        """Make a message."""
        self.number += 1
        octets = tuple(text % number if b"%" in text else text for number in range(parts))
        content = Content("DEMO", 5, 0, 1, 1, data_coding, 0, b"".join(octets))
        return Message(
            self.number, "demo", "", "up", State.QUEUED, 0, True, 0, 7, parts, 0.0, 1e9, 1e9, 0.0, 0, "79161234567", 0,
            content, 0.0, remote_id, cut=cut_into(octets, data_coding),
        )  # fmt: skip

    def send(self, message: Message | None = None, *seqs: int) -> Message:
        """Send parts of a message, all by default, and run the next turn of the reactor."""
        message = message or self.message()
        parts = [Part(message, seq) for seq in seqs or range(1, message.parts + 1)]
        port.send(self.connector, parts, self.sink.reported, self.sink.reports)
        self.clock.advance(0)
        return message


class SendingTests(Case):
    """Messages and the upstream's responses."""

    def test_interfaces(self) -> None:
        """The connector provides its interfaces, and so does the sink of these tests."""
        verifyObject(IConnector, self.connector)
        verifyObject(IWebhookReceiver, self.connector)
        verifyObject(IRetrying, self.connector)
        verifyObject(IConnectorSink, self.sink)

    def test_request(self) -> None:
        """Headers, credentials and bodies are as configured."""
        self.make(headers={"X-A": "b"}, login="us", password=Secret("them"), form="to={to}&t={text}")
        self.send()
        asked = self.asked.pop()
        self.assertEqual(
            (asked.method, asked.url, asked.body), (b"POST", "http://h/?t=hi%200%3B", b"to=79161234567&t=hi%200%3B")
        )
        self.assertEqual((asked.headers[b"X-A"], asked.headers[b"Authorization"]), (b"b", b"Basic dXM6dGhlbQ=="))
        self.make(token=Secret("key"), json='{"n": "{to:int}"}')
        self.send()
        self.assertEqual(
            (self.asked[0].body, self.asked[0].headers[b"Authorization"]), (b'{"n":79161234567}', b"Bearer key")
        )

    def test_method(self) -> None:
        """The method is GET if the section sets it."""
        self.make(method="GET")
        self.send()
        self.assertEqual((self.asked[0].method, self.asked[0].body), (b"GET", None))

    def test_charset(self) -> None:
        """Values are written in the character set of the upstream."""
        self.make(charset="windows-1251")
        self.send(self.message(data_coding=8, text="\N{CYRILLIC CAPITAL LETTER YA}".encode("utf-16-be")))
        self.assertEqual(self.asked[0].url, "http://h/?t=%DF")

    def test_timeout(self) -> None:
        """Without a given client, the connector makes one with the timeout of the section."""
        url = TEMPLATE.take("http://h/?t={text}")
        for seconds in (30.0, 7.0):
            own = HttpConnectorSettings(name="up", type="http", url=url, timeout=seconds)
            client: Any = HttpConnector(own, Clock())._client
            self.assertEqual(client._seconds, seconds)

    def test_answers(self) -> None:
        """Each kind of response gives its outcome."""
        self.make(id="json:id", error="json:error", no_error=("0",), busy=("9",), window=100)
        for body, code, expected in (
            (b'{"id":7}', 200, Sent("7")),
            (b'{"id":7,"error":0}', 200, Sent("7")),
            (b'{"error":9}', 200, Busy(why="error 9")),
            (b'{"error":12}', 200, Rejected(12, "error 12")),
            (b'{"error":"no money"}', 200, Rejected(255, "error no money")),
            (b'{"error":12}', 400, Rejected(12, "error 12")),
            (b"{}", 200, Lost("the answer has no id at the location that the setting id names")),
            (b"<html>", 200, Lost("the answer has no id at the location that the setting id names")),
            (b"", 404, Rejected(255, "answered 404")),
            (b"", 500, Lost("answered 500")),
            (b"", 503, Busy(None, True, "answered 503")),
            (b"", 429, Busy(None, False, "answered 429")),
            (b"", 302, Busy(why="answered 302; redirects are not followed, url must be the last address")),
        ):
            self.send()
            self.asked.pop().answer(body, code)
            ((_, outcome),) = self.sink.reported
            self.assertEqual((type(outcome), attrs.asdict(outcome)), (type(expected), attrs.asdict(expected)), body)
            del self.sink.reported[:]
        self.send()
        self.asked.pop().answer(b"", 503, {"Retry-After": ["7"]})
        self.assertEqual(cast(Busy, self.sink.reported[0][1]).seconds, 7.0)

    def test_no_answer(self) -> None:
        """A request that may have arrived is lost, and the upstream stays up; one that could not be sent is busy, and
        the upstream is down until a connection succeeds."""
        self.send()
        self.asked.pop().fail()
        self.assertEqual((self.sink.kinds(), self.connector.up), (["Lost"], True))
        self.send()
        self.send()
        for asked in self.asked:
            asked.fail(sent=False)
        self.assertEqual(self.sink.kinds(), ["Busy"] * 2)
        self.connector.release(3)
        for pause in (1.0, 2.0, 4.0):
            self.clock.advance(pause)
            self.assertEqual((self.connector.up, self.connector.room()), (False, 0))
            ((origin, connecting),) = self.connecting
            self.assertEqual(origin, "http://h:80")
            self.connecting.clear()
            connecting.errback(RequestFailed("no connection", sent=False))
        wants = self.sink.wants
        self.clock.advance(8)
        self.connecting.pop()[1].callback(None)
        self.assertEqual((self.connector.up, self.connector.room(), self.sink.wants), (True, 5, wants + 1))
        self.assertEqual(len(self.asked), 2)

    def test_temporary_refusals(self) -> None:
        """An upstream that answers is up, also if it takes nothing; so is one whose address the client refuses."""
        for code in (429, 503):
            self.send()
            self.asked.pop().answer(b"", code)
        self.send()
        self.asked.pop().result.errback(RequestFailed("not an address", sent=False, refused=True))
        self.clock.advance(0)
        self.assertEqual((self.sink.kinds(), self.connector.up), (["Busy"] * 3, True))

    def test_retry(self) -> None:
        """An administrator ends the pause between attempts to connect; without a pause nothing happens."""
        self.connector.retry()
        self.send()
        self.asked.pop().fail(sent=False)
        self.connector.release(1)
        self.connector.retry()
        self.assertEqual(self.connecting, [])  # nothing happens inside the call
        self.clock.advance(0)
        self.connecting.pop()[1].callback(None)
        self.assertTrue(self.connector.up)

    def test_stop_while_down(self) -> None:
        """The stop ends the attempt to connect, and no further one is made."""
        self.send()
        self.asked.pop().fail(sent=False)
        self.clock.advance(1)
        ((_, connecting),) = self.connecting
        self.successResultOf(self.connector.stop())
        self.assertTrue(connecting.called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_parts(self) -> None:
        """A message of several parts is one request; all parts share its id, whenever they are sent."""
        message = self.send(self.message(4), 1, 2)
        self.send(message, 3)
        (asked,) = self.asked
        self.assertIn("hi%200%3Bhi%201%3Bhi%202%3Bhi%203%3B", asked.url)
        asked.answer()
        self.assertEqual(
            [(part.seq, cast(Sent, one).remote_id) for part, one in self.sink.reported],
            [(1, "1.0"), (2, "1.0#2"), (3, "1.0#3")],
        )
        self.send(message, 4)
        self.assertEqual((len(self.asked), cast(Sent, self.sink.reported[3][1]).remote_id), (1, "1.0#4"))
        self.assertEqual([report.remote_id for report in self.sink.reports], ["1.0", "1.0#2", "1.0#3", "1.0#4"])

    def test_parts_after_a_restart(self) -> None:
        """The rest of a message whose first part was sent before a restart is not sent again."""
        self.send(self.message(2, remote_id="x7"), 2)
        self.assertEqual((self.asked, cast(Sent, self.sink.reported[0][1]).remote_id), ([], "x7#2"))

    def test_one_turn(self) -> None:
        """Outcomes of one turn of the reactor are reported together, in the next turn."""
        self.make(id="json:id", receipts="webhook", secret=Secret("key"), receipt_id="query:id")
        given: list[int] = []
        self.patch(self.sink, "outcomes", lambda name, outcomes: given.append(len(outcomes)))
        self.send()
        self.send()
        for asked in self.asked:
            asked.result.callback(WebResponse(200, Headers({}), b'{"id":1}', True))
        self.connector.send([Part(self.message(data_coding=4), 1)])
        self.assertEqual(given, [])
        self.clock.advance(0)
        self.assertEqual(given, [3])

    def test_parts_in_vain(self) -> None:
        """A message that the upstream did not take is sent again as a whole."""
        message = self.send(self.message(2))
        self.asked.pop().fail()
        self.assertEqual(self.sink.kinds(), ["Lost", "Lost"])
        self.send(message)
        self.assertEqual(len(self.asked), 1)

    def test_binary(self) -> None:
        """A message without text is rejected."""
        self.send(self.message(data_coding=4))
        self.assertEqual((self.sink.kinds(), self.asked), (["Rejected"], []))

    def test_window(self) -> None:
        """The room is the window, until outcomes are committed."""
        for _ in range(5):
            self.send()
        self.assertEqual(self.connector.room(), 0)
        self.asked.pop().answer()
        self.assertEqual(self.connector.room(), 0)
        wants = self.sink.wants
        self.connector.release(1)
        self.assertEqual((self.connector.room(), self.sink.wants), (1, wants + 1))

    def test_rate(self) -> None:
        """The room is limited by the rate."""
        self.make(rate=1.0)
        self.send()
        wants = self.sink.wants
        self.assertEqual(self.connector.room(), 0)
        self.clock.advance(1)
        self.assertEqual((self.connector.room(), self.sink.wants), (1, wants + 1))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), max_size=30))
    def test_each_part_once(self, steps: list[tuple[int, int]]) -> None:
        """For any behaviour of the upstream, each sent part has exactly one outcome, and the stop ends."""
        self.make(id="json:id", window=1000)
        sent: list[Part] = []
        for step, parts in steps:
            if step < 2 or not self.asked:
                message = self.message(parts)
                sent += [Part(message, seq) for seq in range(1, parts + 1)]
                port.send(self.connector, sent[-parts:], self.sink.reported, self.sink.reports)
            elif step == 2:
                self.asked.pop(0).answer(b'{"id":1}')
            elif step == 3:
                self.asked.pop().fail(sent=bool(parts % 2))
            else:
                self.clock.advance(10)
        stopped = self.connector.stop()
        for asked in self.asked:
            asked.answer(b"", 500)
        self.successResultOf(stopped)
        self.assertEqual(sorted(id(part) for part, _ in self.sink.reported), sorted(map(id, sent)))

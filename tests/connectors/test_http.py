"""The connector to upstreams with an HTTP API: templates, outcomes, receipts, stop."""

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

from smsgw.config import ConfigErrors, Secret, parse
from smsgw.connectors.http.connector import HttpConnector
from smsgw.connectors.http.settings import HttpConnectorSettings
from smsgw.connectors.templates import JSON, LOCATION, TEMPLATE, HttpData, percent_encoder
from smsgw.interfaces import Awaited, IConnector, IConnectorSink, IWebhookReceiver, WebhookRequest, WebhookResponse
from smsgw.model.content import Content
from smsgw.model.errors import Refusal, StoreDown
from smsgw.model.errors import Refused as NotOurs
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Incoming, Message, Part
from smsgw.model.outcome import Busy, Lost, Outcome, Rejected, Sent
from smsgw.plugins import dialects
from smsgw.protocols.http.client import RequestFailed, WebResponse
from tests.connectors import port
from tests.cuts import cut_into

VALUES = {"to": "79161234567", "from": "A&B", "text": 'Hi "you" {to} 50% ё', "uid": "1.0", "id": "x/y"}


class TemplateTests(SynchronousTestCase):
    """The requests to the upstream."""

    def test_address(self) -> None:
        """Values are percent-encoded in the character set of the upstream, and are not parsed as templates."""
        template = TEMPLATE.take("http://h/{to}?t={text}&f={from}&l=%25d")
        self.assertEqual(
            template.fill(VALUES, percent_encoder("utf-8")),
            "http://h/79161234567?t=Hi%20%22you%22%20%7Bto%7D%2050%25%20%D1%91&f=A%26B&l=%25d",
        )
        self.assertIn("%B8", template.fill(VALUES, percent_encoder("windows-1251")))

    def test_json(self) -> None:
        """Values are escaped as JSON strings; a whole string with :int becomes a number."""
        template = JSON.take('{"a": [{"to": "{to:int}"}], "b": "+{to}: {text}", "c": 1, "{to}": null}')
        self.assertEqual(
            template.fill(VALUES).decode(),
            '{"a":[{"to":79161234567}],"b":"+79161234567: Hi \\"you\\" {to} 50% ё","c":1,"{to}":null}',
        )
        self.assertRaises(ValueError, JSON.take('{"a": "{from:int}"}').fill, VALUES)

    def test_mistakes(self) -> None:
        """An invalid template or place is refused with the reason."""
        for kind, text in (
            (TEMPLATE, "{nobody}"), (TEMPLATE, "{to:int}"), (JSON, "{"), (JSON, '{"a": "{nobody}"}'),
            (JSON, '{"a": "{nobody:int}"}'), (LOCATION, "json"), (LOCATION, "json:"), (LOCATION, "xpath:/a"),
            (LOCATION, "regex:("), (LOCATION, "regex:abc"), (LOCATION, "regex:(a)(b)"),
        ):  # fmt: skip
            self.assertRaises(ValueError, kind.take, text)

    def test_places(self) -> None:
        """Values are found in JSON, by a pattern, in headers, queries and forms; a missing value is empty."""
        data = HttpData({"x-id": "7"}, b'{"a":{"b":[{"c":5},true,null,1.5]}}', "q=1%202&q=3")
        for place, value in {
            "json:a.b.0.c": "5", "json:a.b.1": "true", "json:a.b.2": "", "json:a.b.3": "1.5", "json:a.b.9": "",
            "json:a.b": "", "json:x": "", "header:X-ID": "7", "header:y": "", "query:q": "1 2", "query:z": "",
            'regex:"c":(\\d)': "5", "regex:(zzz)": "",
        }.items():  # fmt: skip
            self.assertEqual(data.value(LOCATION.take(place)), value, place)
        self.assertEqual(HttpData({}, b"mes=%CF%F0&a", charset="windows-1251").value(LOCATION.take("form:mes")), "Пр")
        for body in (b"", b"\xff", b"[", b"&=&" * 300):
            for place in ("json:a", "form:a"):
                self.assertEqual(HttpData({}, body).value(LOCATION.take(place)), "")

    def test_sections(self) -> None:
        """Contradictions in a section are reported."""
        types = {"http": HttpConnectorSettings}
        base = "[listen s]\nprotocol = smpp\nendpoint = tcp:1:interface=127.0.0.1\ndialect = standard\n"
        for lines, word in (
            ("url = ftp://h/", "begins with http"),
            ("url = http://h/\nform = a\njson = {}", "not both"),
            ("url = http://h/\nmethod = GET\nform = a", "no body"),
            ("url = http://h/\nreceipts = polled", "poll_url"),
            ("url = http://h/\nreceipts = webhook", "receipt_id"),
            ("url = http://h/\nincoming_text = form:mes", "secret"),
            ("url = http://h/\nstates = 1:lost", "lost"),
        ):
            with self.assertRaises(ConfigErrors) as caught:
                parse(f"{base}[connector x]\ntype = http\n{lines}\n", "gw.ini", types, dialects())
            self.assertIn(word, str(caught.exception))


@implementer(IConnectorSink)
class Sink:
    """Records the reports of the connector.

    :ivar broken: whether the store fails.
    """

    def __init__(self) -> None:
        self.told: list[tuple[Part, Outcome]] = []
        self.reports: list[DeliveryReport] = []
        self.came: list[Incoming] = []
        self.wants = 0
        self.broken = False
        self.nobody = False

    def outcomes(self, connector: str, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        """See IConnectorSink."""
        self.told += outcomes

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
        return succeed([NotOurs(Refusal.NO_ROUTE) if self.nobody else None])

    def ready(self, connector: str) -> None:
        """See IConnectorSink."""
        self.wants += 1

    def kinds(self) -> list[str]:
        """Return the outcomes in order, and clear them."""
        kinds = [type(outcome).__name__ for _, outcome in self.told]
        del self.told[:]
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
        port.send(self.connector, parts, self.sink.told, self.sink.reports)
        self.clock.advance(0)
        return message


class SendingTests(Case):
    """Messages and the upstream's responses."""

    def test_interfaces(self) -> None:
        """The connector provides its interfaces, and so does the sink of these tests."""
        verifyObject(IConnector, self.connector)
        verifyObject(IWebhookReceiver, self.connector)
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
            (b"{}", 200, Lost("the answer has no id where it should be")),
            (b"<html>", 200, Lost("the answer has no id where it should be")),
            (b"", 404, Rejected(255, "answered 404")),
            (b"", 500, Lost("answered 500")),
            (b"", 503, Busy(None, True, "answered 503")),
            (b"", 429, Busy(None, False, "answered 429")),
            (b"", 302, Busy(why="answered 302; redirects are not followed, url must be the last address")),
        ):
            self.send()
            self.asked.pop().answer(body, code)
            ((_, outcome),) = self.sink.told
            self.assertEqual((type(outcome), attrs.asdict(outcome)), (type(expected), attrs.asdict(expected)), body)
            del self.sink.told[:]
        self.send()
        self.asked.pop().answer(b"", 503, {"Retry-After": ["7"]})
        self.assertEqual(cast(Busy, self.sink.told[0][1]).seconds, 7.0)

    def test_no_answer(self) -> None:
        """A request that may have arrived is lost; one that was not sent is busy; the upstream soon counts as down."""
        self.send()
        self.asked.pop().fail()
        self.assertEqual(self.sink.kinds(), ["Lost"])
        for _ in range(3):
            self.assertTrue(self.connector.up)
            self.send()
            self.asked.pop().fail(sent=False)
        self.assertEqual(self.sink.kinds(), ["Busy"] * 3)
        self.connector.release(4)
        self.assertEqual((self.connector.up, self.connector.room()), (False, 0))
        wants = self.sink.wants
        self.clock.advance(5)
        self.assertEqual((self.connector.up, self.sink.wants), (True, wants + 1))

    def test_parts(self) -> None:
        """A message of several parts is one request; all parts share its id, whenever they are sent."""
        message = self.send(self.message(4), 1, 2)
        self.send(message, 3)
        (asked,) = self.asked
        self.assertIn("hi%200%3Bhi%201%3Bhi%202%3Bhi%203%3B", asked.url)
        asked.answer()
        self.assertEqual(
            [(part.seq, cast(Sent, one).remote_id) for part, one in self.sink.told],
            [(1, "1.0"), (2, "1.0#2"), (3, "1.0#3")],
        )
        self.send(message, 4)
        self.assertEqual((len(self.asked), cast(Sent, self.sink.told[3][1]).remote_id), (1, "1.0#4"))
        self.assertEqual([report.remote_id for report in self.sink.reports], ["1.0", "1.0#2", "1.0#3", "1.0#4"])

    def test_parts_after_a_restart(self) -> None:
        """The rest of a message whose first part was sent before a restart is not sent again."""
        self.send(self.message(2, remote_id="x7"), 2)
        self.assertEqual((self.asked, cast(Sent, self.sink.told[0][1]).remote_id), ([], "x7#2"))

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

    def test_outcomes_first(self) -> None:
        """A receipt that arrives before the next turn of the reactor is reported after the outcomes."""
        self.make(**ReceiptTests.CALLED)
        said: list[str] = []
        self.patch(self.sink, "outcomes", lambda name, outcomes: said.append("outcomes"))
        self.patch(self.sink, "receipts", lambda name, reports: said.append("receipts") or succeed(None))
        self.send()
        self.asked.pop().result.callback(WebResponse(200, Headers({}), b"", True))
        self.connector.webhook(WebhookRequest("POST", "key=key&id=1.0&s=1", {}, b"", "127.0.0.1"))
        self.assertEqual(said, ["outcomes", "receipts"])
        self.clock.advance(0)
        self.assertEqual(said, ["outcomes", "receipts"])

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
                port.send(self.connector, sent[-parts:], self.sink.told, self.sink.reports)
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
        self.assertEqual(sorted(id(part) for part, _ in self.sink.told), sorted(map(id, sent)))


class ReceiptTests(Case):
    """Receipts and incoming messages of the upstream."""

    CALLED = {
        "receipts": "webhook", "secret": Secret("key"), "receipt_id": "query:id", "receipt_state": "query:s",
        "receipt_error": "query:e", "states": {"1": "delivered", "2": "undeliverable"}, "incoming_text": "form:mes",
        "incoming_from": "form:phone", "incoming_to": "form:to", "answer": "fine",
    }  # fmt: skip

    def call(self, query: str, body: bytes = b"") -> WebhookResponse:
        """Send a webhook."""
        return self.successResultOf(self.connector.webhook(WebhookRequest("POST", query, {}, body, "127.0.0.1")))

    def test_none(self) -> None:
        """Without receipts, sent parts are reported delivered after the outcome, repeatedly until that is stored."""
        self.sink.broken = True
        self.send()
        self.asked.pop().answer()
        self.sink.broken = False
        self.clock.advance(1)
        self.assertEqual([(one.remote_id, one.state) for one in self.sink.reports], [("1.0", State.DELIVERED)])

    def test_webhook(self) -> None:
        """A webhook with the secret is a receipt for all parts of a message; unknown states change nothing."""
        self.make(**self.CALLED)
        self.send(self.message(2))
        self.asked.pop().answer()
        self.assertEqual(self.sink.reports, [])
        self.assertEqual((self.call("key=key&id=1.0&s=7").status, self.sink.reports), (200, []))
        answer = self.call("key=key&id=1.0&s=2&e=6")
        self.assertEqual((answer.status, answer.body), (200, b"fine"))
        self.assertEqual(
            [(one.remote_id, one.state, one.error) for one in self.sink.reports],
            [("1.0", State.UNDELIVERABLE, 6), ("1.0#2", State.UNDELIVERABLE, 6)],
        )

    def test_forged(self) -> None:
        """A webhook without the secret or without content is refused."""
        self.make(**self.CALLED)
        for query in ("id=1&s=1", "key=&id=1&s=1", "key=other&id=1&s=1", "key=%ff&id=1&s=1"):
            self.assertEqual(self.call(query).status, 403)
        self.assertEqual(self.call("key=key&s=1").status, 400)
        self.assertEqual(self.sink.reports, [])

    def test_secret_at(self) -> None:
        """The section sets the place of the secret."""
        self.make(**{**self.CALLED, "secret_at": "query:token"})
        self.assertEqual(self.call("key=key&id=1&s=7").status, 403)
        self.assertEqual(self.call("token=key&id=1&s=7").status, 200)

    def test_not_stored(self) -> None:
        """A webhook that could not be stored gets an error."""
        self.make(**self.CALLED)
        self.sink.broken = True
        self.failureResultOf(self.connector.webhook(WebhookRequest("GET", "key=key&id=1&s=1", {}, b"", "")), StoreDown)

    def test_incoming(self) -> None:
        """A webhook with a text is an incoming message, also if no account gets it."""
        self.make(**self.CALLED)
        self.assertEqual(self.call("key=key", b"phone=7903&to=4455&mes=%D0%B4%D0%B0").status, 200)
        self.sink.nobody = True
        self.assertEqual(self.call("key=key", b"phone=7903&to=9999&mes=x").status, 200)
        self.assertEqual(
            [(one.sender, one.recipient, one.text) for one in self.sink.came],
            [("7903", "4455", "да"), ("7903", "9999", "x")],
        )

    def test_polled(self) -> None:
        """An upstream without webhooks is polled until it reports a final state."""
        self.make(
            receipts="polled",
            poll_url="http://h/{id}",
            poll_every=30.0,
            receipt_state="json:s",
            states={"d": "delivered"},
            id="json:id",
        )
        self.send()
        self.asked.pop().answer(b'{"id":"a/b"}')
        for answer in (b'{"s":"wait"}', b"nonsense"):
            self.clock.advance(30)
            asked = self.asked.pop()
            self.assertEqual((asked.method, asked.url), (b"GET", "http://h/a%2Fb"))
            asked.answer(answer)
        self.clock.advance(30)
        self.asked.pop().fail()
        self.clock.advance(30)
        self.asked.pop().answer(b'{"s":"d"}')
        self.assertEqual([(one.remote_id, one.state) for one in self.sink.reports], [("a/b", State.DELIVERED)])
        self.clock.advance(100)
        self.assertEqual(self.asked, [])

    def test_after_a_restart(self) -> None:
        """Receipts awaited before a restart are polled again, once for all parts."""
        self.make(
            receipts="polled",
            poll_url="http://h/{id}",
            poll_every=1.0,
            receipt_state="json:s",
            states={"d": "delivered"},
        )
        message = self.message(2)
        awaited = [Awaited("a", message, 1, 0.0), Awaited("a#2", message, 2, 0.0)]
        port.resume(self.connector, awaited, self.sink.told, self.sink.reports)
        self.clock.advance(0)
        self.clock.advance(1)
        (asked,) = self.asked
        asked.answer(b'{"s":"d"}')
        self.assertEqual([one.remote_id for one in self.sink.reports], ["a", "a#2"])

    def test_stop(self) -> None:
        """The stop waits for outstanding requests and sends no more."""
        self.make(
            receipts="polled",
            poll_url="http://h/{id}",
            poll_every=1.0,
            receipt_state="json:s",
            states={"d": "delivered"},
        )
        self.send()
        stopped = self.connector.stop()
        self.assertNoResult(stopped)
        self.asked.pop().answer()
        self.successResultOf(stopped)
        self.clock.advance(10)
        self.assertEqual((self.asked, self.connector.room()), ([], 0))

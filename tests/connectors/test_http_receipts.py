"""Receipts and incoming texts of upstreams with an HTTP API: by webhooks, polled, or none."""

from __future__ import annotations

from twisted.internet.defer import succeed
from twisted.web.http_headers import Headers

from smsgw.config import Secret
from smsgw.interfaces import Awaited, WebhookRequest, WebhookResponse
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.protocols.http.client import WebResponse
from tests.connectors import port
from tests.connectors.test_http import Case


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
        self.assertEqual({one.raw for one in self.sink.reports}, {b"status 2, error 6"})

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
        self.sink.without_account = True
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
        port.resume(self.connector, awaited, self.sink.reported, self.sink.reports)
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

    def test_outcomes_first(self) -> None:
        """A receipt that arrives before the next turn of the reactor is reported after the outcomes."""
        self.make(**self.CALLED)
        said: list[str] = []
        self.patch(self.sink, "outcomes", lambda name, outcomes: said.append("outcomes"))
        self.patch(self.sink, "receipts", lambda name, reports: said.append("receipts") or succeed(None))
        self.send()
        self.asked.pop().result.callback(WebResponse(200, Headers({}), b"", True))
        self.connector.webhook(WebhookRequest("POST", "key=key&id=1.0&s=1", {}, b"", "127.0.0.1"))
        self.assertEqual(said, ["outcomes", "receipts"])
        self.clock.advance(0)
        self.assertEqual(said, ["outcomes", "receipts"])

"""The native HTTP API, over a real store and the real intake, in memory."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import (
    AccountSettings,
    AllowList,
    ConnectorSettings,
    Globs,
    HttpListenSettings,
    NumberSettings,
    RouteSettings,
    Secret,
    Way,
)
from smsgw.config.values import folded_network
from smsgw.frontends.api.fields import FIELDS, BadFields, read_message
from smsgw.frontends.api.resource import V1Resource
from smsgw.frontends.api.views import STATUSES, error
from smsgw.interfaces import MessageFilter
from smsgw.model.changes import Changes, Committed
from smsgw.model.errors import Refusal, Refused, StoreDown
from smsgw.model.message import CALLBACK, Message
from smsgw.protocols.http.responses import ResponseForm, ResponseForms
from smsgw.protocols.http.site import BoundedSite
from smsgw.services.accounts import Accounts
from smsgw.services.clock import CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.incoming import IncomingRouter
from smsgw.services.intake.intake import Intake
from smsgw.services.routing import Router
from smsgw.services.senders import Senders
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine
from tests.configured import configured
from tests.protocols.http.support import Client, Response, request
from tests.services.intake.support import NoOutbox, StoringDispatch

START = 1_574_087_003.0
KEY = "an-api-key"
BASIC = b"Authorization: Basic " + base64.b64encode(b"demo:secret")
OTHER = b"Authorization: Basic " + base64.b64encode(b"other:secret")
JSON = b"Content-Type: application/json"
NUMBER = "79161234567"


class V1TestCase(SynchronousTestCase):
    """One listener."""

    def setUp(self) -> None:
        """Two accounts, and a store."""
        self.clock = Clock()
        self.clock.advance(START)
        self.store = MessageStore(SqliteEngine(self.mktemp(), Inline()), "gw1", self.clock.seconds)
        self.store.open()
        self.addCleanup(self.store.close)
        common: dict[str, Any] = {
            "password": Secret("secret"),
            "allow_from": AllowList((folded_network("127.0.0.0/8"),)),
            "senders": ("DEMO", "SHOP"),
            "default_sender": "DEMO",
        }
        settings = [
            AccountSettings(
                name="demo",
                api_key_hash=Secret(sha256(KEY.encode()).hexdigest()),
                callback="https://h.example/secret-path?key=1",
                **common,
            ),
            AccountSettings(name="other", rate=2, **common),
            AccountSettings(name="away", **{**common, "allow_from": AllowList(())}),
        ]
        configuration = configured(
            *settings,
            ConnectorSettings(name="sim"),
            NumberSettings(name="4455", account="", calls=True),
            RouteSettings(name="r", to=Globs(("7*",)), connectors=(Way("sim"),)),
        )
        self.accounts = Accounts(configuration, self.clock, maybeDeferred)
        dispatch: Any = StoringDispatch(self.store)
        self.intake = Intake(
            configuration,
            self.store,
            self.accounts,
            Senders(configuration),
            Router(configuration),
            dispatch,
            CheckedClock(self.clock.seconds, self.clock.seconds),
            self.clock.seconds,
        )
        self.inbound = IncomingRouter(
            configuration, self.store, Commits(self.store, NoOutbox()), self.accounts, self.clock.seconds
        )
        listener = HttpListenSettings(name="api", endpoint="tcp:8080", dialect="standard")
        self.resource = V1Resource(
            listener, self.intake, self.store, self.accounts, self.cancel, self.inbound.expect, self.clock.seconds
        )
        self.client = Client(BoundedSite(self.resource, self.clock, listener, forms=ResponseForms(ResponseForm(error))))

    def cancel(self, wishes: Any) -> Deferred[list[list[Message] | Refused]]:
        """Make a gateway without dispatch."""

        def first(done: Committed) -> list[list[Message] | Refused]:
            return done.cancels

        return self.store.commit(Changes(cancels=list(wishes))).addCallback(first)

    def ask(self, method: str, path: str, value: Any = None, *lines: bytes, who: bytes = BASIC) -> Response:
        """One request."""
        body = None if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
        kind = () if body is None or any(b"Content-Type" in line for line in lines) else (JSON,)
        return self.client.ask(request(method.encode(), path.encode(), body, who, *kind, *lines))

    def send(self, *lines: bytes, who: bytes = BASIC, **fields: Any) -> Response:
        """One message."""
        return self.ask("POST", "/v1/messages", {"to": NUMBER, "text": "Hello", **fields}, *lines, who=who)

    def stored(self) -> list[Message]:
        """Return all messages of the store, newest first."""
        return self.successResultOf(self.store.list_messages(None, MessageFilter(), 0, 100))

    def problem(self, answer: Response, status: int, kind: str) -> Any:
        """Check that the response is this problem; return its value."""
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        value = answer.json
        self.assertEqual((value["status"], value["type"]), (status, f"/v1/problems/{kind}"))
        self.assertTrue(value["title"])
        return value


class SendingTests(V1TestCase):
    """POST /v1/messages."""

    def test_one(self) -> None:
        """One message is stored and the response has its id."""
        answer = self.send()
        self.assertEqual(
            (answer.status, answer.json), (201, {"id": 1, "state": "queued", "parts": 1, "repeated": False})
        )
        (message,) = self.stored()
        self.assertEqual((message.recipient, message.content.sender, message.content.text()), (NUMBER, "DEMO", "Hello"))
        self.assertEqual((message.path, message.content.labels), (CALLBACK, None))

    def test_everything(self) -> None:
        """All fields are stored."""
        sender: dict[str, Any] = {"from": "SHOP"}
        answer = self.send(
            to=int(NUMBER), **sender, text="Привет", callback="https://h.example/own", reference="order-1",
            comment="Note", priority=3, encoding="ucs2", send_at="2019-11-19T00:00:00+03:00", validity=60,
        )  # fmt: skip
        self.assertEqual((answer.status, answer.json["state"]), (201, "scheduled"))
        shown = self.ask("GET", "/v1/messages/1").json
        self.assertEqual(
            {name: shown[name] for name in ("to", "from", "text", "reference", "comment", "priority", "send_at")},
            {
                "to": NUMBER, "from": "SHOP", "text": "Привет", "reference": "order-1", "comment": "Note",
                "priority": 3, "send_at": "2019-11-18T21:00:00.000Z",
            },
        )  # fmt: skip
        self.assertEqual(
            (shown["valid_until"], shown["callback"]), ("2019-11-18T21:01:00.000Z", "https://h.example/own")
        )
        self.assertEqual((shown["state"], shown["final"], shown["sent_at"]), ("scheduled", False, None))

    def test_many(self) -> None:
        """A request with many messages gets a result for each, in order; an error of one does not affect the others."""
        wishes = [
            {"to": NUMBER, "text": "a"},
            {"to": "x", "text": "b"},
            {"to": NUMBER, "text": ""},
            {"to": NUMBER, "text": "c" * 400},
            7,
        ]
        answer = self.ask("POST", "/v1/messages", {"messages": wishes})
        self.assertEqual(answer.status, 200)
        answers = answer.json["messages"]
        self.assertEqual([one["status"] for one in answers], [201, 422, 422, 201, 422])
        self.assertEqual((answers[0]["id"], answers[3]["parts"]), (1, 3))
        self.assertEqual(answers[1]["problem"]["errors"][0]["pointer"], "/messages/1/to")
        self.assertEqual(answers[2]["problem"]["errors"][0]["pointer"], "/messages/2/text")
        self.assertEqual(len(self.stored()), 2)

    def test_bad_lists(self) -> None:
        """A list has 1 to 100 messages, without other fields beside it."""
        lists: list[Any] = [
            {"messages": []},
            {"messages": 7},
            {"messages": [{}] * 101},
            {"messages": [{}], "text": "a"},
        ]
        for value in lists:
            self.problem(self.ask("POST", "/v1/messages", value), 422, "bad-fields")

    def test_bad_fields(self) -> None:
        """All errors are reported together, with their paths."""
        unknown: dict[str, Any] = {"colour": "red", "a/b~": 1}
        answer = self.send(to=True, text=5, priority=4, encoding="utf-8", send_at="tomorrow", **unknown)
        value = self.problem(answer, 422, "bad-fields")
        self.assertEqual(
            {error["pointer"] for error in value["errors"]},
            {"/to", "/text", "/priority", "/encoding", "/send_at", "/colour", "/a~1b~0"},
        )
        value = self.problem(self.ask("POST", "/v1/messages", {}), 422, "bad-fields")
        self.assertEqual([error["pointer"] for error in value["errors"]], ["/to", "/text"])
        self.problem(self.send(validity=5, valid_until="2030-01-01T00:00:00Z"), 422, "bad-fields")
        for wrong in ("2019-13-01T00:00:00Z", "2019-01-01 00:00:00Z", "2019-01-01T00:00:00", "1969-01-01T00:00:00Z", 5):
            self.problem(self.send(valid_until=wrong), 422, "bad-fields")
        self.assertEqual(self.stored(), [])

    def test_f8_control_characters(self) -> None:
        """A control character in a text, a comment or a reference is refused with its place; blanks and ends of lines
        are taken."""
        for wrong in "\0\b\v\x0e\x1b\x1f\x7f\x80\x9f":
            for name in ("text", "comment", "reference"):
                value = self.problem(self.send(**{"text": "ab", name: f"ab{wrong}c"}), 422, "bad-fields")
                detail = f"character 3 is the control character U+{ord(wrong):04X}"
                told = [(one["pointer"], one["detail"].partition(";")[0]) for one in value["errors"]]
                self.assertEqual(told, [(f"/{name}", detail)])
        self.assertEqual(self.stored(), [])
        for fields in ({"text": "a\tb\r\nc\fd\xa0"}, {"comment": "a\tb\r\nc"}):
            self.assertEqual(self.send(**fields).status, 201)
        (error,) = self.problem(self.send(reference="a\nb"), 422, "bad-fields")["errors"]
        self.assertEqual(error["pointer"], "/reference")

    def test_refusals(self) -> None:
        """A refusal names the field that caused it."""
        refused: list[tuple[dict[str, Any], str, str]] = [
            ({"to": "12"}, "bad-recipient", "/to"),
            ({"to": "33123456789"}, "no-route", "/to"),
            ({"from": "OTHER"}, "sender-not-agreed", "/from"),
            ({"encoding": "gsm", "text": "日本"}, "bad-encoding", "/encoding"),
            ({"callback": "https://elsewhere.example/"}, "bad-callback", "/callback"),
            ({"callback": "http://user@h.example/"}, "bad-callback", "/callback"),
            ({"valid_until": "2019-01-01T00:00:00Z"}, "bad-validity", "/valid_until"),
        ]
        for fields, kind, pointer in refused:
            value = self.problem(self.send(**fields), 422, kind)
            self.assertEqual(value["errors"][0]["pointer"], pointer, kind)
        self.assertEqual(set(STATUSES), set(Refusal))

    def test_too_fast(self) -> None:
        """A request above the rate gets Retry-After."""
        answers = [self.send(who=OTHER) for _ in range(5)]
        self.problem(answers[-1], 429, "over-rate")
        self.assertEqual(answers[-1].headers["retry-after"], "1")

    def test_store_down(self) -> None:
        """A failure of the store is a server error."""
        self.patch(self.intake, "submit", lambda _: fail(StoreDown("closed")))
        answer = self.send()
        self.problem(answer, 503, "store-down")
        self.assertEqual(answer.headers["retry-after"], "5")

    def test_fault(self) -> None:
        """The response to an unexpected exception has no details."""
        self.patch(self.intake, "submit", lambda _: fail(ZeroDivisionError("inside")))
        self.assertNotIn(b"inside", self.send().body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda s: st.lists(s) | st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=5), s),
            max_leaves=10,
        )
    )
    def test_any_value(self, value: Any) -> None:
        """Any JSON value is accepted as a message or refused with the reason."""
        try:
            read_message(value)
        except BadFields as error:
            self.assertTrue(error.errors)


class IdempotencyTests(V1TestCase):
    """Idempotency keys."""

    def test_same(self) -> None:
        """The same key and message again sends no message and returns the first id."""
        first = self.send(idempotency_key="k")
        again = self.send(idempotency_key="k")
        self.assertEqual((first.status, again.status), (201, 200))
        self.assertEqual(again.json, {"id": first.json["id"], "repeated": True})
        self.assertEqual(len(self.stored()), 1)

    def test_other_message(self) -> None:
        """The same key with another message is refused."""
        self.send(idempotency_key="k")
        self.problem(self.send(idempotency_key="k", text="Other"), 409, "key-reused")
        self.assertEqual(len(self.stored()), 1)

    def test_other_account(self) -> None:
        """Keys of different accounts are independent."""
        self.send(idempotency_key="k")
        self.assertEqual(self.send(idempotency_key="k", who=OTHER).status, 201)

    def test_header(self) -> None:
        """The header protects a whole request of one or many messages."""
        header = b"Idempotency-Key: k"
        self.assertEqual([self.send(header).status for _ in range(2)], [201, 200])
        many = {"messages": [{"to": NUMBER, "text": "a"}, {"to": NUMBER, "text": "b"}]}
        for statuses in ([201, 201], [200, 200]):
            answers = self.ask("POST", "/v1/messages", many, header).json["messages"]
            self.assertEqual([one["status"] for one in answers], statuses)
        many["messages"][1]["text"] = "c"
        answers = self.ask("POST", "/v1/messages", many, header).json["messages"]
        self.assertEqual([one["status"] for one in answers], [409, 409])
        self.assertEqual(len(self.stored()), 3)

    def test_kinds_of_keys(self) -> None:
        """Keys of messages, of single requests and of list requests never collide, for any values."""
        many = {"messages": [{"to": NUMBER, "text": "Hello"}]}
        for key in ("k", "0:k", ":k", "one:k", "own:k"):
            header = b"Idempotency-Key: " + key.encode()
            self.assertEqual(self.send(idempotency_key=key).status, 201, key)
            self.assertEqual(self.send(header).status, 201, key)
            (answer,) = self.ask("POST", "/v1/messages", many, header).json["messages"]
            self.assertEqual(answer["status"], 201, key)
        self.assertEqual(len({message.id for message in self.stored()}), 15)

    def test_bad_keys(self) -> None:
        """A key is visible ASCII."""
        for line in (b"Idempotency-Key: a b", b"Idempotency-Key:", b"Idempotency-Key: " + b"k" * 129):
            self.problem(self.send(line), 400, "bad-key")
        self.problem(self.send(b"Idempotency-Key: a", b"Idempotency-Key: b"), 400, "bad-key")


class EnteringTests(V1TestCase):
    """Authentication and request forms."""

    def test_bearer(self) -> None:
        """An API key is a bearer token."""
        self.assertEqual(self.send(who=b"Authorization: Bearer " + KEY.encode()).status, 201)

    def test_without_account(self) -> None:
        """Without valid credentials a request has no effect; the response lists the schemes."""
        for line in (b"X: y", b"Authorization: Bearer wrong", b"Authorization: Bearer", b"Authorization: Digest x",
                     b"Authorization: Basic " + base64.b64encode(b"demo:wrong")):  # fmt: skip
            answer = self.send(who=line)
            self.assertEqual(answer.status, 401, line)
            self.assertIn("Bearer", answer.headers["www-authenticate"])
        away = self.send(who=b"Authorization: Basic " + base64.b64encode(b"away:secret"))
        self.problem(away, 403, "address-not-allowed")
        self.assertEqual(self.stored(), [])

    def test_bodies(self) -> None:
        """Bodies must be strict JSON in UTF-8 with this Content-Type."""
        for body in (
            b"",
            b"{",
            b'{"to":"1","to":"2"}',
            b"\xef\xbb\xbf{}",
            b'{"a":NaN}',
            b"[" * 100,
            b'"\xff"',
            b'{"a":1}x',
        ):
            self.problem(self.ask("POST", "/v1/messages", body), 400, "bad-json")
        for kind in (b"text/plain", b"application/x-www-form-urlencoded", b"application/json; charset=cp1251", b""):
            answer = self.ask("POST", "/v1/messages", {"to": NUMBER, "text": "a"}, b"Content-Type: " + kind)
            self.problem(answer, 415, "not-json")
        ok = self.ask(
            "POST", "/v1/messages", {"to": NUMBER, "text": "a"}, b"Content-Type: application/json; charset=UTF-8"
        )
        self.assertEqual(ok.status, 201)

    def test_methods(self) -> None:
        """The response to other methods lists the allowed ones; HEAD and OPTIONS work; other paths are not found."""
        answer = self.ask("PUT", "/v1/messages", {})
        self.problem(answer, 405, "method-not-allowed")
        self.assertEqual(answer.headers["allow"], "GET, HEAD, OPTIONS, POST")
        self.assertEqual(self.ask("OPTIONS", "/v1/messages").status, 204)
        for path in ("/v1", "/v1/", "/v1/Messages", "/v1/messages/1/x", "/v1//messages", "/v1/%6dessages", "/"):
            self.problem(self.ask("GET", path), 404, "not-found")

    def test_header_fields(self) -> None:
        """A response has the header fields that every API needs, and none of a provider's API."""
        expected = {"connection", "cache-control", "content-length", "content-type", "date"}
        self.assertEqual(set(self.ask("GET", "/v1/account").headers), expected)

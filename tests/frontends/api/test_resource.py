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
from smsgw.frontends.api.resource import SEARCHES, V1Resource
from smsgw.frontends.api.views import STATUSES, error
from smsgw.interfaces import MessageFilter
from smsgw.model.changes import Changes, Committed
from smsgw.model.errors import Refusal, Refused, StoreDown
from smsgw.model.message import CALLBACK, Incoming, IncomingKind, Message
from smsgw.protocols.http.errors import Errors
from smsgw.protocols.http.site import BoundedSite
from smsgw.services.accounts import Accounts
from smsgw.services.commits import Commits
from smsgw.services.incoming import IncomingRouter
from smsgw.services.intake.intake import Intake
from smsgw.services.routing import Router
from smsgw.services.senders import Senders
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine
from tests.configured import configured
from tests.protocols.http.support import Client, Heard, request
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
            self.clock.seconds,
            self.clock.seconds,
        )
        self.inbound = IncomingRouter(
            configuration, self.store, Commits(self.store, NoOutbox()), self.accounts, self.clock.seconds
        )
        listener = HttpListenSettings(name="api", endpoint="tcp:8080", dialect="standard")
        self.resource = V1Resource(
            listener, self.intake, self.store, self.accounts, self.cancel, self.inbound.expect, self.clock.seconds
        )
        self.client = Client(BoundedSite(self.resource, self.clock, listener, errors=Errors(error)))

    def cancel(self, wishes: Any) -> Deferred[list[list[Message] | Refused]]:
        """Make a gateway without dispatch."""

        def first(done: Committed) -> list[list[Message] | Refused]:
            return done.cancels

        return self.store.commit(Changes(cancels=list(wishes))).addCallback(first)

    def ask(self, method: str, path: str, value: Any = None, *lines: bytes, who: bytes = BASIC) -> Heard:
        """One request."""
        body = None if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
        kind = () if body is None or any(b"Content-Type" in line for line in lines) else (JSON,)
        return self.client.ask(request(method.encode(), path.encode(), body, who, *kind, *lines))

    def send(self, *lines: bytes, who: bytes = BASIC, **fields: Any) -> Heard:
        """One message."""
        return self.ask("POST", "/v1/messages", {"to": NUMBER, "text": "Hello", **fields}, *lines, who=who)

    def stored(self) -> list[Message]:
        """Return all messages of the store, newest first."""
        return self.successResultOf(self.store.list_messages(None, MessageFilter(), 0, 100))

    def problem(self, answer: Heard, status: int, kind: str) -> Any:
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

    def test_refusals(self) -> None:
        """A refusal names the field that caused it."""
        refused: list[tuple[dict[str, Any], str, str]] = [
            ({"to": "12"}, "bad-recipient", "/to"),
            ({"to": "33123456789"}, "no-route", "/to"),
            ({"from": "NOBODY"}, "sender-not-agreed", "/from"),
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


class LookingTests(V1TestCase):
    """Reading and cancelling."""

    def test_not_mine(self) -> None:
        """A message of another account gets the same response as an unknown id."""
        self.send()
        answers = [self.ask("GET", f"/v1/messages/{id}", who=OTHER) for id in ("1", "999", "x", "01", "9" * 30, "")]
        for answer in answers:
            self.problem(answer, 404, "unknown-id")
        self.assertEqual({answer.body for answer in answers}, {answers[0].body})
        self.problem(self.ask("DELETE", "/v1/messages/1", who=OTHER), 404, "unknown-id")

    def test_list(self) -> None:
        """The account's own messages are listed newest first, in pages, by all filters."""
        for number in range(5):
            self.send(reference=f"r{number}", comment=f"Note {number % 2}", to=f"7916123456{number}")
            self.clock.advance(10)
        self.send(who=OTHER)
        page = self.ask("GET", "/v1/messages?limit=2").json
        self.assertEqual(([one["id"] for one in page["messages"]], page["next"]), ([5, 4], "4"))
        page = self.ask("GET", "/v1/messages?limit=3&cursor=4").json
        self.assertEqual(([one["id"] for one in page["messages"]], page["next"]), ([3, 2, 1], "1"))
        page = self.ask("GET", "/v1/messages?cursor=1").json
        self.assertEqual(page, {"messages": [], "next": None})
        for query, ids in {
            "state=queued": [5, 4, 3, 2, 1],
            "state=delivered,expired": [],
            "to=%2B79161234562": [3],
            "comment=NOTE%201": [4, 2],
            "reference=r0": [1],
            "since=2019-11-18T14:23:40Z": [5, 4, 3],
            "until=2019-11-18T14:23:30Z": [1],
        }.items():
            found = self.ask("GET", f"/v1/messages?{query}")
            self.assertEqual([one["id"] for one in found.json["messages"]], ids, query)

    def test_searches_take_turns(self) -> None:
        """At most two lists are read at a time; further requests wait."""
        waiting: list[Deferred[list[Message]]] = []

        def listed(*wanted: object) -> Deferred[list[Message]]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(self.store, "list_messages", listed)
        clients = [Client(BoundedSite(self.resource, self.clock)) for _ in range(4)]
        for client in clients:
            client.send(request(b"GET", b"/v1/messages?comment=rare", None, BASIC))
        self.assertEqual(len(waiting), SEARCHES)
        waiting[0].callback([])
        self.assertEqual(len(waiting), SEARCHES + 1)
        waiting[1].errback(StoreDown("away"))
        self.assertEqual(len(waiting), 4)
        for search in waiting[2:]:
            search.callback([])
        self.assertEqual([len(client.heard()) for client in clients], [1] * 4)

    def test_bad_queries(self) -> None:
        """An invalid query is refused with the name of the parameter."""
        for query, name in {
            "colour=red": "colour", "limit=0": "limit", "limit=1001": "limit", "cursor=x": "cursor",
            "state=lost": "state", "to=abc": "to", "since=now": "since", "comment=": "comment",
        }.items():  # fmt: skip
            value = self.problem(self.ask("GET", f"/v1/messages?{query}"), 422, "bad-fields")
            self.assertEqual(value["errors"][0]["pointer"], name)
        for query in ("a=%ff", "limit=1&limit=2"):
            self.problem(self.ask("GET", f"/v1/messages?{query}"), 400, "bad-query")

    def test_cancel(self) -> None:
        """A message that was not sent can be cancelled, once."""
        self.send(send_at="2030-01-01T00:00:00Z")
        answer = self.ask("DELETE", "/v1/messages/1")
        self.assertEqual((answer.status, answer.json["state"]), (200, "cancelled"))
        self.problem(self.ask("DELETE", "/v1/messages/1"), 409, "already-final")

    def test_preview(self) -> None:
        """A preview shows the parts of a message and sends nothing."""
        answer = self.ask("POST", "/v1/preview", {"to": "8 916 123-45-67", "text": "Привет" * 20})
        self.assertEqual(
            answer.json,
            {"to": NUMBER, "encoding": "ucs2", "characters": 120, "parts": 2, "route": "sim", "price": None},
        )
        self.problem(self.ask("POST", "/v1/preview", {"to": "12", "text": "a"}), 422, "bad-recipient")
        self.assertEqual(self.stored(), [])

    def test_incoming(self) -> None:
        """The account's own incoming messages are listed newest first."""
        for account in ("demo", "other", "demo"):
            one = Incoming(self.store.next_id(), account, "", IncomingKind.MESSAGE, "sim", NUMBER, "4455", "да", START)
            self.store.commit(Changes(incoming=[one]))
        page = self.ask("GET", "/v1/incoming?limit=1").json
        self.assertEqual(page["next"], "3")
        self.assertEqual(
            page["incoming"],
            [{"id": 3, "type": "message", "from": NUMBER, "to": "4455", "text": "да", "answers": None, "seconds": 0,
              "at": "2019-11-18T14:23:23.000Z"}],
        )  # fmt: skip
        page = self.ask("GET", "/v1/incoming?cursor=3").json
        self.assertEqual([one["id"] for one in page["incoming"]], [1])

    def test_account(self) -> None:
        """The account's settings are shown without secrets."""
        answer = self.ask("GET", "/v1/account")
        self.assertEqual((answer.json["name"], answer.json["senders"]), ("demo", ["DEMO", "SHOP"]))
        for secret in (b"secret", b"hash", KEY.encode()):
            self.assertNotIn(secret, answer.body)

    def test_confirmation(self) -> None:
        """The response to a wait for a call has the number to call."""
        answer = self.ask("POST", "/v1/confirmations", {"phone": "+7 916 123-45-67"})
        self.assertEqual((answer.status, answer.json["phone"], answer.json["number"]), (201, NUMBER, "4455"))
        self.problem(self.ask("POST", "/v1/confirmations", {"phone": "12"}), 422, "bad-recipient")
        bad: list[Any] = [{}, {"phone": 7}, {"phone": NUMBER, "x": 1}, []]
        for value in bad:
            self.problem(self.ask("POST", "/v1/confirmations", value), 422, "bad-fields")

    def test_document(self) -> None:
        """The OpenAPI document needs no authentication."""
        answer = self.client.ask(request(b"GET", b"/v1/openapi.json", None))
        self.assertEqual((answer.status, answer.json["openapi"]), (200, "3.1.0"))


class EnteringTests(V1TestCase):
    """Authentication and request forms."""

    def test_bearer(self) -> None:
        """An API key is a bearer token."""
        self.assertEqual(self.send(who=b"Authorization: Bearer " + KEY.encode()).status, 201)

    def test_nobody(self) -> None:
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

    def test_request_id(self) -> None:
        """Each response has its own x-request-id."""
        ids = [self.ask("GET", "/v1/account").headers["x-request-id"] for _ in range(3)]
        self.assertEqual((len(set(ids)), {len(id) for id in ids}), (3, {32}))

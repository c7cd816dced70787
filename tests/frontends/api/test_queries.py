"""What the native API shows of messages, incoming texts and the account."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from smsgw.frontends.api.resource import SEARCHES
from smsgw.model.changes import Changes, PartEnded
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import Incoming, IncomingKind, Message
from smsgw.model.outcome import LastWords
from smsgw.protocols.http.site import BoundedSite
from tests.frontends.api.test_resource import BASIC, KEY, NUMBER, OTHER, START, V1TestCase
from tests.protocols.http.support import Client, request


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

    def test_u5_words(self) -> None:
        """A message that failed is shown with the meaning of its error and the upstream's words."""
        for number in range(3):
            self.send(to=f"7916123456{number}")
        first, second, _ = [self.store_found(id) for id in (1, 2, 3)]
        self.store.commit(Changes(claims=[first, second]))
        words = [LastWords(1, State.REJECTED, "sim", START, "550 no such user")]
        busy = [LastWords(1, State.QUEUED, "sim", START, "10.0.0.7 timed out")]
        ended = [PartEnded(first, 1, State.REJECTED, 255, words), PartEnded(second, 1, State.EXPIRED, 0, busy)]
        self.store.commit(Changes(outcomes=[*ended]))
        shown = self.ask("GET", "/v1/messages/1").json
        self.assertEqual(
            (shown["error"], shown["error_meaning"], shown["upstream_words"]),
            (255, "the operator gave no reason", "550 no such user"),
        )
        listed = self.ask("GET", "/v1/messages").json["messages"]
        self.assertEqual([one["upstream_words"] for one in listed], ["", "", "550 no such user"])

    def store_found(self, id: int) -> Message:
        """A stored message."""
        found: list[list[list[Message]]] = []
        self.store.find(None, [id]).addCallback(found.append)
        return found[0][0][0]

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
        self.assertEqual([len(client.responses()) for client in clients], [1] * 4)

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
            {"to": NUMBER, "encoding": "ucs2", "characters": 120, "parts": 2, "connector": "sim"},
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

"""The administrator's API."""

from __future__ import annotations

import json

from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from tests.frontends.admin.case import AdminTests
from tests.frontends.admin.support import NUMBER, PERSON, START, TEXT
from tests.protocols.http.support import request


class GuardTests(AdminTests):
    def test_names_of_this_machine(self) -> None:
        """A request with a host name of this machine, with any port, is answered."""
        for name in (b"localhost", b"localhost:8081", b"127.0.0.1:1", b"[::1]:8081", b"LOCALHOST"):
            answer = self.admin.client.ask(b"GET /health HTTP/1.1\r\nHost: %b\r\n\r\n" % name)
            self.assertEqual(answer.status, 200, name)

    def test_rebound_names(self) -> None:
        """A request with another host name is refused, so that DNS rebinding has no effect."""
        names = ("evil.example", "evil.example:8081", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]")
        for path in ("/health", "/metrics", "/messages", "/messages/1", "/parked"):
            for name in names:
                answer = self.admin.client.ask(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
                self.assertEqual((answer.status, answer.reason), (403, "wrong_host"), (path, name))

    def test_no_name(self) -> None:
        """A request of HTTP/1.0 without a Host is refused too."""
        answer = self.admin.client.ask(b"GET /health HTTP/1.0\r\n\r\n")
        self.assertEqual((answer.status, answer.reason), (403, "wrong_host"))

    def test_other_pages(self) -> None:
        """A page of another origin cannot cancel a message through a browser on this machine."""
        message = self.admin.accept()
        for origin in (b"http://evil.example", b"null", b"https://localhost", b"http://localhost:1"):
            answer = self.admin.post(f"/messages/{message.id}/cancel", b"Origin: " + origin)
            self.assertEqual((answer.status, answer.reason), (403, "wrong_origin"), origin)
        self.assertEqual(self.shown(f"/messages/{message.id}")["state"], "queued")

    def test_own_page(self) -> None:
        """A page of the listener's own origin may send requests."""
        self.assertEqual(self.admin.get("/health", b"Origin: http://localhost").status, 200)


class ClockTests(AdminTests):
    def test_f2_clock(self) -> None:
        """A jump of the wall clock is shown, and accepted once."""
        self.assertEqual(self.shown("/clock"), {"jump_seconds": 0.0})
        answer = self.admin.post("/clock/accept")
        self.assertEqual((answer.status, answer.json["reason"]), (409, "no_jump"))
        self.admin.jump = 108_000.0
        self.assertEqual(self.shown("/clock"), {"jump_seconds": 108_000.0})
        self.assertEqual(self.admin.post("/clock/accept").json, {"accepted_seconds": 108_000.0})
        self.assertEqual(self.shown("/clock"), {"jump_seconds": 0.0})


class HealthTests(AdminTests):
    def test_running(self) -> None:
        """The health of a working gateway is 200 with its state, the store, the connectors, the messages by state."""
        self.admin.accept()
        self.admin.accept(state=State.NO_MONEY)
        self.assertEqual(
            self.shown("/health"),
            {
                "state": "running",
                "accepting": True,
                "store": "up",
                "problems": [],
                "without_connector": {},
                "connectors": {"sim": {"up": True, "room": 7, "paused": False}},
                "messages": {"queued": 1, "no_money": 1},
            },
        )

    def test_starting_and_draining(self) -> None:
        """During the start and the drain the health is 503, for load balancers."""
        for state in ("starting", "draining", "stopped"):
            self.admin.state = state
            answer = self.admin.get("/health")
            self.assertEqual((answer.status, answer.json["state"]), (503, state))

    def test_f1_not_accepting(self) -> None:
        """While new messages are refused the health is 503, though the gateway runs."""
        self.admin.accepting = False
        answer = self.admin.get("/health")
        self.assertEqual((answer.status, answer.json["state"], answer.json["accepting"]), (503, "running", False))

    def test_u8_degraded(self) -> None:
        """A degraded gateway takes messages, so its health is 200."""
        self.admin.state = "degraded"
        self.assertEqual(self.shown("/health")["state"], "degraded")

    def test_store_down(self) -> None:
        """If the store fails, the health is an error; no traceback is logged."""
        for error in (StoreDown("full"), UnknownOutcome("disk")):
            self.admin.broken = error
            answer = self.admin.get("/health")
            self.assertEqual((answer.status, answer.json["store"], answer.json["messages"]), (503, "down", {}))
            self.assertEqual((answer.json["state"], answer.json["problems"]), ("down", ["the store does not answer"]))

    def test_store_hangs(self) -> None:
        """A store that does not answer counts as down after five seconds."""
        self.admin.silent = True
        self.admin.client.send(request(path=b"/health"))
        self.admin.clock.advance(4.9)
        self.assertEqual(self.admin.client.responses(), [])
        self.admin.clock.advance(0.2)
        (answer,) = self.admin.client.responses()
        self.assertEqual((answer.status, answer.json["store"]), (503, "down"))

    def test_head(self) -> None:
        """HEAD has the status of GET, for health probes."""
        self.admin.client.send(request(b"HEAD", b"/health"))
        self.assertTrue(self.admin.client.transport.value().startswith(b"HTTP/1.1 200 "))


class ListTests(AdminTests):
    def ids(self, path: str) -> list[int]:
        """The list of messages."""
        return [message["id"] for message in self.shown(path)["messages"]]

    def test_newest_first(self) -> None:
        """Messages are listed newest first, with the columns of a table."""
        self.admin.accept()
        self.admin.clock.advance(1.5)
        self.admin.accept(account="shop", state=State.REFUSED, error=249)
        first, second = self.shown("/messages")["messages"]
        self.assertEqual(
            first,
            {
                "id": 2,
                "batch": None,
                "account": "shop",
                "listener": "api",
                "path": "smpp",
                "connector": "sim",
                "state": "refused",
                "error": 249,
                "error_meaning": "the number is malformed",
                "from": "DEMO",
                "to": "7916...67",
                "text": {"encoding": "gsm", "octets": 17, "characters": 17},
                "parts": 1,
                "created": START + 1.5,
                "changed": START + 1.5,
            },
        )
        self.assertEqual(second["id"], 1)

    def test_filters(self) -> None:
        """A list can be filtered by account and by states."""
        self.admin.accept()
        self.admin.accept(account="shop")
        self.admin.accept(account="shop", state=State.REFUSED)
        self.admin.accept(account="shop", state=State.NO_MONEY)
        self.assertEqual(self.ids("/messages?account=shop"), [4, 3, 2])
        self.assertEqual(self.ids("/messages?state=refused,no_money"), [4, 3])
        self.assertEqual(self.ids("/messages?account=demo&state=refused"), [])

    def test_pages(self) -> None:
        """Following `before` shows every message exactly once."""
        for _ in range(5):
            self.admin.accept()
        seen: list[int] = []
        before: int | None = 0
        while before is not None:
            page = self.shown(f"/messages?limit=2&before={before}")
            seen += [message["id"] for message in page["messages"]]
            before = page["before"]
        self.assertEqual(seen, [5, 4, 3, 2, 1])

    def test_bad_queries(self) -> None:
        """An invalid query is refused with the reason in words."""
        for query, word in (
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("before=x", "before"),
            ("before=1000000000000000000", "before"),
            ("state=lost", "state"),
            ("text=maybe", "text"),
            ("colour=red", "colour"),
            ("limit=1&limit=2", "repeats"),
        ):
            answer = self.admin.get(f"/messages?{query}")
            self.assertEqual((answer.status, answer.json["reason"]), (400, "bad_query"), query)
            self.assertIn(word, answer.json["why"])

    def test_octets_that_are_no_text(self) -> None:
        """A query that is not UTF-8 is refused."""
        self.assertEqual(self.refused("/messages?account=%FF"), (400, "bad_query"))

    def test_store_down(self) -> None:
        """A failure of the store is 503, with whether the change failed or its outcome is unknown."""
        self.admin.broken = StoreDown("the disk is full")
        for path in ("/messages", "/messages/1", "/parked"):
            answer = self.admin.get(path)
            self.assertEqual((answer.status, answer.json["reason"]), (503, "store_down"))
            self.assertEqual(answer.json["why"], "the disk is full")
        self.admin.broken = UnknownOutcome("disk")
        answer = self.admin.post("/messages/1/cancel")
        self.assertEqual((answer.status, answer.json["reason"]), (503, "unknown_outcome"))


class CancelTests(AdminTests):
    def test_cancel(self) -> None:
        """A queued message of any account is cancelled; the second cancellation is refused."""
        self.admin.accept(account="shop")
        answer = self.admin.post("/messages/1/cancel")
        self.assertEqual((answer.status, answer.json), (200, {"cancelled": [1]}))
        self.assertEqual(self.shown("/messages/1")["state"], "cancelled")
        answer = self.admin.post("/messages/1/cancel")
        self.assertEqual((answer.status, answer.json["reason"]), (409, "already_final"))

    def test_unknown(self) -> None:
        """An unknown message cannot be cancelled."""
        answer = self.admin.post("/messages/1/cancel")
        self.assertEqual((answer.status, answer.json["reason"]), (404, "not_found"))

    def test_only_by_post(self) -> None:
        """GET cancels nothing."""
        self.admin.accept()
        self.assertEqual(self.refused("/messages/1/cancel"), (405, "method_not_allowed"))
        self.assertEqual(self.shown("/messages/1")["state"], "queued")


class ParkedTests(AdminTests):
    def test_parked(self) -> None:
        """Parked receipts are listed, oldest first, without words that may quote a text."""
        self.admin.reported("r1", raw=b"id:r1 stat:DELIVRD text:" + TEXT.encode())
        self.admin.clock.advance(1)
        self.admin.reported("r2", State.EXPIRED)
        first, second = self.shown("/parked")["parked"]
        self.assertEqual(
            first,
            {"connector": "sim", "remote_id": "r1", "state": "delivered", "error": 0, "at": START, "since": START,
             "octets": 24 + len(TEXT)},
        )
        self.assertEqual((second["remote_id"], second["state"]), ("r2", "expired"))
        self.assertEqual([one["remote_id"] for one in self.shown("/parked?limit=1")["parked"]], ["r1"])
        self.assertIn(TEXT, self.shown("/parked?text=1")["parked"][0]["words"])


class PrivacyTests(AdminTests):
    PATHS = ("/health", "/metrics", "/messages", "/messages?account=demo&state=enroute", "/messages/1", "/messages/2",
             "/messages/3", "/messages/4", "/parked")

    def setUp(self) -> None:
        """Messages with known number, text and personal sender; one is of a batch."""
        super().setUp()
        message = self.admin.accept(sender=PERSON, claimed=True)
        self.admin.sent(message, "abc")
        batch = self.admin.store.next_id()
        self.admin.accept(batch=batch)
        self.admin.accept(sender=f"+{PERSON}", state=State.REFUSED, error=22)
        self.admin.reported("early", raw=f"id:early text:{TEXT}".encode())

    def test_nothing_private_by_default(self) -> None:
        """No response has whole numbers or texts unless the query asks for them."""
        for path in self.PATHS:
            answer = self.admin.get(path)
            self.assertEqual(answer.status, 200, path)
            for secret in (NUMBER, PERSON, TEXT, TEXT[:8]):
                self.assertNotIn(secret.encode(), answer.body, path)

    def test_private_when_asked(self) -> None:
        """`text=1` shows numbers and text as they are."""
        details = self.shown("/messages/1?text=1")
        self.assertEqual((details["from"], details["to"], details["text"]["text"]), (PERSON, NUMBER, TEXT))
        listed = self.shown("/messages?text=1")["messages"]
        self.assertEqual({message["to"] for message in listed}, {NUMBER})
        batch = self.shown("/messages/2?text=1")["messages"]
        self.assertEqual([message["text"]["text"] for message in batch], [TEXT])

    def test_public_senders(self) -> None:
        """Names and short codes of senders are shown."""
        self.admin.accept(sender="AVARIA")
        self.admin.accept(sender="7916")
        self.assertEqual([one["from"] for one in self.shown("/messages?limit=2")["messages"]], ["7916", "AVARIA"])

    def test_hostile_text(self) -> None:
        """Control characters of a text arrive escaped."""
        self.admin.accept(parts=(b"\x0a\x0d",), sender="DEMO")
        answer = self.admin.get("/messages?limit=1&text=1")
        self.assertNotIn(b"\n", answer.body)
        self.assertEqual(json.loads(answer.body)["messages"][0]["text"]["text"], "\n\r")

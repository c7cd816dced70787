"""The admin listener: incoming messages, dead letters, replay, simulation."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import fail
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.errors import StoreDown
from smsgw.model.message import CALLBACK, Incoming, IncomingKind
from tests.frontends.admin.support import NUMBER, PERSON, START, TEXT, Admin


class EventTests(SynchronousTestCase):
    """One admin listener over a real store."""

    def setUp(self) -> None:
        """An empty store."""
        self.admin = Admin(self.mktemp())
        self.addCleanup(self.admin.store.close)

    def incoming(self, account: str = "demo") -> Incoming:
        """A subscriber's message."""
        kind = IncomingKind.MESSAGE
        incoming = Incoming(self.admin.store.next_id(), account, CALLBACK, kind, "sim", PERSON, "4455", TEXT, START)
        self.admin.commit(incoming=[incoming])
        return incoming

    def given_up(self) -> list[int]:
        """Two dead letters."""
        ids = [self.incoming().id, self.incoming("other").id]
        self.successResultOf(self.admin.store.purge(0, START + 1, 10))
        return ids

    def post(self, path: str, **wish: Any) -> Any:
        """Return the status and the value of the response."""
        answer = self.admin.post(path, body=json.dumps(wish).encode())
        return answer.status, answer.json

    def test_incoming(self) -> None:
        """Incoming messages are listed newest first, in pages, by account, with shortened numbers and without texts."""
        ids = [self.incoming().id, self.incoming("other").id, self.incoming().id]
        answer = self.admin.get("/incoming?limit=2").json
        self.assertEqual([one["id"] for one in answer["incoming"]], ids[:0:-1])
        self.assertEqual(answer["before"], ids[1])
        self.assertNotIn(PERSON, json.dumps(answer))
        self.assertNotIn(TEXT, json.dumps(answer))
        answer = self.admin.get(f"/incoming?account=demo&before={ids[2]}&text=1").json
        self.assertEqual([one["id"] for one in answer["incoming"]], ids[:1])
        self.assertIsNone(answer["before"])
        self.assertIn(PERSON, json.dumps(answer))
        self.assertIn(TEXT, json.dumps(answer))

    def test_events(self) -> None:
        """Dead letters are listed in order, in pages."""
        ids = self.given_up()
        answer = self.admin.get("/events?limit=1").json
        self.assertEqual(([one["message"] for one in answer["events"]], answer["after"]), (ids[:1], f"{ids[0]}.3"))
        answer = self.admin.get(f"/events?after={answer['after']}").json
        self.assertEqual(([one["message"] for one in answer["events"]], answer["after"]), (ids[1:], None))
        self.assertEqual(self.admin.get("/events?account=unknown").json, {"after": None, "events": []})
        for wrong in ("after=7", "after=a.1", "before=1"):
            self.assertEqual(self.admin.get(f"/events?{wrong}").status, 400, wrong)

    def test_replay(self) -> None:
        """Dead letters are replayed by ids, by account, or all of them."""
        ids = self.given_up()
        self.assertEqual(self.post("/replay", ids=ids, account="demo"), (200, {"more": False, "replayed": ids[:1]}))
        self.assertEqual(self.post("/replay", all=True), (200, {"more": False, "replayed": ids[1:]}))
        self.assertEqual(self.post("/replay", all=True), (200, {"more": False, "replayed": []}))
        (event,) = self.successResultOf(self.admin.store.events("demo", CALLBACK, (0, 0), 10))
        self.assertEqual(event.message.id, ids[0])

    def test_bad_wishes(self) -> None:
        """The response to an invalid body has the error, and the request has no effect."""
        for path, wish, word in (
            ("/replay", {}, "either"),
            ("/replay", {"ids": [1], "all": True}, "either"),
            ("/replay", {"ids": []}, "ids"),
            ("/replay", {"ids": [0]}, "ids"),
            ("/replay", {"ids": ["1"]}, "ids"),
            ("/replay", {"all": True, "account": 7}, "account"),
            ("/replay", {"all": True, "who": 7}, "who"),
            ("/simulate", {}, "kind"),
            ("/simulate", {"kind": "letter"}, "kind"),
            ("/simulate", {"kind": "message", "from": PERSON, "to": NUMBER}, "text"),
            ("/simulate", {"kind": "message", "from": "x", "to": NUMBER, "text": "a"}, "from"),
            ("/simulate", {"kind": "message", "from": PERSON, "to": "", "text": "a"}, "to"),
            ("/simulate", {"kind": "call", "from": PERSON, "to": NUMBER, "text": "a"}, "text"),
            ("/simulate", {"kind": "keys", "keys": "1"}, "answers"),
            ("/simulate", {"kind": "keys", "keys": "x", "answers": 1}, "keys"),
            ("/simulate", {"kind": "call", "from": PERSON, "to": NUMBER, "connector": 1}, "connector"),
        ):
            status, answer = self.post(path, **wish)
            self.assertEqual((status, answer["reason"]), (400, "bad_body"), wish)
            self.assertIn(word, answer["why"], wish)
        answer = self.admin.post("/replay", body=b"[1")
        self.assertEqual((answer.status, answer.json["reason"]), (400, "bad_body"))
        self.assertEqual(self.admin.made_up, [])

    def test_simulate(self) -> None:
        """A simulated item is passed to the connector, and the response has the stored result."""
        wish = {"from": PERSON, "to": "4455", "text": TEXT, "answers": 7, "connector": "sim"}
        status, _ = self.post("/simulate", kind="message", **wish)
        ((connector, made),) = self.admin.made_up
        self.assertEqual((status, connector, made.kind), (200, "sim", IncomingKind.MESSAGE))
        self.assertEqual((made.sender, made.recipient, made.text, made.answers), (PERSON, "4455", TEXT, 7))
        self.post("/simulate", kind="keys", answers=7, keys="12#", seconds=5)
        connector, made = self.admin.made_up[1]
        self.assertEqual((connector, made.kind, made.text, made.seconds), ("", IncomingKind.KEYS, "12#", 5))

    def test_simulated_without_account(self) -> None:
        """If no account gets the item, the response says so."""
        self.admin.without_account = True
        status, answer = self.post("/simulate", kind="call", **{"from": PERSON, "to": NUMBER})
        self.assertEqual((status, answer["reason"]), (409, "no_route"))

    def test_store_down(self) -> None:
        """A failure of the store is 503."""
        self.admin.broken = StoreDown("closed")
        self.assertEqual(self.admin.get("/incoming").status, 503)
        self.assertEqual(self.admin.get("/events").status, 503)
        self.patch(self.admin.front, "_replay", lambda *_: fail(StoreDown("closed")))
        self.assertEqual(self.post("/replay", all=True)[0], 503)

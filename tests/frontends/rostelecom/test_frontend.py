"""The front end of the Rostelecom API with real server, accounts, senders, routes and intake, and a fake store."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smsgw.config import (
    AccountSettings,
    AllowList,
    ConfigErrors,
    ConnectorSettings,
    Globs,
    HttpListenSettings,
    OperatorSettings,
    RouteSettings,
    Secret,
    SenderSettings,
    Way,
    parse,
)
from smsgw.config.values import folded_network
from smsgw.dialects.rostelecom import AS_STATES, REASONS, SEND_MESSAGE, WORDS
from smsgw.frontends.rostelecom import RESPONSES
from smsgw.frontends.rostelecom.frontend import RostelecomFrontend, shown
from smsgw.interfaces import IJsonDelegate
from smsgw.model.changes import Changes, Committed
from smsgw.model.content import Content
from smsgw.model.errors import Refusal, StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.plugins import dialects
from smsgw.protocols.http.responses import ResponseForms
from smsgw.protocols.http.site import BoundedSite
from smsgw.services.accounts import Accounts
from smsgw.services.clock import CheckedClock
from smsgw.services.intake.intake import Intake
from smsgw.services.routing import Router
from smsgw.services.senders import Senders
from tests.configured import configured
from tests.protocols.http.support import Client, Response, request
from tests.services.intake.support import StoringDispatch

SEND = b"/api/v2/send_message"
SHOW = SEND + b"/message-id-"
BASIC = b"Authorization: Basic " + b64encode(b"demo:secret")
OTHER = b"Authorization: Basic " + b64encode(b"other:secret")

# Design, section 6, column "HTTP v2"; None: accepted.
COLUMN: dict[Refusal, tuple[int, str] | None] = {
    Refusal.WRONG_CREDENTIALS: (403, "wrong_credentials"),
    Refusal.ADDRESS_NOT_ALLOWED: (403, "wrong_ip"),
    Refusal.NOT_ALLOWED: (403, "wrong_credentials"),
    Refusal.TOO_MANY_CHECKS: (200, "system_error"),
    Refusal.UNKNOWN_ID: (200, "transaction_not_found"),
    Refusal.BAD_RECIPIENT: (200, "invalid_field_msisdn"),
    Refusal.BAD_SENDER: (200, "invalid_field_shortcode"),
    Refusal.SENDER_NOT_AGREED: (200, "invalid_field_shortcode"),
    Refusal.SENDER_NOT_AGREED_FOR_OPERATOR: (200, "invalid_source_address"),
    Refusal.EMPTY_TEXT: (200, "invalid_field_text"),
    Refusal.TEXT_TOO_LONG: (200, "invalid_field_text"),
    Refusal.BAD_ENCODING: (200, "invalid_request_body"),
    Refusal.NO_ROUTE: None,
    Refusal.OVER_RATE: (200, "system_error"),
    Refusal.QUEUE_FULL: (200, "system_error"),
    Refusal.STORE_DOWN: (200, "system_error"),
    Refusal.CANNOT_REGISTER: (200, "system_error"),
    Refusal.UPSTREAM_DOWN: (200, "system_error"),
}


def message(state: State, error: int = 0, parts: int = 1) -> Message:
    """A stored message in a given state."""
    content = Content("DEMO", 5, 0, 1, 1, 0, 0, b"x" * parts)
    return Message(
        33, "demo", "", "sim", state, 0, False, 0, 0, parts, 0.0, 1574087003.9, 1574087004.2, 0.0, error, "79377778686",
        0, content,
    )  # fmt: skip


class Shelf:
    """A fake store.

    :ivar failure: the error of commits and look-ups. :ivar held: commits wait here for the test if it is a list.
    """

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}
        self.failure: Exception | None = None
        self.held: list[Deferred[None]] | None = None
        self.last = 32

    def next_id(self) -> int:
        """Count up."""
        self.last += 1
        return self.last

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """Store accepted messages."""
        if self.failure is not None:
            return fail(self.failure)
        for each in changes.accepts:
            self.messages[each.id] = each
        committed = Committed([], [], [], [])
        if self.held is None:
            return succeed(committed)
        self.held.append(Deferred())
        return self.held[-1].addCallback(lambda _: committed)

    def find(self, account: str | None, ids: Sequence[int]) -> Deferred[list[list[Message]]]:
        """Find stored messages of the account; 900 is a batch of all."""
        if self.failure is not None:
            return fail(self.failure)
        own = [each for each in self.messages.values() if each.account == account]
        return succeed([own if id == 900 else [each for each in own if each.id == id] for id in ids])


class HttpTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.shelf = Shelf()
        loopback = AllowList((folded_network("127.0.0.0/8"), folded_network("::1")))
        common: dict[str, Any] = {"password": Secret("secret"), "allow_from": loopback}
        settings = [
            AccountSettings(name="demo", senders=("DEMO", "AVARIA", "1234"), rate=0, **common),
            AccountSettings(name="other", senders=("*",), rate=2, **common),
            AccountSettings(name="shut", enabled=False, **common),
            AccountSettings(name="smpponly", protocols=("smpp",), **common),
        ]
        configuration = configured(
            *settings,
            SenderSettings(name="AVARIA", operators=("mts",)),
            OperatorSettings(name="mts", numbers=Globs(("7910*", "7911*"))),
            ConnectorSettings(name="sim"),
            RouteSettings(name="russia", to=Globs(("7*",)), connectors=(Way("sim"),)),
        )
        self.accounts = Accounts(configuration, self.clock, maybeDeferred)
        self.senders, self.router = Senders(configuration), Router(configuration)
        shelf: Any = self.shelf
        dispatch: Any = StoringDispatch(shelf)
        intake = Intake(
            configuration,
            shelf,
            self.accounts,
            self.senders,
            self.router,
            dispatch,
            CheckedClock(lambda: 1574087003.5, lambda: 0.0),
            self.clock.seconds,
        )
        self.settings = HttpListenSettings(name="api", endpoint="tcp:8080:interface=127.0.0.1", dialect="rostelecom")
        self.frontend = RostelecomFrontend(
            configuration, self.settings, SEND_MESSAGE, intake, shelf, self.accounts, self.senders
        )
        self.site = BoundedSite(self.frontend.resource, self.clock, self.settings, forms=ResponseForms(RESPONSES))
        self.client = Client(self.site)

    def post(self, line: bytes = BASIC, **fields: object) -> Response:
        """Send a valid message with some fields replaced."""
        body = {"msisdn": 79104567890, "shortcode": "DEMO", "text": "Hello", **fields}
        return self.client.ask(request(b"POST", SEND, json.dumps(body).encode(), line))

    def get(self, id: object, line: bytes = BASIC) -> Response:
        """Query a message."""
        return self.client.ask(request(b"GET", SHOW + str(id).encode(), None, line))

    def assert_no(self, answer: Response, reason: str, status: int = 200) -> None:
        """Check that the response is this error and no message was stored."""
        self.assertEqual((answer.status, answer.reason), (status, reason))
        self.assertEqual(self.shelf.messages, {})


class Sending(HttpTestCase):
    def test_interface(self) -> None:
        """The front end provides the delegate's interface."""
        verifyObject(IJsonDelegate, self.frontend)

    def test_sent(self) -> None:
        """A message is stored unchanged, and the response has its id. (004-177), (004-191)"""
        answer = self.post(text="Добрый день")
        self.assertEqual(answer.json, {"result": {"uid": "message-id-33"}, "status": "ok"})
        stored = self.shelf.messages[33]
        self.assertEqual((stored.account, stored.recipient, stored.connector), ("demo", "79104567890", "sim"))
        self.assertEqual((stored.content.sender, stored.content.text()), ("DEMO", "Добрый день"))
        self.assertEqual((stored.listener, stored.login), ("api", "demo"))

    def test_after_the_commit(self) -> None:
        """The response waits for the commit; if it fails, the response does not say what was stored. (004-187)"""
        self.shelf.held = []
        body = json.dumps({"msisdn": 79104567890, "shortcode": "DEMO", "text": "Hello"}).encode()
        self.client.send(request(b"POST", SEND, body, BASIC) * 2)
        self.assertEqual(self.client.responses(), [])
        self.shelf.held[0].callback(None)
        self.assertEqual([answer.json["status"] for answer in self.client.responses()], ["ok"])
        self.shelf.held[1].errback(UnknownOutcome("the disk is full"))
        self.assertEqual([answer.reason for answer in self.client.responses()], ["system_error"])

    def test_agreed_senders(self) -> None:
        """Any agreed sender of the account may be used, no other. (004-189)"""
        for shortcode in ("DEMO", "AVARIA", "1234", "demo"):
            self.assertEqual(self.post(shortcode=shortcode).json["status"], "ok")
        self.shelf.messages.clear()
        for shortcode in ("OTHER", "x" * 12, "Имя", "79161234567"):
            self.assert_no(self.post(shortcode=shortcode), "invalid_field_shortcode")

    def test_operators(self) -> None:
        """A sender agreed for some operators reaches only their numbers. (004-190)"""
        self.assert_no(self.post(shortcode="AVARIA", msisdn=79031234567), "invalid_source_address")
        self.assertEqual(self.post(shortcode="AVARIA", msisdn=79111234567).json["status"], "ok")

    def test_empty_text(self) -> None:
        """Empty and null text is refused. (004-188)"""
        for text in ("", None):
            self.assert_no(self.post(text=text), "invalid_field_text")

    def test_order(self) -> None:
        """The first error in this order is reported: number, sender, operator, text. (004-186)"""
        wrong: dict[str, Any] = {"msisdn": "8", "shortcode": "OTHER", "text": ""}
        self.assert_no(self.post(**wrong), "invalid_field_msisdn")
        wrong["msisdn"] = "79031234567"
        self.assert_no(self.post(**wrong), "invalid_field_shortcode")
        wrong["shortcode"] = "AVARIA"
        self.assert_no(self.post(**wrong), "invalid_source_address")
        wrong["msisdn"] = "79101234567"
        self.assert_no(self.post(**wrong), "invalid_field_text")

    def test_long_texts(self) -> None:
        """A long text goes in parts; one beyond 255 of them is refused."""
        self.assertEqual(self.post(text="x" * 400).json["status"], "ok")
        self.assertEqual(self.get(33).json["result"]["pdu_count"], 3)
        self.shelf.messages.clear()
        self.assert_no(self.post(text="x" * 40_000), "invalid_field_text")

    def test_no_route(self) -> None:
        """A number that no route leads to is accepted; its status says that it was rejected."""
        answer = self.post(msisdn=375291234567)
        self.assertEqual(answer.json["status"], "ok")
        result = self.get(33).json["result"]
        self.assertEqual(result["status"], "rejected")
        self.assertGreater(result["error_code"], 0)

    def test_rate(self) -> None:
        """Over the account's rate the answer is a system error. (004-187)"""
        answers = [self.post(OTHER).json for _ in range(4)]
        self.assertEqual(answers[0]["status"], "ok")
        self.assertEqual(answers[-1], {"reason": "system_error", "status": "error"})

    def test_store_down(self) -> None:
        """A failing store is a system error, without a traceback. (004-187)"""
        for self.shelf.failure in (StoreDown(), UnknownOutcome()):
            self.assert_no(self.post(), "system_error")
            self.assert_no(self.get(33), "system_error")

    def test_fault(self) -> None:
        """An unexpected exception is a system error, with a traceback in the log. (004-187)"""
        self.shelf.failure = ZeroDivisionError()
        self.assert_no(self.post(), "system_error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class Access(HttpTestCase):
    def test_wrong_credentials(self) -> None:
        """A wrong login and a wrong password get the same response. (004-182)"""
        for pair in (b"demo:wrong", b"unknown:secret", b"demo:", b":secret"):
            self.assert_no(self.post(b"Authorization: Basic " + b64encode(pair)), "wrong_credentials", 403)

    def test_wrong_address(self) -> None:
        """An address outside the account's list gets its own error, but only with the right password. (004-183)"""
        self.client = Client(self.site, "192.0.2.7")
        self.assert_no(self.post(), "wrong_ip", 403)
        self.assert_no(self.get(33), "wrong_ip", 403)
        self.assert_no(self.post(b"Authorization: Basic " + b64encode(b"demo:x")), "wrong_credentials", 403)
        self.client = Client(self.site, "::ffff:127.0.0.1")
        self.assertEqual(self.post().json["status"], "ok")

    def test_fifteen_addresses(self) -> None:
        """An account may have fifteen addresses, not sixteen. (004-184)"""
        text = (
            "[listen api]\nprotocol = http\nendpoint = tcp:8080:interface=127.0.0.1\ndialect = rostelecom\n"
            "[account demo]\npassword = x\nallow_from = {}\n"
        )
        addresses = [f"192.0.2.{number}" for number in range(1, 17)]
        settings = parse(text.format(", ".join(addresses[:15])), "gw.ini", {}, dialects())
        self.assertTrue(settings.accounts["demo"].allow_from.allows("192.0.2.15"))
        error = self.assertRaises(ConfigErrors, parse, text.format(", ".join(addresses)), "gw.ini", {}, dialects())
        self.assertEqual([problem.key for problem in error.problems], ["allow_from"])

    def test_doors(self) -> None:
        """An account that is disabled, or may not use HTTP, gets the response to a wrong password."""
        for pair in (b"shut:secret", b"smpponly:secret"):
            self.assert_no(self.post(b"Authorization: Basic " + b64encode(pair)), "wrong_credentials", 403)

    def test_body(self) -> None:
        """The body may contain the credentials. (004-180)"""
        answer = self.post(b"X-Nothing: 0", **{"login": "demo", "pass": "secret"})
        self.assertEqual(answer.json["status"], "ok")

    def test_gone_meanwhile(self) -> None:
        """An account that is removed between its login and its message is refused."""
        self.successResultOf(self.frontend.login(b"demo", b"secret", "127.0.0.1"))
        self.accounts.apply(configured())
        denied: Any = self.successResultOf(self.frontend.submit("demo", "79104567890", "DEMO", "x"))
        self.assertEqual((denied.status, denied.reason), (403, "wrong_credentials"))


class Showing(HttpTestCase):
    def test_all_fields(self) -> None:
        """The status has times and number as numbers, and the parts. (004-194), (004-195)"""
        self.post(text="Добрый день")
        self.assertEqual(
            self.get(33).json,
            {
                "result": {
                    "created_at": 1574087003,
                    "msisdn": 79104567890,
                    "pdu_count": 1,
                    "status": "awaiting_report",
                    "text": "Добрый день",
                    "uid": "message-id-33",
                    "updated_at": 1574087003,
                },
                "status": "ok",
            },
        )

    def test_unknown(self) -> None:
        """Unknown ids, those of another account or of a batch, and too long ids are not found."""
        self.post()
        self.post(OTHER)
        self.assertEqual(self.get(34, OTHER).status, 200)
        answers = {self.get(id).body for id in (34, 35, "033", "0", "VvkmLHkfhCX9", "9" * 40, 900)}
        self.assertEqual(answers, {b'{"reason":"transaction_not_found","status":"error"}'})

    def test_words(self) -> None:
        """Each state has its word, rejected alone has an error_code. (004-196), (004-197, in part)"""
        self.assertEqual(set(WORDS), set(State))
        self.assertEqual(
            set(WORDS.values()), {"awaiting_report", "delivered", "failed", "insufficient_balance", "rejected"}
        )
        for state, word in (
            (State.QUEUED, "awaiting_report"),
            (State.ENROUTE, "awaiting_report"),
            (State.DELIVERED, "delivered"),
            (State.EXPIRED, "failed"),
            (State.UNDELIVERABLE, "failed"),
            (State.REJECTED, "rejected"),
            (State.REFUSED, "rejected"),
            (State.NO_MONEY, "insufficient_balance"),
            (State.UNKNOWN, "failed"),
        ):
            status = shown(message(state, error=12), SEND_MESSAGE)
            self.assertEqual((status.status, status.error_code), (word, 12 if word == "rejected" else None))
        self.assertEqual(shown(message(State.REJECTED), SEND_MESSAGE).error_code, 255)

    def test_times(self) -> None:
        """Times are whole seconds: of the acceptance, and of the last change."""
        status = shown(message(State.DELIVERED, parts=3), SEND_MESSAGE)
        self.assertEqual((status.created_at, status.updated_at, status.pdu_count), (1574087003, 1574087004, 3))


class Tables(SynchronousTestCase):
    def test_as_designed(self) -> None:
        """The table has the expected words. (004-187)"""
        for refusal, expected in COLUMN.items():
            reason, status = REASONS[refusal]
            self.assertEqual((status, reason), expected or (200, "system_error"), refusal)

    def test_status(self) -> None:
        """Only wrong credentials have a status of their own. (004-186)"""
        self.assertEqual({status for _, status in REASONS.values()}, {200, 403})

    def test_reported_as_states(self) -> None:
        """A refusal that becomes a state is reported by the final state."""
        self.assertEqual(AS_STATES, {refusal for refusal, row in COLUMN.items() if row is None})


class Bounds(HttpTestCase):
    def test_shut_down(self) -> None:
        """Draining waits for the message that is being stored, and sends its response."""
        self.shelf.held = []
        body = json.dumps({"msisdn": 79104567890, "shortcode": "DEMO", "text": "Hello"}).encode()
        self.client.send(request(b"POST", SEND, body, BASIC))
        gone = self.site.shut_down(within=15)
        self.assertNoResult(gone)
        self.shelf.held[0].callback(None)
        (answer,) = self.client.responses()
        self.assertEqual((answer.json["status"], answer.headers["connection"]), ("ok", "close"))
        self.client.hang_up()
        self.successResultOf(gone)

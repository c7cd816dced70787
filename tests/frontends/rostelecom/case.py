"""What tests of the resource share."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from smsgw.frontends.rostelecom.resource import RESPONSES, MessageResource
from smsgw.interfaces import ApiError, IJsonDelegate, MessageStatus
from smsgw.protocols.http.jsonresource import BoundedSite
from smsgw.protocols.http.responses import ResponseForms
from tests.protocols.http.support import BASIC, Client, Response, request

SEND = b"/api/v2/send_message"
SHOW = SEND + b"/message-id-"
FIELDS: dict[str, Any] = {"msisdn": 79270000001, "shortcode": "DEMO", "text": "test"}


@implementer(IJsonDelegate)
class Recorder:
    """A delegate with one account (demo, secret) and one message (VvkmLHkfhCX9); it records its calls.

    :ivar answer: the result of every submission. :ivar failure: the error of submissions and look-ups.
    """

    def __init__(self) -> None:
        self.logins: list[tuple[bytes, bytes, str]] = []
        self.submitted: list[tuple[str, str, str, str]] = []
        self.answer: str | ApiError = "VvkmLHkfhCX9"
        self.shown: MessageStatus | ApiError = MessageStatus(
            1574087003, 1574087004, "79377778686", None, "delivered", "Дом"
        )
        self.asked: list[tuple[str, str]] = []
        self.failure: Exception | None = None
        self.waiting: list[Deferred[str | ApiError]] | None = None

    def login(self, login: bytes, password: bytes, peer: str) -> Deferred[str | ApiError]:
        self.logins.append((login, password, peer))
        right = (login, password) == (b"demo", b"secret")
        return succeed("demo" if right else ApiError("wrong_credentials", 403))

    def submit(self, account: str, msisdn: str, shortcode: str, text: str) -> Deferred[str | ApiError]:
        self.submitted.append((account, msisdn, shortcode, text))
        if self.failure is not None:
            return fail(self.failure)
        if self.waiting is None:
            return succeed(self.answer)
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def status(self, account: str, id: str) -> Deferred[MessageStatus | ApiError]:
        self.asked.append((account, id))
        if self.failure is not None:
            return fail(self.failure)
        return succeed(self.shown if id == "VvkmLHkfhCX9" else ApiError("transaction_not_found"))


class ApiTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.delegate = Recorder()
        site = BoundedSite(MessageResource(self.delegate), Clock(), forms=ResponseForms(RESPONSES))
        self.client = Client(site, "192.0.2.7")

    def post(self, value: object, *lines: bytes) -> Response:
        """Send a value as JSON, or raw octets, with credentials unless other header lines are given."""
        octets = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.client.ask(request(b"POST", SEND, octets, *(lines or (BASIC,))))

    def get(self, id: bytes, *lines: bytes) -> Response:
        """Query a message, with credentials unless other header lines are given."""
        return self.client.ask(request(b"GET", SHOW + id, None, *(lines or (BASIC,))))

    def assert_no(self, answer: Response, reason: str, status: int = 200) -> None:
        """Check that the response is this error and no message was submitted."""
        self.assertEqual((answer.status, answer.reason), (status, reason))
        self.assertEqual(self.delegate.submitted, [])

"""The words, statuses and error bodies of the API are the dialect's."""

from __future__ import annotations

import attrs
from twisted.internet.task import Clock

from smsgw.dialects.rostelecom import SEND_MESSAGE, WORDS
from smsgw.frontends.rostelecom.resource import MessageResource
from smsgw.interfaces import MessageStatus
from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import State
from smsgw.protocols.http.jsonresource import BoundedSite
from tests.frontends.rostelecom.case import FIELDS, ApiTestCase
from tests.protocols.http.support import Client, Response


class DialectTests(ApiTestCase):
    """The words of another dialect."""

    def setUp(self) -> None:
        """A resource whose dialect has other words for everything."""
        super().setUp()
        manner = attrs.evolve(
            SEND_MESSAGE,
            no_credentials=("who", 401),
            bad_request=("pardon", 400),
            internal=("sorry", 500),
            reasons={
                **SEND_MESSAGE.reasons,
                Refusal.BAD_RECIPIENT: ("no_number", 422),
                Refusal.BAD_SENDER: ("no_sender", 422),
            },
            words={**WORDS, State.UNDELIVERABLE: "missed"},
            with_error=frozenset({State.UNDELIVERABLE}),
            error=lambda status, reason: (b"text/plain", b"%d %b" % (status, reason.encode())),
        )
        self.client = Client(BoundedSite(MessageResource(self.delegate, manner), Clock()))

    def assert_error(self, answer: Response, body: bytes) -> None:
        """Check that the response is this error in the form of the dialect."""
        self.assertEqual((answer.body, answer.headers["content-type"]), (body, "text/plain"))
        self.assertEqual(answer.status, int(body[:3]))

    def test_errors(self) -> None:
        """The resource's own errors are the dialect's."""
        self.assert_error(self.post(b"{"), b"400 pardon")
        self.assert_error(self.get(b"%31"), b"400 pardon")
        for answer in (self.post(FIELDS, b"X: y"), self.get(b"1", b"X: y")):
            self.assert_error(answer, b"401 who")
        self.assertIn("www-authenticate", self.get(b"1", b"X: y").headers)
        self.assert_error(self.post({**FIELDS, "msisdn": "x"}), b"422 no_number")
        self.assert_error(self.post({**FIELDS, "shortcode": ""}), b"422 no_sender")

    def test_failures(self) -> None:
        """An internal failure is the dialect's error."""
        self.delegate.failure = RuntimeError("broken")
        self.assert_error(self.post(FIELDS), b"500 sorry")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_error_code(self) -> None:
        """The dialect decides which statuses have error_code."""
        for status, code in (("missed", 6), ("rejected", None)):
            self.delegate.shown = MessageStatus(1, 2, "79377778686", 1, status, "x", 6)
            self.assertEqual(self.get(b"VvkmLHkfhCX9").json["result"].get("error_code"), code)

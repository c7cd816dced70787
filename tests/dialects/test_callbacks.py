"""The requests of callbacks, of Rostelecom and native."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from smsgw.dialects import CallbackContext, native, smsc
from smsgw.dialects.native import document
from smsgw.dialects.rostelecom import WORDS
from smsgw.dialects.rostelecom import write_callback as write_rostelecom
from smsgw.model.content import Labels
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, IncomingKind
from tests.dialects.support import CONTEXT, incoming, status


class RostelecomTests(SynchronousTestCase):
    """The form of Rostelecom."""

    def url(self, event: Event, url: str = "http://h/path") -> str:
        """Return the URL of the request."""
        call = write_rostelecom(url, event, CONTEXT)
        assert call is not None
        self.assertEqual((call.method, call.body), (b"GET", None))
        return call.url

    def test_changes(self) -> None:
        """Each change is a GET with id, status and parts, in this order (004-198)."""
        self.assertEqual(self.url(status(parts=3)), "http://h/path?id=message-id-854019&status=delivered&parts=3")
        self.assertEqual(
            self.url(status(State.ENROUTE)), "http://h/path?id=message-id-854019&status=awaiting_report&parts=1"
        )

    def test_words(self) -> None:
        """The words are those of the API's responses."""
        for state, word in WORDS.items():
            self.assertIn(f"&status={word}&", self.url(status(state)))

    def test_error(self) -> None:
        """err is last, and only for rejected messages; parts is above 0 (004-199)."""
        self.assertTrue(self.url(status(State.REJECTED, 11)).endswith("&status=rejected&parts=1&err=11"))
        self.assertTrue(self.url(status(State.REJECTED)).endswith("&err=255"))
        self.assertNotIn("err", self.url(status(State.UNDELIVERABLE, 11)))
        self.assertTrue(self.url(status(parts=0)).endswith("&parts=1"))

    def test_address_with_a_query(self) -> None:
        """Parameters of the URL are kept."""
        self.assertTrue(self.url(status(), "http://h/p?a=b").startswith("http://h/p?a=b&id=message-id-854019&"))

    def test_incoming(self) -> None:
        """The form cannot represent incoming messages."""
        self.assertIsNone(write_rostelecom("http://h/", incoming(), CONTEXT))


class NativeTests(SynchronousTestCase):
    """The native form."""

    def test_status(self) -> None:
        """A report has all fields of the message except its text."""
        event = status(State.UNDELIVERABLE, 6, parts=2, labels=Labels("", "order-1", ""))
        call = native.write_callback("http://h/x", event, CONTEXT)
        self.assertEqual((call.method, call.url), (b"POST", "http://h/x"))
        self.assertEqual(
            json.loads(call.body or b""),
            {
                "event": "854019.2",
                "type": "status",
                "id": 854_019,
                "batch": None,
                "reference": "order-1",
                "to": "79161234567",
                "from": "DEMO",
                "state": "undeliverable",
                "final": True,
                "error": 6,
                "error_meaning": "the phone is off or out of reach",
                "upstream_words": "",
                "parts": 2,
                "accepted_at": "2011-08-20T18:40:00.750Z",
                "at": "2011-08-20T18:41:00.750Z",
            },
        )
        self.assertEqual(document(status(State.ENROUTE))["final"], False)

    def test_incoming(self) -> None:
        """Messages, calls and keys have different types."""
        base = {"event": "77.3", "id": 77, "from": "79161234567", "to": "79031112233", "at": "2011-08-20T18:41:00.750Z"}
        self.assertEqual(document(incoming(answers=5)), base | {"type": "message", "text": "Привет", "answers": 5})
        self.assertEqual(
            document(incoming(IncomingKind.CALL, "")), base | {"type": "call", "seconds": 9, "answers": None}
        )
        self.assertEqual(
            document(incoming(IncomingKind.KEYS, "12", 5)),
            base | {"type": "keys", "keys": "12", "seconds": 9, "answers": 5},
        )

    def test_signature(self) -> None:
        """The signature covers the time, the event's id and the body; there is one for each key."""
        call = native.write_callback("http://h/", status(), CallbackContext(UTC, ("new", "old"), 1_700_000_000.9))
        headers = dict(call.headers)
        self.assertEqual((headers[b"X-Smsgw-Event"], headers[b"X-Smsgw-Timestamp"]), (b"854019.2", b"1700000000"))
        signed = b"1700000000.854019.2." + (call.body or b"")
        expected = [f"v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}" for key in (b"new", b"old")]
        self.assertEqual(headers[b"X-Smsgw-Signature"].decode(), ",".join(expected))

    def test_unsigned(self) -> None:
        """Without a key the request has neither signature nor timestamp."""
        call = native.write_callback("http://h/", status(), CONTEXT)
        self.assertEqual([name for name, _ in call.headers], [b"Content-Type", b"X-Smsgw-Event"])

    def test_nothing_of_the_text(self) -> None:
        """No form has the text of an account's own message."""
        for form in (
            write_rostelecom("http://h/", status(), CONTEXT),
            smsc.write_callback("http://h/", status(), CONTEXT),
            native.write_callback("http://h/", status(), CONTEXT),
        ):
            assert form is not None
            self.assertNotIn(b"hi", (form.body or b"") + urlsplit(form.url).query.encode())

    def test_lone_surrogate(self) -> None:
        """Characters that cannot be encoded are replaced."""
        event = incoming(text="a\ud800b")
        self.assertIn(b'"text":"a?b"', native.write_callback("http://h/", event, CONTEXT).body or b"")
        self.assertIn(b"mes=a%3Fb", smsc.write_callback("http://h/?charset=utf-8", event, CONTEXT).body or b"")

"""The requests of callbacks, in each form."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta, timezone
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from smsgw.dialects.rostelecom import WORDS
from smsgw.frontends.callbacks.forms import SMSC_STATUSES, digest, document, native, rostelecom, smsc
from smsgw.model.callbackurl import read_handler
from smsgw.model.content import Content, Labels
from smsgw.model.lifecycle import State
from smsgw.model.message import CALLBACK, Event, EventKind, Incoming, IncomingKind, Message

ZONE = timezone(timedelta(hours=4))
AT = 1_313_865_660.75
SECRET = "my-secret_1"

VECTORS = {
    ("854019:79161234567:1", "utf-8"): (
        "d27ad946045732522e764384be6ccbd1",
        "001560d742a3ec8ebc91ea23ec5ff1c0c953ba07",
        "3598913938",
    ),
    ("79161234567:hello:79031112233", "utf-8"): (
        "828cac17385718d2bab1ff8e689da896",
        "e116fbb295fe9b6c5266d4328a35570b2b2faec9",
        "3835933432",
    ),
    ("79161234567:Привет:79031112233", "utf-8"): (
        "162e32d3f6f2398a195a985a062d7133",
        "7b37e28f2fccc2504a28b8b262b49c33eaabfaee",
        "1108732931",
    ),
    ("79161234567:Привет:79031112233", "cp1251"): (
        "7642ed2ba36104a6ecc3e23d0f829c9d",
        "f6ce957c22d6f397a6c9affb3abc7ddca6a5ea3b",
        "62278757",
    ),
    ("79161234567:1313870460", "utf-8"): (
        "adf392682a15942ef84c53669e321887",
        "e98471e9e5672532b227c0e72194e3fad24aa5ae",
        "1598762488",
    ),
}


def status(
    state: State = State.DELIVERED, error: int = 0, *, id: int = 854_019, parts: int = 1, labels: Labels | None = None
) -> Event:
    """An event of a message."""
    content = Content("DEMO", 5, 0, 1, 1, 0, 0, b"hi" * parts, labels=labels)
    made = AT - 60
    message = Message(
        id, "demo", CALLBACK, "sim", state, 0, False, 0, 7, parts, 0.0, made, AT, 0.0, error, "79161234567", 0, content
    )
    kind = EventKind.ENROUTE if state is State.ENROUTE else EventKind.FINAL
    return Event(message, kind, state, error, AT)


def incoming(kind: IncomingKind = IncomingKind.MESSAGE, text: str = "Привет", answers: int = 0) -> Event:
    """An incoming message or call."""
    one = Incoming(77, "demo", CALLBACK, kind, "sim", "79161234567", "79031112233", text, AT, answers, 9)
    return Event(one, EventKind.INCOMING, State.DELIVERED, 0, AT)


class RostelecomTests(SynchronousTestCase):
    """The form of Rostelecom."""

    def url(self, event: Event, url: str = "http://h/path") -> str:
        """Return the URL of the request."""
        call = rostelecom(url, event)
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
        self.assertIsNone(rostelecom("http://h/", incoming()))


class SmscTests(SynchronousTestCase):
    """The form of smsc.ru."""

    def fields(self, event: Event, query: str = "", encoding: str = "cp1251") -> dict[str, str]:
        """The fields of the body, all of them in order."""
        call = smsc(read_handler(f"http://h/sms{query}"), event, ZONE)
        assert call.body is not None
        self.assertEqual((call.method, call.url), (b"POST", "http://h/sms"))
        pairs = parse_qsl(call.body.decode("ascii"), keep_blank_values=True, encoding=encoding)
        self.assertEqual(len(pairs), len(dict(pairs)))
        return dict(pairs)

    def test_example(self) -> None:
        """A status is a POST with the standard fields, then the hash, then the other parameters.

        (002-105) (002-110) (002-114) (002-124) (002-125, in part)
        """
        handler = read_handler(f"https://h.example/sms?charset=utf-8&md5={SECRET}&branch=7")
        call = smsc(handler, status(), ZONE)
        self.assertEqual(call.url, "https://h.example/sms")
        self.assertEqual(list(call.headers), [(b"Content-Type", b"application/x-www-form-urlencoded; charset=utf-8")])
        self.assertEqual(
            call.body,
            b"id=854019&phone=79161234567&status=1&time=20.08.2011+22%3A41%3A00&ts=1313865660&err=0&cnt=1&type=0&flag=0"
            b"&sender=DEMO&md5=d27ad946045732522e764384be6ccbd1&charset=utf-8&branch=7",
        )

    def test_vectors(self) -> None:
        """Hashes are those known, md5 and sha1 in lower-case hex (002-117) (002-118) (002-119) (002-120) (002-121)."""
        for (base, encoding), (md5, sha1, crc32) in VECTORS.items():
            octets = base.encode(encoding)
            self.assertEqual(digest("md5", octets, SECRET), md5)
            self.assertEqual(digest("sha1", octets, SECRET), sha1)
            self.assertEqual(digest("crc32", octets, SECRET), crc32)

    def test_hashes(self) -> None:
        """Each event signs its own fields, with several hashes at once, and the secret never leaves.

        (002-116) (002-117) (002-118) (002-119) (002-123)
        """
        query = f"?md5={SECRET}&sha1={SECRET}&crc32={SECRET}"
        call = incoming(IncomingKind.CALL)
        call.at = 1_313_870_460.0
        for event, base, encoding in (
            (status(), "854019:79161234567:1", "utf-8"),
            (incoming(text="hello"), "79161234567:hello:79031112233", "utf-8"),
            (incoming(), "79161234567:Привет:79031112233", "utf-8"),
            (incoming(), "79161234567:Привет:79031112233", "cp1251"),
            (call, "79161234567:1313870460", "utf-8"),
        ):
            charset = "&charset=utf-8" if encoding == "utf-8" else ""
            fields = self.fields(event, query + charset, encoding)
            self.assertEqual((fields["md5"], fields["sha1"], fields["crc32"]), VECTORS[base, encoding])
            self.assertNotIn(SECRET, fields.values())

    def test_secret_in_the_address(self) -> None:
        """A secret in the part that stays in the URL is replaced there (002-115) (002-116)."""
        call = smsc(read_handler(f"http://h/!a=%20&md5={SECRET}?b"), status(), ZONE)
        self.assertEqual(call.url, "http://h/?a=%20&md5=d27ad946045732522e764384be6ccbd1")
        assert call.body is not None
        self.assertTrue(call.body.endswith(b"&b"))

    def test_statuses(self) -> None:
        """Every state has its number (002-131, in part), and a status has neither mes nor waitcall (002-129)."""
        for state, number in SMSC_STATUSES.items():
            fields = self.fields(status(state))
            self.assertEqual(fields["status"], str(number))
            self.assertFalse({"mes", "waitcall"} & fields.keys())
        self.assertEqual(set(SMSC_STATUSES), set(State))
        self.assertEqual(set(SMSC_STATUSES.values()), {-2, -1, 0, 1, 3, 20, 23, 24})
        self.assertEqual(self.fields(status(State.REJECTED))["err"], "255")
        self.assertEqual(self.fields(status(State.UNKNOWN))["err"], "245")
        self.assertEqual(self.fields(status(State.UNDELIVERABLE, 6))["err"], "6")

    def test_incoming(self) -> None:
        """An incoming message has phone, mes and to, in the character set asked for (002-108) (002-109) (002-127)."""
        for charset, encoding in {"": "cp1251", "?charset=utf-8": "utf-8", "?charset=koi8-r": "koi8-r"}.items():
            fields = self.fields(incoming(answers=5), charset, encoding)
            self.assertEqual((fields["phone"], fields["mes"], fields["to"]), ("79161234567", "Привет", "79031112233"))
            self.assertEqual((fields["id"], fields["sms_id"]), ("77", "5"))
        self.assertNotIn("sms_id", self.fields(incoming()))
        self.assertEqual(self.fields(incoming(text="日本 ok"))["mes"], "?? ok")

    def test_call(self) -> None:
        """A call has phone, waitcall with the number called, and ts (002-128, in part)."""
        fields = self.fields(incoming(IncomingKind.CALL, ""))
        self.assertEqual(
            (fields["phone"], fields["waitcall"], fields["ts"]), ("79161234567", "79031112233", "1313865660")
        )
        self.assertFalse({"mes", "status"} & fields.keys())

    def test_keys(self) -> None:
        """Keys of a voice menu come with the status of the call they were pressed in (002-130, in part)."""
        fields = self.fields(incoming(IncomingKind.KEYS, "12", answers=5))
        self.assertEqual((fields["id"], fields["phone"], fields["status"]), ("5", "79161234567", "1"))
        self.assertEqual((fields["key"], fields["duration"], fields["cnt"]), ("12", "9", "9"))

    def test_json(self) -> None:
        """fmt=3: one object with the same names, numbers as numbers (002-112)."""
        call = smsc(read_handler(f"http://h/?fmt=3&md5={SECRET}&branch=7"), status(), ZONE)
        self.assertEqual(list(call.headers), [(b"Content-Type", b"application/json")])
        value = json.loads(call.body or b"")
        self.assertEqual((value["id"], value["status"], value["phone"]), (854_019, 1, "79161234567"))
        self.assertEqual(
            (value["md5"], value["branch"], value["fmt"]), (VECTORS["854019:79161234567:1", "utf-8"][0], "7", "3")
        )
        call = smsc(read_handler("http://h/?fmt=3&charset=utf-8"), incoming(text='"\r\n\0'), ZONE)
        self.assertEqual(json.loads(call.body or b"")["mes"], '"\r\n\0')

    def test_xml(self) -> None:
        """fmt=2: one element for each name within <sms>, well-formed for any text (002-111)."""
        for charset in ("", "&charset=utf-8"):
            call = smsc(read_handler(f"http://h/?fmt=2{charset}"), incoming(text="<Привет> & 日本\0"), ZONE)
            root = ElementTree.fromstring(call.body or b"")
            self.assertEqual(root.tag, "sms")
            self.assertEqual(root.findtext("mes"), "<Привет> & 日本")
            self.assertEqual(root.findtext("phone"), "79161234567")

    def test_repeated(self) -> None:
        """A repetition has the same content (002-132)."""
        handler = read_handler(f"http://h/?sha1={SECRET}")
        self.assertEqual(smsc(handler, status(), ZONE), smsc(handler, status(), ZONE))

    def test_parameter_that_claims_a_field(self) -> None:
        """A parameter of the URL never replaces a value of the event."""
        call = smsc(read_handler("http://h/?fmt=3&status=20"), status(), ZONE)
        self.assertEqual(json.loads(call.body or b"")["status"], 1)


class NativeTests(SynchronousTestCase):
    """The native form."""

    def test_status(self) -> None:
        """A report has all fields of the message except its text."""
        event = status(State.UNDELIVERABLE, 6, parts=2, labels=Labels("", "order-1", ""))
        call = native("http://h/x", event, (), AT)
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

    def test_u5_words(self) -> None:
        """The upstream's words are in the document."""
        event = status()
        event.words = "stat:UNDELIV err:013"
        self.assertEqual(document(event)["upstream_words"], "stat:UNDELIV err:013")

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
        call = native("http://h/", status(), ("new", "old"), 1_700_000_000.9)
        headers = dict(call.headers)
        self.assertEqual((headers[b"X-Smsgw-Event"], headers[b"X-Smsgw-Timestamp"]), (b"854019.2", b"1700000000"))
        signed = b"1700000000.854019.2." + (call.body or b"")
        expected = [f"v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}" for key in (b"new", b"old")]
        self.assertEqual(headers[b"X-Smsgw-Signature"].decode(), ",".join(expected))

    def test_unsigned(self) -> None:
        """Without a key the request has neither signature nor timestamp."""
        self.assertEqual(
            {name for name, _ in native("http://h/", status(), (), AT).headers}, {b"Content-Type", b"X-Smsgw-Event"}
        )

    def test_nothing_of_the_text(self) -> None:
        """No form has the text of an account's own message."""
        for form in (
            rostelecom("http://h/", status()),
            smsc(read_handler("http://h/"), status(), ZONE),
            native("http://h/", status(), (), AT),
        ):
            assert form is not None
            self.assertNotIn(b"hi", (form.body or b"") + urlsplit(form.url).query.encode())

    def test_lone_surrogate(self) -> None:
        """Characters that cannot be encoded are replaced."""
        self.assertIn(b'"text":"a?b"', native("http://h/", incoming(text="a\ud800b"), (), AT).body or b"")
        self.assertIn(
            b"mes=a%3Fb", smsc(read_handler("http://h/?charset=utf-8"), incoming(text="a\ud800b"), ZONE).body or b""
        )

"""The callbacks of smsc.ru: the options inside a handler's address, the requests."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from smsgw.dialects.smsc import STATUSES, STATUSES_BY_ERROR, digest, read_handler, write_callback
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, IncomingKind
from tests.dialects.support import CONTEXT, incoming, status
from tests.model.test_callbackurl import WRONG

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


class HandlerTests(SynchronousTestCase):
    """The options inside a handler's address."""

    def test_parameters_go_into_the_body(self) -> None:
        """All parameters behind the question mark leave the address for the body (002-114)."""
        handler = read_handler("https://h.example/sms?charset=utf-8&md5=my-secret_1&branch=7%2B1&flag")
        self.assertEqual((handler.url, handler.query), ("https://h.example/sms", ()))
        self.assertEqual([one.name for one in handler.body], ["charset", "md5", "branch", "flag"])
        self.assertEqual([one.value for one in handler.body], ["utf-8", "my-secret_1", "7+1", ""])
        self.assertEqual([one.digest for one in handler.body], ["", "md5", "", ""])
        self.assertEqual(handler.body[2].written, "branch=7%2B1")

    def test_split(self) -> None:
        """An exclamation mark keeps parameters in the address, up to the question mark (002-115)."""
        handler = read_handler("https://mysite.ru/!param1&param2?param3&param4")
        self.assertEqual(handler.url, "https://mysite.ru/")
        self.assertEqual([one.written for one in handler.query], ["param1", "param2"])
        self.assertEqual([one.written for one in handler.body], ["param3", "param4"])
        handler = read_handler("https://mysite.ru/a?b=1!c")
        self.assertEqual((handler.url, handler.body[0].value), ("https://mysite.ru/a", "1!c"))

    def test_charset(self) -> None:
        """windows-1251 unless charset says utf-8 or koi8-r (002-108) (002-109)."""
        for text, charset in {"": "cp1251", "?charset=UTF-8": "utf-8", "?charset=koi8-r": "koi8-r"}.items():
            self.assertEqual(read_handler(f"http://h/{text}").charset, charset)
        self.assertRaises(ValueError, read_handler, "http://h/?charset=utf-7")

    def test_form(self) -> None:
        """Form fields, or XML for fmt=2, or JSON for fmt=3 (002-110) (002-111) (002-112)."""
        for text, form in {"": "form", "?fmt=2": "xml", "?fmt=3": "json", "!fmt=3": "json"}.items():
            self.assertEqual(read_handler(f"http://h/{text}").form, form)
        for text in ("fmt=1", "fmt=", "fmt=json", "fmt=2&a+b=1"):
            self.assertRaises(ValueError, read_handler, f"http://h/?{text}")

    def test_koi8_r_with_fmt(self) -> None:
        """Together with fmt, koi8-r is ignored (002-113)."""
        for query, charset in {
            "?fmt=2&charset=koi8-r": "cp1251",
            "?charset=koi8-r&fmt=3": "cp1251",
            "!charset=koi8-r?fmt=2": "cp1251",
            "?charset=utf-8&fmt=2&charset=koi8-r": "utf-8",
        }.items():
            self.assertEqual(read_handler(f"http://h/{query}").charset, charset)
        call = write_callback("http://h/?fmt=2&charset=koi8-r", incoming(), CONTEXT)
        self.assertEqual(list(call.headers), [(b"Content-Type", b"application/xml; charset=windows-1251")])
        root = ElementTree.fromstring(call.body or b"")
        self.assertEqual((root.findtext("mes"), root.findtext("charset")), ("Привет", "koi8-r"))

    def test_bad_addresses(self) -> None:
        """An address that is not allowed for callbacks is refused."""
        for url in WRONG:
            with self.assertRaises(ValueError, msg=url):
                read_handler(url)

    def test_secrets(self) -> None:
        """A secret has Latin letters, digits, minus and underscore, and there is one (002-122)."""
        for name in ("md5", "sha1", "crc32"):
            self.assertEqual(read_handler(f"http://h/?{name}=aZ0-_").body[0].value, "aZ0-_")
            for secret in ("", "a.b", "a%20b", "a+b", "%D1%8F", "a:b", "a/b"):
                with self.assertRaisesRegex(ValueError, name):
                    read_handler(f"http://h/?{name}={secret}")


class SmscTests(SynchronousTestCase):
    """The form of smsc.ru."""

    def fields(self, event: Event, query: str = "", encoding: str = "cp1251") -> dict[str, str]:
        """The fields of the body, all of them in order."""
        call = write_callback(f"http://h/sms{query}", event, CONTEXT)
        assert call.body is not None
        self.assertEqual((call.method, call.url), (b"POST", "http://h/sms"))
        pairs = parse_qsl(call.body.decode("ascii"), keep_blank_values=True, encoding=encoding)
        self.assertEqual(len(pairs), len(dict(pairs)))
        return dict(pairs)

    def test_example(self) -> None:
        """A status is a POST with the standard fields, then the hash, then the other parameters.

        (002-105) (002-110) (002-114) (002-124) (002-125, in part)
        """
        call = write_callback(f"https://h.example/sms?charset=utf-8&md5={SECRET}&branch=7", status(), CONTEXT)
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
        call = write_callback(f"http://h/!a=%20&md5={SECRET}?b", status(), CONTEXT)
        self.assertEqual(call.url, "http://h/?a=%20&md5=d27ad946045732522e764384be6ccbd1")
        assert call.body is not None
        self.assertTrue(call.body.endswith(b"&b"))

    def test_statuses(self) -> None:
        """Every state has its number (002-131, in part), and a status has neither mes nor waitcall (002-129)."""
        for state, number in STATUSES.items():
            fields = self.fields(status(state))
            self.assertEqual(fields["status"], str(number))
            self.assertFalse({"mes", "waitcall"} & fields.keys())
        self.assertEqual(set(STATUSES), set(State))
        numbers = {*STATUSES.values(), *STATUSES_BY_ERROR.values()}
        self.assertEqual(numbers, {-2, -1, 0, 1, 3, 20, 22, 23, 24, 25})
        self.assertEqual(self.fields(status(State.REJECTED))["err"], "255")
        self.assertEqual(self.fields(status(State.UNKNOWN))["err"], "245")
        self.assertEqual(self.fields(status(State.UNDELIVERABLE, 6))["err"], "6")

    def test_statuses_by_error(self) -> None:
        """(002-131, in part) A message refused for its number has status 22, one without a route 25, others 23."""
        for state, error, number in (
            (State.REFUSED, 249, "22"),
            (State.REFUSED, 248, "25"),
            (State.REFUSED, 254, "23"),
            (State.REFUSED, 0, "23"),
            (State.UNDELIVERABLE, 248, "25"),
            (State.UNDELIVERABLE, 249, "20"),
            (State.REJECTED, 248, "20"),
            (State.NO_MONEY, 249, "24"),
        ):
            fields = self.fields(status(state, error), f"?md5={SECRET}")
            self.assertEqual((fields["status"], fields["err"]), (number, str(error)))
            self.assertEqual(fields["md5"], digest("md5", f"854019:79161234567:{number}".encode(), SECRET))

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
        call = write_callback(f"http://h/?fmt=3&md5={SECRET}&branch=7", status(), CONTEXT)
        self.assertEqual(list(call.headers), [(b"Content-Type", b"application/json")])
        value = json.loads(call.body or b"")
        self.assertEqual((value["id"], value["status"], value["phone"]), (854_019, 1, "79161234567"))
        self.assertEqual(
            (value["md5"], value["branch"], value["fmt"]), (VECTORS["854019:79161234567:1", "utf-8"][0], "7", "3")
        )
        call = write_callback("http://h/?fmt=3&charset=utf-8", incoming(text='"\r\n\0'), CONTEXT)
        self.assertEqual(json.loads(call.body or b"")["mes"], '"\r\n\0')

    def test_xml(self) -> None:
        """fmt=2: one element for each name within <sms>, well-formed for any text (002-111)."""
        for charset in ("", "&charset=utf-8"):
            call = write_callback(f"http://h/?fmt=2{charset}", incoming(text="<Привет> & 日本\0"), CONTEXT)
            root = ElementTree.fromstring(call.body or b"")
            self.assertEqual(root.tag, "sms")
            self.assertEqual(root.findtext("mes"), "<Привет> & 日本")
            self.assertEqual(root.findtext("phone"), "79161234567")

    def test_repeated(self) -> None:
        """A repetition has the same content (002-132)."""
        url = f"http://h/?sha1={SECRET}"
        self.assertEqual(write_callback(url, status(), CONTEXT), write_callback(url, status(), CONTEXT))

    def test_parameter_that_claims_a_field(self) -> None:
        """A parameter of the URL never replaces a value of the event."""
        call = write_callback("http://h/?fmt=3&status=20", status(), CONTEXT)
        self.assertEqual(json.loads(call.body or b"")["status"], 1)

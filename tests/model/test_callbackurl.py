"""Addresses of callbacks: what they may be, and the options inside those of smsc.ru's handlers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.callbackurl import host_of, origin_of, place_of, read_handler

WRONG = (
    "",
    "h.example",
    "ftp://h.example/",
    "HTTP://h.example/",
    "http:/h.example/",
    "http://",
    "http:///path",
    "http://user@h.example/",
    "http://user:secret@h.example/",
    "http://h.example@127.0.0.1/",
    "http://h.example#@127.0.0.1/",
    "http://h.example/#fragment",
    "http://h.example\\@127.0.0.1/",
    "http://h.example:0/",
    "http://h.example:65536/",
    "http://h.example:99999999/",
    "http://h.example:8o/",
    "http://h.example: 80/",
    "http://h.ex ample/",
    "http://h.example/a b",
    "http://h.example/\r\nX: y",
    "http://h.example/\0",
    "http://h.example/\t",
    "http://пример.рф/",
    "http://h.example/путь",
    "http://[::1/",
    "http://::1/",
    "http://[fe80::1%25eth0]/",
    "http://[::1]x/",
    "http://[::1::2]/",
    "http://[1.2.3.4]/",
    "http://h%2eexample/",
    " http://h.example/",
    "http://h.example/ ",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "gopher://h.example/",
)


class PlaceTests(SynchronousTestCase):
    """Where an address leads."""

    def test_places(self) -> None:
        """Scheme, host and port are read apart; a port that is not there is the scheme's."""
        for url, expected in {
            "http://H.Example": ("http", "h.example", 80),
            "https://h.example/a?b=c!d": ("https", "h.example", 443),
            "http://h.example:8080?x": ("http", "h.example", 8080),
            "https://[2001:DB8::1]:65535/": ("https", "2001:db8::1", 65_535),
            "http://127.0.0.1/": ("http", "127.0.0.1", 80),
        }.items():
            place = place_of(url)
            self.assertEqual((place.scheme, place.host, place.port), expected, url)
            self.assertEqual(host_of(url), expected[1])
        self.assertEqual(origin_of("https://h.example/secret?key=1"), "https://h.example:443")

    def test_wrong(self) -> None:
        """Everything else is refused with a reason: other schemes, user names, fragments, bad ports, no ASCII."""
        for url in WRONG:
            with self.assertRaises(ValueError, msg=url):
                place_of(url)
            with self.assertRaises(ValueError, msg=url):
                read_handler(url)

    @given(st.text(max_size=40))
    def test_anything(self, tail: str) -> None:
        """Any text gives a place or a ValueError, and a place has a plain host."""
        try:
            place = place_of(f"http://h.example{tail}")
        except ValueError:
            return
        self.assertTrue(place.host.startswith("h.example"))
        self.assertNotIn("@", place.host)
        self.assertTrue(f"http://h.example{tail}".isascii())


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
        """Form fields, or XML for fmt=2, or JSON for fmt=3 (002-110) (002-111) (002-112); koi8-r with neither
        (002-113)."""
        for text, form in {"": "form", "?fmt=2": "xml", "?fmt=3": "json", "!fmt=3": "json"}.items():
            self.assertEqual(read_handler(f"http://h/{text}").form, form)
        for text in ("fmt=1", "fmt=", "fmt=json", "fmt=2&charset=koi8-r", "charset=koi8-r&fmt=3", "fmt=2&a+b=1"):
            self.assertRaises(ValueError, read_handler, f"http://h/?{text}")

    def test_secrets(self) -> None:
        """A secret has Latin letters, digits, minus and underscore, and there is one (002-122)."""
        for name in ("md5", "sha1", "crc32"):
            self.assertEqual(read_handler(f"http://h/?{name}=aZ0-_").body[0].value, "aZ0-_")
            for secret in ("", "a.b", "a%20b", "a+b", "%D1%8F", "a:b", "a/b"):
                with self.assertRaisesRegex(ValueError, name):
                    read_handler(f"http://h/?{name}={secret}")

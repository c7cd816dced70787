"""Addresses of callbacks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.callbackurl import host_of, origin_of, place_of

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

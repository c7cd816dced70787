"""Requests to upstreams as the configuration describes them: templates, and where answers say what."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import ConfigErrors, parse
from smsgw.connectors.http.settings import HttpConnectorSettings
from smsgw.connectors.templates import JSON, LOCATION, TEMPLATE, HttpData, percent_encoder
from smsgw.plugins import dialects

VALUES = {"to": "79161234567", "from": "A&B", "text": 'Hi "you" {to} 50% ё', "uid": "1.0", "id": "x/y"}


class TemplateTests(SynchronousTestCase):
    """The requests to the upstream."""

    def test_address(self) -> None:
        """Values are percent-encoded in the character set of the upstream, and are not parsed as templates."""
        template = TEMPLATE.take("http://h/{to}?t={text}&f={from}&l=%25d")
        self.assertEqual(
            template.fill(VALUES, percent_encoder("utf-8")),
            "http://h/79161234567?t=Hi%20%22you%22%20%7Bto%7D%2050%25%20%D1%91&f=A%26B&l=%25d",
        )
        self.assertIn("%B8", template.fill(VALUES, percent_encoder("windows-1251")))

    def test_json(self) -> None:
        """Values are escaped as JSON strings; a whole string with :int becomes a number."""
        template = JSON.take('{"a": [{"to": "{to:int}"}], "b": "+{to}: {text}", "c": 1, "{to}": null}')
        self.assertEqual(
            template.fill(VALUES).decode(),
            '{"a":[{"to":79161234567}],"b":"+79161234567: Hi \\"you\\" {to} 50% ё","c":1,"{to}":null}',
        )
        self.assertRaises(ValueError, JSON.take('{"a": "{from:int}"}').fill, VALUES)

    def test_mistakes(self) -> None:
        """An invalid template or place is refused with the reason."""
        for kind, text in (
            (TEMPLATE, "{unknown}"), (TEMPLATE, "{to:int}"), (JSON, "{"), (JSON, '{"a": "{unknown}"}'),
            (JSON, '{"a": "{unknown:int}"}'), (LOCATION, "json"), (LOCATION, "json:"), (LOCATION, "xpath:/a"),
            (LOCATION, "regex:("), (LOCATION, "regex:abc"), (LOCATION, "regex:(a)(b)"),
        ):  # fmt: skip
            self.assertRaises(ValueError, kind.take, text)

    def test_places(self) -> None:
        """Values are found in JSON, by a pattern, in headers, queries and forms; a missing value is empty."""
        data = HttpData({"x-id": "7"}, b'{"a":{"b":[{"c":5},true,null,1.5]}}', "q=1%202&q=3")
        for place, value in {
            "json:a.b.0.c": "5", "json:a.b.1": "true", "json:a.b.2": "", "json:a.b.3": "1.5", "json:a.b.9": "",
            "json:a.b": "", "json:x": "", "header:X-ID": "7", "header:y": "", "query:q": "1 2", "query:z": "",
            'regex:"c":(\\d)': "5", "regex:(zzz)": "",
        }.items():  # fmt: skip
            self.assertEqual(data.value(LOCATION.take(place)), value, place)
        self.assertEqual(HttpData({}, b"mes=%CF%F0&a", charset="windows-1251").value(LOCATION.take("form:mes")), "Пр")
        for body in (b"", b"\xff", b"[", b"&=&" * 300):
            for place in ("json:a", "form:a"):
                self.assertEqual(HttpData({}, body).value(LOCATION.take(place)), "")

    def test_sections(self) -> None:
        """Contradictions in a section are reported."""
        types = {"http": HttpConnectorSettings}
        base = "[listen s]\nprotocol = smpp\nendpoint = tcp:1:interface=127.0.0.1\ndialect = standard\n"
        for lines, word in (
            ("url = ftp://h/", "begins with http"),
            ("url = http://h/\nform = a\njson = {}", "not both"),
            ("url = http://h/\nmethod = GET\nform = a", "no body"),
            ("url = http://h/\nreceipts = polled", "poll_url"),
            ("url = http://h/\nreceipts = webhook", "receipt_id"),
            ("url = http://h/\nincoming_text = form:mes", "secret"),
            ("url = http://h/\nstates = 1:lost", "lost"),
        ):
            with self.assertRaises(ConfigErrors) as caught:
                parse(f"{base}[connector x]\ntype = http\n{lines}\n", "gw.ini", types, dialects())
            self.assertIn(word, str(caught.exception))

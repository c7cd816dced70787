"""Bad requests to the native API by name: each gets its status and a problem, and no message is stored."""

from __future__ import annotations

import base64

from smsgw.frontends.api.openapi import DOCUMENT
from tests.frontends.api.test_resource import BASIC, JSON, NUMBER, V1TestCase
from tests.protocols.http.support import request

FORM = b"Content-Type: application/x-www-form-urlencoded"
MULTIPART = b"Content-Type: multipart/form-data; boundary=x"
SOUND = b'{"to": "%b", "text": "Hello"}' % NUMBER.encode()


def with_text(value: bytes) -> bytes:
    """A message with this JSON of a text."""
    return b'{"to": "%b", "text": %b}' % (NUMBER.encode(), value)


BODIES: dict[str, tuple[bytes, int]] = {
    "no body": (b"", 400),
    "only blanks": (b"  \r\n", 400),
    "half a message": (SOUND[:-1], 400),
    "two messages behind each other": (SOUND + SOUND, 400),
    "a key twice": (b'{"to": "%b", "text": "a", "text": "b"}' % NUMBER.encode(), 400),
    "a key twice, once escaped": (b'{"to": "%b", "text": "a", "\\u0074ext": "b"}' % NUMBER.encode(), 400),
    "NaN": (with_text(b"NaN"), 400),
    "Infinity": (with_text(b"-Infinity"), 400),
    "a number without end": (with_text(b"1e400"), 400),
    "an integer of 5,000 digits": (with_text(b"9" * 5000), 400),
    "an integer of 4,000 digits": (with_text(b"9" * 4000), 400),
    "an integer beyond 63 bits": (b'{"to": 99999999999999999999, "text": "a"}', 400),
    "arrays 20,000 deep": (b"[" * 20_000 + b"]" * 20_000, 400),
    "objects 5,000 deep": (b'{"a":' * 5000 + b"1" + b"}" * 5000, 400),
    "half a surrogate pair": (with_text(b'"\\ud800"'), 400),
    "a byte order mark": (b"\xef\xbb\xbf" + SOUND, 400),
    "UTF-16": (SOUND.decode().encode("utf-16"), 400),
    "Latin-1": (with_text(b'"caf\xe9"'), 400),
    "a control character in a text": (with_text(b'"a\nb"'), 400),
    "single quotes": (b"{'to': '1', 'text': 'a'}", 400),
    "a form": (b"to=%b&text=Hello" % NUMBER.encode(), 400),
    "null": (b"null", 422),
    "a bare text": (b'"Hello"', 422),
    "a list at the top": (b"[%b]" % SOUND, 422),
    "an empty object": (b"{}", 422),
    "a text that is true": (with_text(b"true"), 422),
    "a text that is null": (with_text(b"null"), 422),
    "a text without characters": (with_text(b'""'), 422),
    "a number that is true": (b'{"to": true, "text": "a"}', 422),
    "a number that is a list": (b'{"to": ["%b"], "text": "a"}' % NUMBER.encode(), 422),
    "a number of 16 digits": (b'{"to": 9999999999999999, "text": "a"}', 422),
    "a priority that is true": (b'{"to": "%b", "text": "a", "priority": true}' % NUMBER.encode(), 422),
    "a priority with a point": (b'{"to": "%b", "text": "a", "priority": 1.0}' % NUMBER.encode(), 422),
    "a validity below zero": (b'{"to": "%b", "text": "a", "validity": -1}' % NUMBER.encode(), 422),
    "a year that there is not": (
        b'{"to": "%b", "text": "a", "send_at": "2026-02-30T00:00:00Z"}' % NUMBER.encode(), 422,
    ),
    "a time without zone": (b'{"to": "%b", "text": "a", "send_at": "2026-02-03T00:00:00"}' % NUMBER.encode(), 422),
    "an unknown field": (b'{"to": "%b", "text": "a", "login": "demo"}' % NUMBER.encode(), 422),
    "101 messages": (b'{"messages": [%b]}' % b",".join([SOUND] * 101), 422),
}  # fmt: skip

LINES: dict[str, tuple[tuple[bytes, ...], int]] = {
    "a form by its type": ((BASIC, FORM), 415),
    "several parts by their type": ((BASIC, MULTIPART), 415),
    "no type": ((BASIC,), 415),
    "two types": ((BASIC, JSON, JSON), 415),
    "another charset": ((BASIC, JSON + b"; charset=windows-1251"), 415),
    "no credentials": ((JSON,), 401),
    "two Authorization headers": ((BASIC, BASIC, JSON), 400),
    "base64 that is none": ((b"Authorization: Basic %%%", JSON), 401),
    "credentials without a colon": ((b"Authorization: Basic " + base64.b64encode(b"demo"), JSON), 401),
    "empty credentials": ((b"Authorization: Basic ", JSON), 401),
    "credentials that are not UTF-8": ((b"Authorization: Basic " + base64.b64encode(b"demo:\xff\xfe"), JSON), 401),
    "another scheme": ((b"Authorization: Digest username=demo", JSON), 401),
    "a bearer token with a blank": ((b"Authorization: Bearer an api key", JSON), 401),
    "a password as bearer token": ((b"Authorization: Bearer secret", JSON), 401),
}


class CatalogueTests(V1TestCase):
    """Requests that must be refused."""

    def test_bodies(self) -> None:
        """Each body gets its status and a problem."""
        for name, (body, status) in BODIES.items():
            answer = self.ask("POST", "/v1/messages", body)
            self.assertEqual((answer.status, answer.json["status"]), (status, status), name)
            self.assertEqual(answer.headers["content-type"], "application/problem+json", name)
            self.assertEqual(bool(answer.json.get("errors")), status == 422, name)
        self.assertEqual(self.stored(), [])

    def test_heads(self) -> None:
        """Each head gets its status; the valid body after it is not stored."""
        for name, (lines, status) in LINES.items():
            answer = self.client.ask(request(b"POST", b"/v1/messages", SOUND, *lines))
            self.assertEqual(answer.status, status, name)
        self.assertEqual(self.stored(), [])

    def test_credentials_elsewhere(self) -> None:
        """Credentials in the query are ignored, those in a body are an unknown field."""
        answer = self.client.ask(request(b"GET", b"/v1/messages?login=demo&password=secret", None))
        self.problem(answer, 401, "no-credentials")
        self.problem(self.send(login="demo", password="secret"), 422, "bad-fields")

    def test_too_long(self) -> None:
        """A body beyond the listener's limit is refused before it is read as JSON."""
        answer = self.ask("POST", "/v1/messages", with_text(b'"' + b"x" * 65_536 + b'"'))
        self.problem(answer, 413, "body-too-large")
        documented = DOCUMENT["paths"]["/v1/messages"]["post"]["responses"]["413"]["content"]
        self.assertEqual([answer.headers["content-type"]], list(documented))
        self.assertEqual(self.stored(), [])

    def test_framing(self) -> None:
        """The response to a malformed request is a problem too."""
        answer = self.client.ask(b"GET /v1/account HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        self.problem(answer, 400, "bad-request")

    def test_wrong_passwords_are_alike(self) -> None:
        """An unknown account and a wrong password get the same response."""
        answers = [
            self.client.ask(request(b"GET", b"/v1/account", None, b"Authorization: Basic " + base64.b64encode(pair)))
            for pair in (b"demo:wrong", b"unknown:wrong", b":wrong")
        ]
        self.assertEqual([answer.status for answer in answers], [401] * 3)
        self.assertEqual(len({answer.body for answer in answers}), 1)

"""Credentials of the Rostelecom API: in the header or in the body."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from tests.frontends.rostelecom.case import FIELDS, SHOW, ApiTestCase
from tests.protocols.http.support import request


class Credentials(ApiTestCase):
    def test_header(self) -> None:
        """Every request authenticates by Basic; the blank after the colon may be missing. (004-179)"""
        token = b64encode(b"demo:secret")
        for start in (b"Authorization: Basic ", b"Authorization:Basic ", b"authorization:   basic "):
            line = start + token
            self.assertEqual(self.post(FIELDS, line).json["status"], "ok")
            self.assertEqual(self.get(b"VvkmLHkfhCX9", line).json["status"], "ok")
        self.assertEqual(set(self.delegate.logins), {(b"demo", b"secret", "192.0.2.7")})
        self.assertEqual(len(self.delegate.logins), 6)

    def test_body(self) -> None:
        """The body may contain login and pass instead. (004-180)"""
        answer = self.post({**FIELDS, "login": "demo", "pass": "secret"}, b"X-Nothing: 0")
        self.assertEqual(answer.json["status"], "ok")
        self.assert_wrong({**FIELDS, "login": "demo", "pass": "wrong"})

    def assert_wrong(self, fields: dict[str, Any]) -> None:
        """Check that these fields are refused, and no further message was submitted."""
        before = len(self.delegate.submitted)
        answer = self.post(fields, b"X-Nothing: 0")
        self.assertEqual((answer.status, answer.reason), (403, "wrong_credentials"))
        self.assertEqual(len(self.delegate.submitted), before)

    def test_header_wins(self) -> None:
        """With both, the header is used, right or wrong. (004-180)"""
        body = {**FIELDS, "login": "x", "pass": "y"}
        self.assertEqual(self.post(body).json["status"], "ok")
        self.assertEqual(self.delegate.logins, [(b"demo", b"secret", "192.0.2.7")])
        self.delegate.submitted.clear()
        right = {**FIELDS, "login": "demo", "pass": "secret"}
        self.assert_no(
            self.post(right, b"Authorization: Basic " + b64encode(b"x:y")), "wrong_credentials", 403
        )
        self.assert_no(self.post(right, b"Authorization: Basic !"), "auth_required", 401)

    def test_none(self) -> None:
        """Without credentials the response is 401 with a Basic challenge. (004-181)"""
        for fields in (FIELDS, {**FIELDS, "login": "demo"}, {**FIELDS, "pass": "x"}, {**FIELDS, "login": 1, "pass": 2}):
            answer = self.post(fields, b"X-Nothing: 0")
            self.assert_no(answer, "auth_required", 401)
            self.assertTrue(answer.headers["www-authenticate"].startswith("Basic "))
        self.assert_no(self.get(b"VvkmLHkfhCX9", b"X-Nothing: 0"), "auth_required", 401)
        self.assertEqual(self.delegate.logins, [])

    def test_unreadable(self) -> None:
        """Malformed credentials get the same response as missing ones, without a look-up. (004-181)"""
        token = b64encode(b"demo:secret")
        answers = set()
        for value in (
            b"",
            b"Basic",
            b"Basic !!!",
            b"Basic " + b64encode(b"nocolon"),
            b"Basic " + b64encode(b"a:\xff"),
            b"Bearer abc",
            b"Digest x",
            token,
            b"Basic " + token + b" x",
            b"Basic " + b"QUFB" * 3000,
        ):
            line = b"Authorization: " + value
            for answer in (self.post(FIELDS, line), self.get(b"VvkmLHkfhCX9", line)):
                answers.add((answer.status, answer.headers["www-authenticate"], answer.body))
        nothing = self.post(FIELDS, b"X-Nothing: 0")
        self.assertEqual(answers, {(401, nothing.headers["www-authenticate"], nothing.body)})
        self.assertEqual(self.delegate.logins, [])

    def test_wrong(self) -> None:
        """Wrong credentials get exactly the 47 octets of the document, and 403. (004-182), (004-192)"""
        answer = self.post(FIELDS, b"Authorization: Basic " + b64encode(b"demo:wrong"))
        self.assertEqual(answer.status, 403)
        self.assertEqual(answer.body, b'{"reason":"wrong_credentials","status":"error"}')
        self.assertEqual(answer.headers["content-length"], "47")
        self.assertNotIn("www-authenticate", answer.headers)

    def test_never_in_the_uri(self) -> None:
        """Credentials in the query are ignored."""
        self.client.send(request(b"GET", SHOW + b"VvkmLHkfhCX9?login=demo&pass=secret"))
        self.assertEqual([answer.status for answer in self.client.responses()], [401])

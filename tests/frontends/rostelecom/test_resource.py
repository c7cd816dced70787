"""The resource of the Rostelecom API, with a recording delegate."""

from __future__ import annotations

import json
from base64 import b64encode

from twisted.internet.task import Clock
from twisted.web.resource import Resource
from zope.interface.verify import verifyObject

from smsgw.frontends.rostelecom.resource import MessageResource
from smsgw.interfaces import ApiError, IJsonDelegate, MessageStatus
from smsgw.protocols.http.jsonresource import BoundedSite
from tests.frontends.rostelecom.case import FIELDS, SEND, SHOW, ApiTestCase
from tests.protocols.http.support import BASIC, Client, chunked, request


class Sending(ApiTestCase):
    def test_delegate(self) -> None:
        """The delegate of these tests provides the interface."""
        verifyObject(IJsonDelegate, self.delegate)

    def test_answer(self) -> None:
        """The response to a message has its uid, in the 58 octets of the document. (004-177), (004-191), (004-192)"""
        answer = self.post(FIELDS)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body, b'{"result":{"uid":"message-id-VvkmLHkfhCX9"},"status":"ok"}')
        self.assertEqual(answer.headers["content-length"], "58")
        self.assertEqual(self.delegate.submitted, [("demo", "79270000001", "DEMO", "test")])

    def test_header_fields(self) -> None:
        """The response has the header fields of the document. (004-193)"""
        answer = self.post(FIELDS)
        self.assertEqual(answer.headers["content-type"], "application/json; charset=utf-8")
        self.assertEqual(answer.headers["connection"], "keep-alive")
        self.assertRegex(answer.headers["x-request-id"], r"\A[0-9a-f]{32}\Z")
        self.client.send(request(b"GET", SHOW + b"1", None, BASIC))
        self.assertRegex(self.client.transport.value(), rb"\r\nx-request-id: [0-9a-f]{32}\r\n")

    def test_versions(self) -> None:
        """HTTP 1.0 is served as 1.1 is. (004-178)"""
        octets = json.dumps(FIELDS).encode()
        answer = self.client.ask(request(b"POST", SEND, octets, BASIC, version=b"1.0"))
        self.assertEqual(answer.json["status"], "ok")

    def test_chunks(self) -> None:
        """A chunked body is accepted."""
        octets = json.dumps({**FIELDS, "login": "demo", "pass": "secret"}).encode()
        self.assertEqual(self.client.ask(chunked(octets[:20], octets[20:], path=SEND)).json["status"], "ok")

    def test_number_or_string(self) -> None:
        """The number comes as a JSON number or as a string. (004-185)"""
        for msisdn in (79270000001, "79270000001"):
            self.assertEqual(self.post({**FIELDS, "msisdn": msisdn}).json["status"], "ok")
        self.assertEqual({each[1] for each in self.delegate.submitted}, {"79270000001"})

    def test_wrong_numbers(self) -> None:
        """Only the digits of an international number are accepted; a Russian one begins with 7. (004-185)"""
        for msisdn in (
            None, True, False, 79270000001.0, 7.9e10, -79270000001, 0, "", " ", "+79270000001", "7 927 000-00-01",
            "79270000001 ", "٧٩٢٧٠٠٠٠٠٠١", "89270000001", 89270000001, "0079270000001", "7927", 7927, "7" * 16, "DEMO",
            [79270000001], {"n": 79270000001}, "79270000001\n",
        ):  # fmt: skip
            with self.subTest(msisdn=msisdn):
                self.assert_no(self.post({**FIELDS, "msisdn": msisdn}), "invalid_field_msisdn")
        self.assert_no(self.post({"shortcode": "DEMO", "text": "test"}), "invalid_field_msisdn")

    def test_other_countries(self) -> None:
        """Numbers of other countries are accepted."""
        for msisdn in ("375291234567", "998901234567", "4915112345678", "12025550123"):
            self.post({**FIELDS, "msisdn": msisdn})
        self.assertEqual(len(self.delegate.submitted), 4)

    def test_national_numbers(self) -> None:
        """The country sets the form of national numbers."""
        self.client = Client(BoundedSite(MessageResource(self.delegate, country=""), Clock()))
        self.assertEqual(self.post({**FIELDS, "msisdn": "85212345678"}).json["status"], "ok")

    def test_wrong_sender(self) -> None:
        """A sender is a string and not empty. (004-187)"""
        shortcode: object
        for shortcode in (None, "", 1234, True, ["DEMO"], {}):
            with self.subTest(shortcode=shortcode):
                self.assert_no(self.post({**FIELDS, "shortcode": shortcode}), "invalid_field_shortcode")
        self.assert_no(self.post({"msisdn": 79270000001, "text": "test"}), "invalid_field_shortcode")

    def test_what_is_no_text(self) -> None:
        """A text that is empty, null, missing or not a string is passed to the delegate as an empty one. (004-188)"""
        self.delegate.answer = ApiError("invalid_field_text")
        text: object
        for text in ("", None, 1, True, ["x"], {}):
            with self.subTest(text=text):
                self.assertEqual(self.post({**FIELDS, "text": text}).reason, "invalid_field_text")
        self.assertEqual(self.post({"msisdn": 79270000001, "shortcode": "DEMO"}).reason, "invalid_field_text")
        self.assertEqual({each[3] for each in self.delegate.submitted}, {""})

    def test_f8_control_characters(self) -> None:
        """A text with a control character is refused as one that is no text."""
        self.delegate.answer = ApiError("invalid_field_text")
        for wrong in "\0\b\v\x0e\x1b\x1f\x7f\x80\x9f":
            self.assertEqual(self.post({**FIELDS, "text": f"ab{wrong}c"}).reason, "invalid_field_text")
        self.assertEqual({each[3] for each in self.delegate.submitted}, {""})

    def test_text(self) -> None:
        """The text arrives unchanged, in raw UTF-8 or escaped."""
        text = "Добрый день \U0001f600 \"'\\/\t\n"
        self.post({**FIELDS, "text": text})
        self.post(json.dumps({**FIELDS, "text": text}, ensure_ascii=False).encode())
        self.assertEqual([each[3] for each in self.delegate.submitted], [text, text])

    def test_unknown_fields(self) -> None:
        """Unknown fields are ignored."""
        self.assertEqual(self.post({**FIELDS, "Text": "x", "callback": {"a": []}}).json["status"], "ok")

    def test_wrong_bodies(self) -> None:
        """A body that is not a JSON object, or is ambiguous, is a wrong request. (004-186), (004-187)"""
        for octets in (
            b"",
            b"{",
            b"[]",
            b'"text"',
            b"null",
            b"1",
            b"msisdn=79270000001&shortcode=DEMO&text=test",
            b'{"msisdn":79270000001,"shortcode":"DEMO","text":"a","text":"b"}',
            b'{"msisdn":79270000001,"shortcode":"DEMO","text":NaN}',
            b'{"msisdn":79270000001,"shortcode":"DEMO","text":1e400}',
            b'{"msisdn":' + b"7" * 5000 + b',"shortcode":"DEMO","text":"a"}',
            b'{"msisdn":79270000001,"shortcode":"DEMO","text":"\\ud800"}',
            b'{"msisdn":79270000001,"shortcode":"DEMO","text":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
            b'{"msisdn":79270000001,"shortcode":"DEMO","text":"\xff"}',
            b"\xef\xbb\xbf" + json.dumps(FIELDS).encode(),
            json.dumps(FIELDS).encode("utf-16"),
            json.dumps(FIELDS).encode("utf-16-le"),
        ):
            with self.subTest(octets=octets[:60]):
                self.assert_no(self.post(octets), "invalid_request_body")

    def test_charsets(self) -> None:
        """A body in another charset than UTF-8 is a wrong request; the media type is ignored."""
        for kind in (b"application/json; charset=windows-1251", b'text/plain;charset="utf-16"'):
            self.assert_no(self.post(FIELDS, BASIC, b"Content-Type: " + kind), "invalid_request_body")
            self.assert_no(
                self.post({**FIELDS, "login": "demo", "pass": "secret"}, b"Content-Type: " + kind), "auth_required", 401
            )
        for kind in (
            b"application/json",
            b"application/json;charset=UTF-8",
            b'application/json; charset="utf-8"',
            b"application/x-www-form-urlencoded",
            b"text/plain; charset=us-ascii",
            b"nonsense",
        ):
            self.assertEqual(self.post(FIELDS, BASIC, b"Content-Type: " + kind).json["status"], "ok")

    def test_multipart(self) -> None:
        """A multipart body is refused, as it is not JSON."""
        octets = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\ntest\r\n--x--\r\n'
        answer = self.post(octets, BASIC, b"Content-Type: multipart/form-data; boundary=x")
        self.assert_no(answer, "invalid_request_body")

    def test_too_long(self) -> None:
        """A body over 64 KiB is refused by its length, before the delegate is called."""
        answer = self.post({**FIELDS, "text": "x" * 65_536})
        self.assertEqual(answer.status, 413)
        self.assertEqual(self.delegate.logins, [])

    def test_no_of_the_delegate(self) -> None:
        """A refusal of the delegate is sent as its word and status 200. (004-186)"""
        for reason in ("invalid_source_address", "system_error", "invalid_field_shortcode"):
            self.delegate.answer = ApiError(reason)
            answer = self.post(FIELDS)
            self.assertEqual((answer.status, answer.reason), (200, reason))

    def test_failure(self) -> None:
        """A failure of the delegate is a system error with status 200. (004-186), (004-187)"""
        self.delegate.failure = ZeroDivisionError()
        for answer in (self.post(FIELDS), self.get(b"VvkmLHkfhCX9")):
            self.assertEqual((answer.status, answer.reason), (200, "system_error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_waits_for_the_delegate(self) -> None:
        """The response is sent after the delegate's Deferred fires."""
        self.delegate.waiting = []
        self.client.send(request(b"POST", SEND, json.dumps(FIELDS).encode(), BASIC))
        self.assertEqual(self.client.responses(), [])
        self.delegate.waiting[0].callback("33")
        (answer,) = self.client.responses()
        self.assertEqual(answer.json["result"], {"uid": "message-id-33"})

    def test_order(self) -> None:
        """The first error in this order is reported: credentials, body, number, sender, text. (004-186)"""
        self.delegate.answer = ApiError("invalid_field_text")
        wrong = b"Authorization: Basic " + b64encode(b"demo:wrong")
        self.assert_no(self.post(b"{", b"X-Nothing: 0"), "auth_required", 401)
        self.assert_no(self.post(b"{", wrong), "wrong_credentials", 403)
        self.assert_no(self.post(b"{"), "invalid_request_body")
        self.assert_no(self.post({"msisdn": "x", "shortcode": 1, "text": ""}), "invalid_field_msisdn")
        self.assert_no(self.post({"msisdn": "79270000001", "shortcode": 1, "text": ""}), "invalid_field_shortcode")
        answer = self.post({"msisdn": "79270000001", "shortcode": "DEMO", "text": ""})
        self.assertEqual(answer.reason, "invalid_field_text")


class Showing(ApiTestCase):
    def test_answer(self) -> None:
        """A message is shown with all its fields, times and number as numbers. (004-177), (004-194), (004-195)"""
        answer = self.get(b"VvkmLHkfhCX9")
        self.assertEqual(answer.status, 200)
        expected = (
            '{"result":{"created_at":1574087003,"msisdn":79377778686,"pdu_count":null,"status":"delivered",'
            '"text":"Дом","uid":"message-id-VvkmLHkfhCX9","updated_at":1574087004},"status":"ok"}'
        )
        self.assertEqual(answer.body.decode(), expected)
        self.assertEqual(self.delegate.asked, [("demo", "VvkmLHkfhCX9")])

    def test_pdu_count(self) -> None:
        """The number of parts is a number if it is known. (004-195)"""
        self.delegate.shown = MessageStatus(1, 2, "79377778686", 3, "awaiting_report", "x")
        self.assertEqual(self.get(b"VvkmLHkfhCX9").json["result"]["pdu_count"], 3)

    def test_error_code(self) -> None:
        """Only a rejected message has error_code. (004-196)"""
        for status in ("delivered", "awaiting_report", "failed", "insufficient_balance", "rejected"):
            self.delegate.shown = MessageStatus(1, 2, "79377778686", 1, status, "x", 255)
            result = self.get(b"VvkmLHkfhCX9").json["result"]
            self.assertEqual(result.get("error_code"), 255 if status == "rejected" else None)

    def test_unknown(self) -> None:
        """A well-formed unknown id is not found; the response has status 200. (004-186), (004-187)"""
        for id in (b"7461983", b"VvkmLHkfhCX8", b"0", b"a" * 64):
            self.assert_no(self.get(id), "transaction_not_found")

    def test_malformed(self) -> None:
        """A malformed id is a wrong request; the delegate is not called. (004-187)"""
        for id in (b"", b"1-2", b"%31", b"1%00", b"a_b", b"1;2", b"a" * 65, b"*", b"message-id-1"):
            self.assert_no(self.get(id), "invalid_request_body")
        self.assertEqual(self.delegate.asked, [])

    def test_credentials_first(self) -> None:
        """Without valid credentials the response says nothing about the id. (004-182)"""
        wrong = b"Authorization: Basic " + b64encode(b"demo:wrong")
        answers = {self.get(id, wrong).body for id in (b"VvkmLHkfhCX9", b"1", b"%31")}
        self.assertEqual(answers, {b'{"reason":"wrong_credentials","status":"error"}'})

    def test_hostile_text(self) -> None:
        """A text with lone surrogates is shown without an error."""
        self.delegate.shown = MessageStatus(1, 2, "short", 1, "delivered", 'a\ud800"\u202e\x00')
        result = self.get(b"VvkmLHkfhCX9").json["result"]
        self.assertEqual((result["text"], result["msisdn"]), ('a?"\u202e\x00', "short"))


class Paths(ApiTestCase):
    def test_methods(self) -> None:
        """POST sends, GET queries; the response to other methods lists these. (004-177)"""
        for method, path, allowed in (
            (b"GET", SEND, "OPTIONS, POST"),
            (b"PUT", SEND, "OPTIONS, POST"),
            (b"HEAD", SEND, "OPTIONS, POST"),
            (b"POST", SHOW + b"1", "GET, HEAD, OPTIONS"),
            (b"DELETE", SHOW + b"1", "GET, HEAD, OPTIONS"),
        ):
            self.client.send(request(method, path, None, BASIC))
            octets = self.client.transport.value()
            self.client.transport.clear()
            self.assertTrue(octets.startswith(b"HTTP/1.1 405 "))
            self.assertIn(f"\r\nAllow: {allowed}\r\n".encode(), octets)

    def test_other_paths(self) -> None:
        """Other paths are not found. (004-177)"""
        for path in (b"/", b"/api/v2/", SEND + b"/", b"/api/v2/Send_message", b"/api/send_message", SHOW + b"1/"):
            self.assertEqual(self.client.ask(request(b"POST", path, b"{}", BASIC)).status, 404)

    def test_mounted(self) -> None:
        """The API can be mounted below a resource of another program."""
        root = Resource()
        root.putChild(b"sms", MessageResource(self.delegate))
        self.client = Client(BoundedSite(root, Clock()))
        answer = self.client.ask(request(b"POST", b"/sms" + SEND, json.dumps(FIELDS).encode(), BASIC))
        self.assertEqual(answer.json["status"], "ok")

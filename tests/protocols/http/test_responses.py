"""The form of responses, chosen by path."""

from __future__ import annotations

import json
from itertools import count

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import WebLimits
from smsgw.protocols.http.jsonresource import BoundedSite, JsonResource, ResourcePath, json_answer
from smsgw.protocols.http.responses import ResponseForm, ResponseForms, bare_reason, problem_details
from tests.protocols.http.support import Client, Response, request


def plain(status: int, reason: str) -> tuple[bytes, bytes]:
    """A form of the test."""
    return b"text/plain", f"{status} {reason}".encode()


class WriterTests(SynchronousTestCase):
    """The two forms."""

    def test_problem_details(self) -> None:
        """(RFC 9457) A title, the status and the reason in words."""
        kind, body = problem_details(413, "body_too_large")
        self.assertEqual(kind, b"application/problem+json")
        self.assertEqual(
            json.loads(body), {"title": "Content Too Large", "status": 413, "detail": "body too large"}
        )

    def test_bare_reason(self) -> None:
        """The second form has the reason only."""
        self.assertEqual(
            bare_reason(413, "body_too_large"),
            (b"application/json; charset=utf-8", b'{"reason":"body_too_large","status":"error"}'),
        )

    def test_by_path(self) -> None:
        """The first segment of the path selects the form; other paths have the common form."""
        common, own = ResponseForm(plain), ResponseForm(bare_reason)
        forms = ResponseForms(common, {b"v1": own})
        for path in (b"/v1", b"/v1/", b"/v1/messages?limit=1", b"/v1?x"):
            self.assertIs(forms.of(path), own, path)
        for path in (b"", b"/", b"*", b"v1", b"/v10", b"//v1", b"/x/v1", b"http://h/v1", b"?/v1"):
            self.assertIs(forms.of(path), common, path)


class SiteTests(SynchronousTestCase):
    """A site that serves two APIs."""

    def setUp(self) -> None:
        """One API with a different form, below /own: plain errors, and a number in each response."""
        self.clock = Clock()
        self.numbers = count(1)
        methods = {b"POST": lambda request: json_answer({}), b"PUT": lambda request: json_answer(1 // 0)}
        routes = [ResourcePath("/own/x", methods), ResourcePath("/other", methods)]
        own = ResponseForm(plain, lambda: ((b"x-NUMBER", b"%d" % next(self.numbers)),))
        self.site = BoundedSite(
            JsonResource(routes, errors=plain), self.clock, WebLimits(body_limit=10),
            forms=ResponseForms(ResponseForm(bare_reason), {b"own": own}),
        )  # fmt: skip

    def refused(self, octets: bytes) -> Response:
        """The response to octets on a new connection, which then ends."""
        client = Client(self.site)
        client.send(octets)
        (answer,) = client.responses()
        self.assertEqual(answer.headers["connection"], "close")
        return answer

    def test_refusals_of_the_site(self) -> None:
        """Error responses of the site have the form of the API of the path, from the request line on."""
        head = b" /own/x HTTP/1.1\r\n"
        for octets, body in (
            (request(b"POST", b"/own/x", b"x" * 11), b"413 body_too_large"),
            (b"POST" + head + b"Host: a\r\nHost: b\r\n\r\n", b"400 bad_request"),
            (b"POST" + head + b" folded: x\r\n\r\n", b"400 bad_request"),
            (b"POST" + head + b"X: " + b"x" * 20_000, b"431 head_too_large"),
        ):
            answer = self.refused(octets)
            self.assertEqual((answer.headers["content-type"], answer.body), ("text/plain", body))
        for octets, reason in (
            (request(b"POST", b"/other", b"x" * 11), "body_too_large"),
            (b"nonsense\r\n\r\n", "bad_request"),
            (b"GET http://h/own/x HTTP/1.1\r\nHost: h\r\n\r\n", "bad_request"),
            (b"x" * 20_000, "head_too_large"),
        ):
            self.assertEqual(self.refused(octets).reason, reason)

    def test_deadlines(self) -> None:
        """The timeout of a request has the form of its API; without a path it has the common form."""
        whole, half = Client(self.site), Client(self.site)
        whole.send(b"POST /own/x HTTP/1.1\r\nHost: h\r\n")
        half.send(b"POST /own")
        for _ in range(11):
            self.clock.advance(1)
        self.assertEqual(whole.responses()[0].body, b"408 request_timeout")
        self.assertEqual(half.responses()[0].reason, "request_timeout")

    def test_next_request(self) -> None:
        """The path of the previous request does not affect the next one."""
        client = Client(self.site)
        self.assertEqual(client.ask(request(b"POST", b"/own/x", b"{}")).status, 200)
        client.send(b"POST /own")
        for _ in range(11):
            self.clock.advance(1)
        self.assertEqual(client.responses()[0].reason, "request_timeout")

    def test_resource(self) -> None:
        """A path without a route in a resource gets the resource's form."""
        self.assertEqual(Client(self.site).ask(request(b"GET", b"/own/y")).body, b"404 not_found")

    def test_header_fields(self) -> None:
        """Each response of an API has its header fields, whether the resource or the site writes it, and others have
        not. The case of a name stays as it is."""
        client = Client(self.site)
        for octets in (
            request(b"POST", b"/own/x", b"{}"),
            request(b"POST", b"/other", b"{}"),
            request(b"OPTIONS", b"/own/x"),
            request(b"PUT", b"/own/x", b"{}"),
            request(b"GET", b"/own/y"),
            request(b"POST", b"/own/x", b"x" * 11),
        ):
            client.send(octets)
        heads = [part.partition(b"\r\n\r\n")[0] for part in client.transport.value().split(b"HTTP/1.1 ")[1:]]
        self.assertEqual([head[:3] for head in heads], [b"200", b"200", b"204", b"500", b"404", b"413"])
        numbers = [[line for line in head.split(b"\r\n") if line.lower().startswith(b"x-number")] for head in heads]
        self.assertEqual(numbers, [[b"x-NUMBER: %d" % n] if n else [] for n in (1, 0, 2, 3, 4, 5)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

"""Routes: exact paths, methods, and responses to requests without a route."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from smsgw.protocols.http.jsonresource import (
    Answer,
    BoundedSite,
    JsonResource,
    ResourcePath,
    host,
    json_answer,
    peer,
    query,
)
from smsgw.protocols.http.responses import bare_reason
from tests.protocols.http.support import BASIC, Client, Echo, Served, request


class Routes(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Served().connect()

    def test_groups(self) -> None:
        """Groups of a route's path reach its function as text."""
        self.assertEqual(self.client.ask(request(b"GET", b"/item/33")).json, {"number": "33"})

    def test_exact(self) -> None:
        """Only the exact path matches a route: escapes, dot segments, further slashes and other case do not."""
        for path in (
            b"/",
            b"//echo",
            b"/echo/",
            b"/echo//",
            b"/Echo",
            b"/%65cho",
            b"/echo%00",
            b"/echo%2f",
            b"/x/../echo",
            b"/./echo",
            b"/echo;a=b",
            b"/item/",
            b"/item/3x",
            b"/item/3%33",
            b"/item/3/",
            b"/" + b"x" * 8192,
        ):
            with self.subTest(path=path):
                answer = self.client.ask(request(b"GET", path))
                self.assertEqual((answer.status, answer.reason), (404, "not_found"))

    def test_query_is_no_path(self) -> None:
        """The query does not affect the choice of the route."""
        self.assertEqual(self.client.ask(request(b"GET", b"/echo?a=b")).status, 200)

    def test_methods(self) -> None:
        """The response to a method that a route does not have lists its methods."""
        for method in (b"POST", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"get", b"FOO", b"CONNECT"):
            with self.subTest(method=method):
                answer = self.client.ask(request(method, b"/item/3"))
                self.assertEqual((answer.status, answer.reason), (405, "method_not_allowed"))
                self.assertEqual(answer.headers["allow"], "GET, HEAD, OPTIONS")

    def test_options(self) -> None:
        """OPTIONS lists the methods, without a body."""
        answer = self.client.ask(request(b"OPTIONS", b"/echo"))
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(answer.headers["allow"], "GET, HEAD, OPTIONS, POST")
        self.assertNotIn("content-length", answer.headers)

    def test_head(self) -> None:
        """The response to HEAD is that of GET without the body."""
        shown = self.client.ask(request(b"GET", b"/item/3"))
        self.client.send(request(b"HEAD", b"/item/3"))
        octets = self.client.transport.value()
        self.assertTrue(octets.endswith(b"\r\n\r\n"))
        self.assertIn(b"Content-Length: %d\r\n" % len(shown.body), octets)

    def test_two_authorizations(self) -> None:
        """Two Authorization headers count as no credentials."""
        answer = self.client.ask(request(b"GET", b"/echo", None, BASIC, BASIC))
        self.assertEqual((answer.status, answer.reason), (400, "bad_request"))

    def test_not_kept(self) -> None:
        """Responses forbid caching."""
        self.assertEqual(self.client.ask(request()).headers["cache-control"], "no-store")


class Mounted(SynchronousTestCase):
    def test_below_a_prefix(self) -> None:
        """Routes are relative to the mount point."""
        root, gateway = Resource(), Resource()
        root.putChild(b"gateway", gateway)
        gateway.putChild(b"api", Echo())
        client = Client(BoundedSite(root, Clock()))
        self.assertEqual(client.ask(request(b"GET", b"/gateway/api/item/3")).json, {"number": "3"})
        self.assertEqual(client.ask(request(b"GET", b"/gateway/api/gateway/api/item/3")).reason, "not_found")
        self.assertEqual(client.ask(request(b"GET", b"/gateway/api")).reason, "not_found")

    def test_stock_site(self) -> None:
        """A site of twisted.web gives the same responses, and a body that is too long is refused."""
        site = Site(Echo(), reactor=Clock())
        channel = site.buildProtocol(None)
        assert channel is not None
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(request(b"POST", b"/echo", b"abc") + request(b"POST", b"/echo", b"x" * 70_000))
        first, _, second = transport.value().partition(b'{"body":"abc"}')
        self.assertIn(b"HTTP/1.1 200 OK", first)
        self.assertIn(b"HTTP/1.1 413 ", second)
        self.assertIn(b'{"reason":"body_too_large","status":"error"}', second)


class Requests(SynchronousTestCase):
    def ask(self, read: Any, *lines: bytes, path: bytes = b"/x") -> Any:
        """The result of `read` for a request."""
        route = ResourcePath("/x", {b"GET": lambda request: json_answer(read(request))})
        resource = JsonResource((route,), errors=bare_reason)
        client = Client(BoundedSite(resource, Clock()), "192.0.2.7")
        client.send(b"GET %b HTTP/1.1\r\n%b\r\n\r\n" % (path, b"\r\n".join(lines)))
        (answer,) = client.responses()
        return answer.json

    def test_peer(self) -> None:
        """The client's address is that of the socket; headers cannot change it."""
        self.assertEqual(self.ask(peer, b"Host: x", b"X-Forwarded-For: 127.0.0.1"), "192.0.2.7")

    def test_host(self) -> None:
        """The Host header is read without its port."""
        for written, read in (
            (b"Localhost:8081", "localhost"),
            (b"127.0.0.1", "127.0.0.1"),
            (b"[::1]:8081", "[::1]"),
            (b"[::1]", "[::1]"),
            (b"", ""),
            (b"localhost.evil.example:80", "localhost.evil.example"),
        ):
            self.assertEqual(self.ask(host, b"Host: " + written), read)

    def test_query(self) -> None:
        """The query is read as UTF-8, blank values kept."""
        values = self.ask(query, b"Host: x", path=b"/x?a=1&b=&c=%D0%94%20+x?y")
        self.assertEqual(values, {"a": "1", "b": "", "c": "Д  x?y"})

    def test_bad_query(self) -> None:
        """A repeated name, invalid UTF-8 and too many names are errors."""

        def error(request: Any) -> str:
            return str(self.assertRaises(ValueError, query, request))

        for written in (b"a=1&a=2", b"a=%FF", b"&".join(b"n%d=" % n for n in range(51))):
            self.assertTrue(self.ask(error, b"Host: x", path=b"/x?" + written))

    def test_answers(self) -> None:
        """A response with another type and further header fields is sent unchanged."""
        answer = Answer(202, b"text", [(b"X-More", b"1")], b"text/plain")
        resource = JsonResource((ResourcePath("/", {b"GET": lambda request: answer}),), errors=bare_reason)
        response = Client(BoundedSite(resource, Clock())).ask(request(b"GET", b"/"))
        self.assertEqual((response.status, response.body), (202, b"text"))
        self.assertEqual((response.headers["x-more"], response.headers["content-type"]), ("1", "text/plain"))

"""The HTTP client with correct and with misbehaving servers."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError, ConnectionLost
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase
from twisted.web.client import Agent, RequestNotSent, RequestTransmissionFailed

from smsgw.program import certificates
from smsgw.protocols.http import client as client_module
from smsgw.protocols.http.client import RequestFailed, WebClient, WebResponse
from tests.protocols.http.servers import Receiver, ReceiverFactory, answering, reactor


class WebClientTests(TestCase):
    """A client and a server over loopback."""

    def setUp(self) -> None:
        """A client with a timeout of one second."""
        self.client = WebClient(reactor, per_host=2, seconds=1.0, limit=1000)
        self.addCleanup(self.client.close)

    def server(self, answer: Any) -> ReceiverFactory:
        """A server that the test closes at its end."""
        server = ReceiverFactory(answer)
        self.addCleanup(server.stop)
        return server

    async def got(self, answer: Any, method: bytes = b"POST", body: bytes | None = b"x") -> WebResponse:
        """The response to one request."""
        return await self.client.request(method, self.server(answer).url + "/a?b=c", [(b"X-Y", b"z")], body)

    async def failure(self, answer: Any) -> RequestFailed:
        """The failure of one request."""
        with self.assertRaises(RequestFailed) as caught:
            await self.got(answer)
        return caught.exception

    async def test_answers(self) -> None:
        """Status, headers and body are returned; connections are reused."""
        server = self.server(answering(201, b"Retry-After: 7\r\n", b"yes"))
        for _ in range(3):
            got = await self.client.request(b"POST", server.url + "/a?b=c", [(b"X-Y", b"z")], b"body")
            self.assertEqual((got.status, got.body, got.complete), (201, b"yes", True))
            self.assertEqual((got.header(b"Retry-After"), got.header(b"Other")), ("7", ""))
        self.assertEqual(len(server.connections), 1)
        head, body = server.requests[0]
        self.assertTrue(head.startswith(b"POST /a?b=c HTTP/1.1\r\n"))
        self.assertIn(b"X-Y: z", head.title().replace(b"Z", b"z"))
        self.assertEqual(body, b"body")

    async def test_connect(self) -> None:
        """An attempt to connect sends no request; it fails like one that could not be sent."""
        server = self.server(answering())
        await self.client.connect(server.url)
        self.assertEqual(server.requests, [])
        with self.assertRaises(RequestFailed) as caught:
            await self.client.connect("http://127.0.0.1:1")
        failed = caught.exception
        self.assertEqual((str(failed), failed.sent), ("no connection: ConnectionRefusedError", False))

    async def test_without_a_body(self) -> None:
        """A GET has no body."""
        server = self.server(answering())
        await self.client.request(b"GET", server.url)
        self.assertEqual(server.requests[0][1], b"")
        self.assertTrue(server.requests[0][0].startswith(b"GET / HTTP/1.1"))

    async def test_redirect(self) -> None:
        """A redirect is returned as a response and not followed."""
        elsewhere = self.server(answering())
        got = await self.got(answering(302, f"Location: {elsewhere.url}/\r\n".encode()))
        self.assertEqual(got.status, 302)
        self.assertEqual(elsewhere.requests, [])

    async def test_silence(self) -> None:
        """A request to a silent server fails at the deadline."""
        failed = await self.failure(lambda receiver: None)
        self.assertEqual((str(failed), failed.sent), ("no response in time", True))

    async def test_dripping(self) -> None:
        """A request to a server that sends single octets fails at the same deadline, in headers and body."""
        drips: list[LoopingCall] = []

        def drip(beginning: bytes) -> Any:
            def answer(receiver: Receiver) -> None:
                receiver.send(beginning)
                drips.append(LoopingCall(receiver.send, b"a"))
                drips[-1].start(0.05)

            return answer

        self.assertEqual(str(await self.failure(drip(b"HTTP/1.1 200 OK\r\nX: "))), "no response in time")
        got = await self.got(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"))
        self.assertFalse(got.complete)
        for one in drips:
            one.stop()

    async def test_endless_body(self) -> None:
        """The beginning of an endless body is read, then the connection is closed."""
        server = self.server(flood(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"))
        got = await self.client.request(b"POST", server.url, (), b"")
        self.assertEqual((got.status, len(got.body), got.complete), (200, 1000, False))
        await gone(server)

    async def test_endless_headers(self) -> None:
        """A connection with endless headers or interim responses is cut."""
        for beginning, more in (
            (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (b"HTTP/1.1 200 OK\r\nX: ", b"aaaaaaaa"),
        ):
            server = self.server(flood(beginning, more))
            with self.assertRaises(RequestFailed) as caught:
                await self.client.request(b"POST", server.url, (), b"")
            self.assertTrue(caught.exception.sent)
            await gone(server)

    async def test_no_http(self) -> None:
        """Octets that are not HTTP fail the request."""
        for octets in (b"SSH-2.0-x\r\n\r\n", b"\0\0\0\x10\x80\0\0\0", b"HTTP/1.1 a\r\n\r\n", b"\xff" * 99 + b"\n\n"):

            def answer(receiver: Receiver, octets: bytes = octets) -> None:
                receiver.send(octets)
                transport: Any = receiver.transport
                transport.loseConnection()

            self.assertTrue((await self.failure(answer)).sent, octets)

    async def test_closed(self) -> None:
        """If the connection ends before the response, the request may have been sent."""

        def answer(receiver: Receiver) -> None:
            transport: Any = receiver.transport
            transport.abortConnection()

        self.assertTrue((await self.failure(answer)).sent)

    async def test_no_server(self) -> None:
        """If the port is closed or the host is unknown, no request was sent."""
        server = ReceiverFactory(answering())
        url = server.url
        await server.stop()
        for where in (url, "http://no-such-host.invalid/"):
            with self.assertRaises(RequestFailed) as caught:
                await self.client.request(b"GET", where)
            self.assertFalse(caught.exception.sent)

    async def test_compressed(self) -> None:
        """A compressed body is neither requested nor decompressed, so that a compression bomb has no effect."""
        bomb = gzip.compress(bytes(50_000_000))
        for octets in (b"\x1f\x8bnonsense", bomb):
            for coding in (b"gzip", b"GZIP", b"identity, gzip", b"gzip\r\ncontent-encoding: gzip", b"deflate", b"br"):
                server = self.server(answering(200, b"Content-Encoding: %b\r\n" % coding, octets))
                client = WebClient(reactor, seconds=10.0, limit=len(bomb))
                self.addCleanup(client.close)
                got = await client.request(b"GET", server.url)
                self.assertEqual((got.body == octets, got.complete), (True, True), coding)
                self.assertNotIn(b"accept-encoding", server.requests[0][0].lower())

    async def test_cookies(self) -> None:
        """Cookies are not kept, neither for the next request nor for another host or path."""
        cookies = b"Set-Cookie: a=b\r\nSet-Cookie: c=d; Path=/; Max-Age=1000\r\nSet-Cookie2: e=f; Version=1\r\n"
        server = self.server(answering(200, cookies))
        for path in ("/", "/", "/a"):
            got = await self.client.request(b"GET", server.url + path)
            self.assertEqual(got.header(b"Set-Cookie"), "c=d; Path=/; Max-Age=1000")
        for head, _ in server.requests:
            self.assertNotIn(b"cookie", head.lower())

    async def test_address_as_given(self) -> None:
        """Path and query reach the server unchanged."""
        server = self.server(answering())
        targets = ("/a|b{c}/../d//e;f?x=[1]&&y=%zz&z==\"'<>^`", "/%D0%90?a=+%20b/c?d&e", "/?a", "//a", "/%2e%2E/")
        for target in targets:
            await self.client.request(b"GET", server.url + target)
        self.assertEqual([head.split(b" ")[1].decode() for head, _ in server.requests], list(targets))

    async def test_hosts(self) -> None:
        """A host may be an IPv6 address or a name outside the standard."""
        try:
            six = ReceiverFactory(answering(), interface="::1")
        except CannotListenError as error:
            raise SkipTest("no IPv6 here") from error
        self.addCleanup(six.stop)
        got = await self.client.request(b"GET", f"http://[::1]:{six.port.getHost().port}/")
        self.assertEqual(got.status, 200)
        guarded = WebClient(reactor, guard=True)
        for host in ("[::1::2]", "under_score.invalid", "-.invalid", "...", "a" * 300 + ".invalid"):
            for scheme in ("http", "https"):
                for one in (self.client, guarded):
                    with self.assertRaises(RequestFailed) as caught:
                        await one.request(b"GET", f"{scheme}://{host}:1234/")
                    self.assertFalse(caught.exception.sent, host)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_idle(self) -> None:
        """An idle connection is closed after its time."""
        self.patch(client_module, "IDLE", 0.05)
        patient = WebClient(reactor)
        server = self.server(answering())
        await patient.request(b"GET", server.url)
        self.assertEqual(len(server.connections), 1)
        await gone(server)

    async def test_closed_between(self) -> None:
        """A server may close after each response."""
        def answer(receiver: Receiver) -> None:
            answering(200, b"Connection: close\r\n")(receiver)
            transport: Any = receiver.transport
            transport.loseConnection()

        server = self.server(answer)
        for _ in range(3):
            self.assertEqual((await self.client.request(b"GET", server.url)).status, 200)

    async def test_tls(self) -> None:
        """A request over TLS is sent only if the certificate is trusted and has the server's name."""
        certificate, key, _ = certificates.self_signed(Path(self.mktemp()), "gateway.example")
        server = ReceiverFactory(answering(), certificates.options(certificate, key))
        self.addCleanup(server.stop)
        believed = trustRootFromCertificates([Certificate.loadPEM(certificate.read_bytes())])
        believing = WebClient(reactor, seconds=5.0, trust=believed)
        self.addCleanup(believing.close)
        number = server.port.getHost().port
        self.assertEqual((await believing.request(b"GET", f"https://127.0.0.1:{number}/")).status, 200)
        for client, host in ((self.client, "127.0.0.1"), (believing, "localhost")):
            with self.assertRaises(RequestFailed):
                await client.request(b"GET", f"https://{host}:{number}/")
        self.assertEqual(len(server.requests), 1)

    async def test_lost_while_sending(self) -> None:
        """A connection that ends while the request is written, or before, fails the request; in the second case the
        request was not sent."""
        for fault, sent in ((RequestTransmissionFailed([Failure(ConnectionLost())]), True), (RequestNotSent(), False)):
            self.patch(Agent, "request", lambda *_, fault=fault: fail(fault))
            with self.assertRaises(RequestFailed) as caught:
                await self.client.request(b"GET", "http://127.0.0.1/")
            self.assertEqual(caught.exception.sent, sent)

    async def test_fault_of_ours(self) -> None:
        """A failure other than the network's is logged and fails its request."""
        self.patch(Agent, "request", lambda *_: fail(ZeroDivisionError("inside")))
        with self.assertRaises(RequestFailed):
            await self.client.request(b"GET", "http://127.0.0.1/")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_bad_addresses(self) -> None:
        """A URL with other components than host, port, path and query is refused before a connection is made."""
        for url in ("http://a@127.0.0.1/", "ftp://127.0.0.1/", "http://127.0.0.1/\r\nX: y", "http://127.0.0.1:0/"):
            with self.assertRaises(RequestFailed) as caught:
                await self.client.request(b"GET", url)
            self.assertTrue(caught.exception.refused, url)


def flood(beginning: bytes, more: bytes = b"a" * 1000) -> Any:
    """Send the beginning, then more and more, as long as the connection takes it."""

    def answer(receiver: Receiver) -> None:
        transport: Any = receiver.transport
        receiver.send(beginning)

        class Pull:
            def resumeProducing(self) -> None:
                receiver.send(more * 50)

            def stopProducing(self) -> None:
                """The connection has ended."""

        transport.registerProducer(Pull(), False)

    return answer


async def gone(server: ReceiverFactory) -> None:
    """Wait until all connections have ended."""
    for _ in range(200):
        if not server.connections:
            return
        pause: Deferred[None] = Deferred()
        reactor.callLater(0.01, pause.callback, None)
        await pause
    raise AssertionError("the connection stays open")

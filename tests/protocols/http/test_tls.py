"""The web server over real sockets, with and without TLS, against the HTTP client of the standard library."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from smsgw.config import WebLimits
from smsgw.frontends.rostelecom.resource import RESPONSES, MessageResource
from smsgw.program import certificates
from smsgw.protocols.http.jsonresource import BoundedSite
from smsgw.protocols.http.responses import ResponseForms
from tests.frontends.rostelecom.case import FIELDS, Recorder

SEND = "/api/v2/send_message"
HEADERS = {"Authorization": "Basic " + b64encode(b"demo:secret").decode()}


class RealClientTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.delegate = Recorder()

    def serve(self, tls: bool) -> Callable[[], http.client.HTTPConnection]:
        """Listen on a free port of loopback; return the connect function."""
        resource, forms = MessageResource(self.delegate), ResponseForms(RESPONSES)
        site = BoundedSite(resource, self.reactor, WebLimits(linger=30.0), forms=forms)
        factory: Any = site
        if tls:
            certificate, key, _ = certificates.self_signed(Path(self.mktemp()))
            factory = TLSMemoryBIOFactory(certificates.options(certificate, key), False, site)
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(site.shut_down, 5)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if tls:
            return lambda: http.client.HTTPSConnection("127.0.0.1", number, timeout=30, context=context)
        return lambda: http.client.HTTPConnection("127.0.0.1", number, timeout=30)

    def run_client(self, work: Callable[[], Any]) -> Deferred[Any]:
        """Do blocking work beside the reactor."""
        return deferToThread(work)

    def ask(self, connection: http.client.HTTPConnection, times: int) -> list[Any]:
        """Send `times` on one connection, then query once; return the values of all responses."""
        values = []
        for _ in range(times):
            connection.request("POST", SEND, json.dumps(FIELDS), HEADERS)
            values.append(json.load(connection.getresponse()))
        connection.request("GET", f"{SEND}/message-id-VvkmLHkfhCX9", headers=HEADERS)
        values.append(json.load(connection.getresponse()))
        connection.close()
        return values

    async def test_with_and_without_tls(self) -> None:
        """The API is served in clear and under TLS, several requests on one connection. (004-178)"""
        for tls in (False, True):
            connect = self.serve(tls)
            values = await self.run_client(partial(self.ask, connect(), 3))
            self.assertEqual([value["status"] for value in values], ["ok"] * 4)
        self.assertEqual(len(self.delegate.submitted), 6)
        self.assertEqual({peer for _, _, peer in self.delegate.logins}, {"127.0.0.1"})

    async def test_no_http2(self) -> None:
        """Under TLS only HTTP/1.1 is negotiated."""
        connect = self.serve(tls=True)

        def client() -> str | None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["h2", "http/1.1"])
            with socket.create_connection(("127.0.0.1", connect().port), timeout=30) as plain:
                return context.wrap_socket(plain).selected_alpn_protocol()

        self.assertEqual(await self.run_client(client), "http/1.1")

    async def test_too_long_a_body_while_it_is_sent(self) -> None:
        """A client that keeps sending can read the refusal of its body, in clear text and under TLS."""
        for tls in (False, True):
            connect = self.serve(tls)

            def client(connect: Callable[[], http.client.HTTPConnection] = connect) -> tuple[int, Any]:
                connection = connect()
                body = (b"x" * 8192 for _ in range(64))
                connection.request("POST", SEND, body, HEADERS, encode_chunked=True)
                answer = connection.getresponse()
                value = json.load(answer)
                connection.close()
                return answer.status, value

            answer = await self.run_client(client)
            self.assertEqual(answer, (413, {"reason": "body_too_large", "status": "error"}))

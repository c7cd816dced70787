"""The one overridden private method of Twisted: it must exist, and Twisted must call it for malformed requests."""

from __future__ import annotations

import inspect

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel

from smsgw.protocols.http.channel import BoundedChannel
from tests.protocols.http.support import Served, request

NAME = "_respondToBadRequestAndDisconnect"

UNREADABLE = {
    "a request line of two words": b"GET /\r\n\r\n",
    "a request line of four words": b"GET / HTTP/1.1 x\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
    "a header's name with a blank": b"GET / HTTP/1.1\r\nHost: a\r\nX y: z\r\n\r\n",
    "a header's value with NUL": b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    "two lengths": request(b"POST", b"/echo", None, b"Content-Length: 1", b"Content-Length: 2"),
    "a length that is no number": request(b"POST", b"/echo", None, b"Content-Length: +1"),
    "an unknown coding": request(b"POST", b"/echo", None, b"Transfer-Encoding: gzip"),
    "too many headers": request(b"GET", b"/echo", None, *[b"X: y"] * 100),
    "a head that is too big": request(b"GET", b"/echo", None, *[b"X: " + b"y" * 4000] * 6),
    "a chunk's length that is no number": request(b"POST", b"/echo", None, b"Transfer-Encoding: chunked") + b"x\r\n",
}


class PrivateMethodTests(SynchronousTestCase):
    def test_twisted_has_it(self) -> None:
        """Twisted defines it without parameters, and the channel overrides it."""
        self.assertIn(NAME, vars(HTTPChannel))
        self.assertIn(NAME, vars(BoundedChannel))
        self.assertEqual(list(inspect.signature(vars(HTTPChannel)[NAME]).parameters), ["self"])

    def test_twisted_calls_it(self) -> None:
        """Twisted calls it once for each malformed request, and the response has the common form."""
        calls: list[BoundedChannel] = []
        ours = vars(BoundedChannel)[NAME]

        def counted(channel: BoundedChannel) -> None:
            calls.append(channel)
            ours(channel)

        self.patch(BoundedChannel, NAME, counted)
        for what, octets in UNREADABLE.items():
            del calls[:]
            client = Served().connect()
            answer = client.ask(octets)
            self.assertEqual((answer.status, answer.headers["connection"]), (400, "close"), what)
            self.assertIn("bad", answer.body.decode(), what)
            self.assertEqual(calls, [client.channel], what)
            self.assertTrue(client.ended, what)

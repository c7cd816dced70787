"""The deadlines of every phase of a request."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.http.jsonresource import json_answer
from tests.protocols.http.support import Served, request


class Deadlines(SynchronousTestCase):
    def setUp(self) -> None:
        self.served = Served()
        self.client = self.served.connect()

    def test_dripping_head(self) -> None:
        """A head must arrive within ten seconds, also if octets arrive steadily."""
        for octet in request(b"GET", b"/echo", None, b"X-Slow: " + b"x" * 40)[:9]:
            self.client.send(bytes([octet]))
            self.served.wait(1)
        self.assertEqual(self.client.responses(), [])
        self.client.send(b"H")
        self.served.wait(1)
        (answer,) = self.client.responses()
        self.assertEqual((answer.status, answer.reason), (408, "request_timeout"))
        self.assertTrue(self.client.ended)

    def test_dripping_lines(self) -> None:
        """Whole header lines do not extend the deadline either."""
        self.client.send(b"GET /echo HTTP/1.1\r\n")
        for _ in range(10):
            self.client.send(b"X-Slow: x\r\n")
            self.served.wait(1)
        self.assertEqual([response.status for response in self.client.responses()], [408])

    def test_dripping_body(self) -> None:
        """A body must arrive within thirty seconds, with a length or in chunks."""
        for field, piece in ((b"Content-Length: 65536", b"x"), (b"Transfer-Encoding: chunked", b"1\r\nx\r\n")):
            with self.subTest(field=field):
                client = self.served.connect()
                client.send(request(b"POST", b"/echo", None, field))
                for _ in range(29):
                    client.send(piece)
                    self.served.wait(1)
                self.assertEqual(client.responses(), [])
                self.served.wait(1)
                self.assertEqual([response.status for response in client.responses()], [408])
                self.assertTrue(client.ended)
        self.assertEqual(self.served.echo.seen, [])

    def test_silence(self) -> None:
        """A client that sends nothing after connecting is cut without a response."""
        self.served.wait(9)
        self.assertFalse(self.client.transport.disconnected)
        self.served.wait(1)
        self.assertTrue(self.client.transport.disconnected)
        self.assertEqual(self.client.responses(), [])

    def test_keep_alive(self) -> None:
        """A connection without a further request is closed after thirty seconds; each request restarts the time."""
        for _ in range(3):
            self.assertEqual(self.client.ask(request()).headers["connection"], "keep-alive")
            self.served.wait(29)
        self.assertFalse(self.client.ended)
        self.served.wait(1)
        self.assertTrue(self.client.ended)
        self.assertEqual(self.client.responses(), [])

    def test_further_head(self) -> None:
        """A further request has ten seconds from its first octet, also when that came with the request before."""
        self.client.send(request())
        self.served.wait(20)
        self.client.send(b"GET /ec")
        self.served.wait(9)
        self.client.send(b"ho")
        self.served.wait(1)
        self.assertEqual([response.status for response in self.client.responses()], [200, 408])
        client = self.served.connect()
        client.send(request(b"GET", b"/later") + b"GET /ec")
        self.served.echo.waiting[0].callback(json_answer("now"))
        self.served.wait(10)
        self.assertEqual([response.status for response in client.responses()], [200, 408])

    def test_work_has_no_deadline(self) -> None:
        """The handling of a request has no time limit."""
        self.client.send(request(b"GET", b"/later"))
        self.served.wait(600)
        self.assertFalse(self.client.ended)
        self.served.echo.waiting[0].callback(json_answer("at last"))
        self.assertEqual([response.json for response in self.client.responses()], ["at last"])

    def test_nothing_runs_without_clients(self) -> None:
        """No timer is left without connections."""
        self.assertEqual(len(self.served.clock.getDelayedCalls()), 1)
        self.client.hang_up()
        self.assertEqual(self.served.clock.getDelayedCalls(), [])

    def test_large_steps(self) -> None:
        """A program that was blocked for long ends late connections, once."""
        self.client.send(request() + b"GET")
        self.served.clock.advance(3600)
        self.assertEqual([response.status for response in self.client.responses()], [200])
        self.served.clock.advance(3600)
        self.served.clock.advance(3600)
        self.assertTrue(self.client.transport.disconnected)
        self.assertEqual(self.client.responses(), [])

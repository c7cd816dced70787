"""Bad requests by name, with the expected status; none reaches a resource."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.protocols.http.support import Served, chunked, request

HOST = b"Host: localhost\r\n"
POST = b"POST /echo HTTP/1.1\r\n" + HOST

REFUSED: dict[str, tuple[bytes, int]] = {
    "a body of 64 KiB and one octet": (POST + b"Content-Length: 65537\r\n\r\n", 413),
    "the same in chunks": (chunked(*[b"x" * 8192] * 8, b"x"), 413),
    "one chunk of four gigabytes": (POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n" + b"x" * 65_537, 413),
    "length and chunks": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks and length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "two different lengths": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "a length with a sign": (POST + b"Content-Length: +3\r\n\r\nabc", 400),
    "a negative length": (POST + b"Content-Length: -3\r\n\r\nabc", 400),
    "a length with an underscore": (POST + b"Content-Length: 1_0\r\n\r\n0123456789", 400),
    "a length in hexadecimal": (POST + b"Content-Length: 0x3\r\n\r\nabc", 400),
    "a list of lengths": (POST + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "an empty length": (POST + b"Content-Length: \r\n\r\nabc", 400),
    "xchunked": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "gzip, chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk length with a sign": (POST + b"Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk length that is none": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk longer than it says": (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
    "a chunk ended by LF": (POST + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n" + b"x" * 1100, 400),
    "a chunk extension without end": (POST + b"Transfer-Encoding: chunked\r\n\r\n3;" + b"x" * 5000, 400),
    "a blank before the colon": (POST + b"Content-Length : 3\r\n\r\nabc", 400),
    "a line without a colon": (POST + b"Content-Length 3\r\n\r\nabc", 400),
    "a header without a name": (POST + b": 3\r\n\r\nabc", 400),
    "LF in a value": (POST + b"X-A: b\nContent-Length: 3\r\n\r\nabc", 400),
    "CR in a value": (POST + b"X-A: b\rContent-Length: 3\r\n\r\nabc", 400),
    "NUL in a value": (POST + b"X-A: b\x00\r\n\r\n", 400),
    "LF in a name": (POST + b"X-A\nB: c\r\n\r\n", 400),
    "a folded header": (POST + b"X-A: b\r\n c\r\n\r\n", 400),
    "a header folded with a tab": (POST + b"X-A: b\r\n\tContent-Length: 3\r\n\r\nabc", 400),
    "a fold before the first header": (b"GET /echo HTTP/1.1\r\n Host: localhost\r\n\r\n", 400),
    "a blank before the method": (b" GET /echo HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no Host": (b"GET /echo HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET /echo HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "two different Hosts": (b"GET /echo HTTP/1.1\r\n" + HOST + b"Host: other\r\n\r\n", 400),
    "two Hosts in HTTP/1.0": (b"GET /echo HTTP/1.0\r\n" + HOST + HOST + b"\r\n", 400),
    "a list of hosts": (b"GET /echo HTTP/1.1\r\nHost: localhost, other\r\n\r\n", 400),
    "a host with a path": (b"GET /echo HTTP/1.1\r\nHost: localhost/x\r\n\r\n", 400),
    "a host with a user": (b"GET /echo HTTP/1.1\r\nHost: a@localhost\r\n\r\n", 400),
    "a whole URI": (b"GET http://localhost/echo HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a path without its slash": (b"GET echo HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an asterisk": (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an asterisk with OPTIONS": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "CONNECT": (b"CONNECT localhost:25 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "TRACE": (b"TRACE /echo HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "a method of our own": (b"SEND /echo HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "a method that is no word": (b"GE(T /echo HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "two blanks": (b"GET  /echo HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "HTTP/0.9": (b"GET /echo\r\n", 400),
    "HTTP/2.0": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/1.10": (b"GET /echo HTTP/1.10\r\n" + HOST + b"\r\n", 400),
    "a control character in the path": (b"GET /ec\x01ho HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "%00 in the path": (b"GET /echo%00 HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "%2f in the path": (b"GET /x%2f..%2fecho HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "dot segments": (b"GET /x/../echo HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a path of 8 KiB": (b"GET /" + b"x" * 8192 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a path of 20 KiB": (b"GET /" + b"x" * 20_480, 431),
    "a head of 17 KiB": (POST + (b"X: " + b"x" * 990 + b"\r\n") * 17 + b"\r\n", 400),
    "65 header lines": (POST + b"X: y\r\n" * 64 + b"\r\n", 400),
    "1 MiB of credentials": (POST + b"Authorization: Basic " + b"QUFB" * 262_144, 431),
    "two Authorization headers": (POST + b"Authorization: Basic YTpi\r\n" * 2 + b"\r\n", 400),
    "TLS on a clear listener": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n" + b"\x00" * 100, 400),
    "SMTP": (b"EHLO mycomputer\r\n", 400),
}

PIECES = [
    b"GET /echo HTTP/1.1\r\n",
    b"POST /echo HTTP/1.1\r\n",
    b"Host: localhost\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"abc",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\x00",
    b"\xff",
    b":",
]


class Catalogue(SynchronousTestCase):
    def test_refused(self) -> None:
        """Each request gets its status and reaches no resource; wrong framing ends the connection."""
        for name, (octets, status) in REFUSED.items():
            with self.subTest(name):
                served = Served()
                client = served.connect()
                for at in range(0, len(octets), 4096):
                    client.send(octets[at : at + 4096])
                answers = client.responses()
                self.assertEqual([answer.status for answer in answers], [status], name)
                self.assertTrue(answers[0].reason)
                self.assertEqual(served.echo.seen, [], name)
                if status in {400, 408, 413, 431} and name != "two Authorization headers":
                    self.assertTrue(client.ended, name)
                    self.assertEqual(answers[0].headers["connection"], "close")

    def test_octet_by_octet(self) -> None:
        """The response is independent of how the network splits the octets."""
        for name, (octets, status) in REFUSED.items():
            if len(octets) > 2000:
                continue
            client = Served().connect()
            for octet in octets:
                client.send(bytes([octet]))
            self.assertEqual([answer.status for answer in client.responses()], [status], name)

    def test_smuggled_request(self) -> None:
        """Octets after an ambiguously framed request are never handled as a request."""
        hidden = request(b"POST", b"/echo", b"hidden")
        for name, (octets, status) in REFUSED.items():
            if status != 400 or name == "two Authorization headers":
                continue
            served = Served()
            served.connect().send(octets + hidden)
            self.assertEqual(served.echo.seen, [], name)

    def test_empty_line_before_a_request(self) -> None:
        """One empty line before a request is ignored (RFC 9112, 2.2), two are an error."""
        self.assertEqual(Served().connect().ask(b"\r\n" + request()).status, 200)
        self.assertEqual(Served().connect().ask(b"\r\n\r\n" + request()).status, 400)

    @given(st.lists(st.sampled_from(PIECES), max_size=25))
    def test_junk(self, pieces: list[bytes]) -> None:
        """For any octets the responses are complete with a known status, and a closed connection sends no more."""
        served = Served()
        client = served.connect()
        for piece in pieces:
            ended = client.ended
            client.send(piece)
            for answer in client.responses():
                self.assertFalse(ended)
                self.assertIn(answer.status, {100, 200, 400, 404, 405, 413, 431})
        served.wait(60)
        self.assertTrue(client.transport.disconnected or client.transport.disconnecting)

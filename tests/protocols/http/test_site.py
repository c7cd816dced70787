"""Limits of a client's requests in octets and time."""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from smsgw.protocols.http.jsonresource import json_answer
from smsgw.protocols.http.responses import ResponseForm, ResponseForms, bare_reason
from smsgw.protocols.http.site import BoundedSite
from tests.protocols.http.support import BASIC, Client, Served, Socket, chunked, request


class Bodies(SynchronousTestCase):
    def setUp(self) -> None:
        self.served = Served(body_limit=100)
        self.client = self.served.connect()

    def test_announced_too_long(self) -> None:
        """A body with too great a length is refused from the head, without 100 Continue; the connection ends."""
        head = request(b"POST", b"/echo", None, b"Content-Length: 101", b"Expect: 100-continue")
        answer = self.client.ask(head)
        self.assertEqual((answer.status, answer.reason), (413, "body_too_large"))
        self.assertEqual(answer.headers["connection"], "close")
        self.assertTrue(self.client.ended)
        self.assertEqual(self.served.echo.seen, [])

    def test_announced_absurdly_long(self) -> None:
        """A length of a hundred digits is refused as too large."""
        head = request(b"POST", b"/echo", None, b"Content-Length: " + b"9" * 100)
        self.assertEqual(self.client.ask(head).status, 413)

    def test_exactly_as_long(self) -> None:
        """A body of exactly the limit is accepted, at once or in chunks, after 100 Continue if expected."""
        self.assertEqual(self.client.ask(request(b"POST", b"/echo", b"x" * 100)).json, {"body": "x" * 100})
        self.assertEqual(self.client.ask(chunked(b"x" * 60, b"y" * 40)).json, {"body": "x" * 60 + "y" * 40})
        self.client.send(request(b"POST", b"/echo", None, b"Content-Length: 3", b"Expect: 100-continue"))
        self.client.send(b"abc")
        self.assertEqual([response.status for response in self.client.responses()], [100, 200])

    def test_chunks_are_counted(self) -> None:
        """A chunked body is refused as soon as it exceeds the limit, for any split, and dropped."""
        for size in (1, 7, 50, 100, 101, 5000):
            with self.subTest(size=size):
                client = self.served.connect()
                client.send(request(b"POST", b"/echo", None, b"Transfer-Encoding: chunked"))
                sent = 0
                while not client.ended:
                    self.assertLessEqual(sent, 100)
                    client.send(b"%x\r\n%b\r\n" % (size, b"x" * size))
                    sent += size
                (answer,) = client.responses()
                self.assertEqual((answer.status, answer.reason), (413, "body_too_large"))
                self.assertLessEqual(len(client.channel.requests[0].content.getvalue()), 100)
        self.assertEqual(self.served.echo.seen, [])

    def test_nothing_is_looked_at_behind_a_refusal(self) -> None:
        """Octets after a refusal are dropped, in the same read or later, also whole requests."""
        whole = request(b"POST", b"/echo", b"x")
        self.client.send(request(b"POST", b"/echo", None, b"Content-Length: 101") + whole)
        self.client.send(whole)
        self.assertEqual([response.status for response in self.client.responses()], [413])
        client = self.served.connect()
        client.send(chunked(b"x" * 101) + whole)
        client.send(whole)
        self.assertEqual([response.status for response in client.responses()], [413])
        self.assertEqual(self.served.echo.seen, [])

    def test_the_answer_is_not_overtaken(self) -> None:
        """The server closes its direction at once, reads on for a time, closes the connection, then aborts it."""
        self.client.ask(request(b"POST", b"/echo", None, b"Content-Length: 101"))
        transport = self.client.transport
        self.assertIsInstance(transport, Socket)
        self.assertEqual((transport.disconnecting, transport.producerState), (False, "producing"))
        self.served.wait(2)
        self.assertTrue(transport.disconnecting)
        self.assertFalse(transport.disconnected)
        self.served.wait(5)
        self.assertTrue(transport.disconnected)

    def test_without_halves(self) -> None:
        """TLS has no half-close: the client has two seconds to read the response and to close."""
        transport = StringTransport()
        client = self.served.connect(transport)
        client.ask(request(b"POST", b"/echo", None, b"Content-Length: 101"))
        self.served.wait(1)
        self.assertFalse(transport.disconnecting)
        self.served.wait(1)
        self.assertTrue(transport.disconnecting)


class Connections(SynchronousTestCase):
    def test_number_of_requests(self) -> None:
        """The response to the last allowed request of a connection has Connection: close."""
        served = Served(requests=3)
        client = served.connect()
        client.send(request() * 4)
        answers = client.responses()
        self.assertEqual([one.headers["connection"] for one in answers], ["keep-alive", "keep-alive", "close"])
        self.assertTrue(client.ended)
        self.assertFalse(client.transport.disconnecting)  # so that a reset cannot overtake the last answer

    def test_asked_to_close(self) -> None:
        """The connection ends after the response if the client asks to close or uses HTTP/1.0. (004-178)"""
        served = Served()
        for octets in (
            request(b"GET", b"/echo", None, b"Connection: close"),
            request(b"GET", b"/echo", None, b"Connection: TE, Close"),
            request(b"GET", b"/echo", None, b"Connection: keep-alive", b"Connection: close"),
            request(version=b"1.0"),
            b"GET /echo HTTP/1.0\r\n\r\n",
        ):
            with self.subTest(octets=octets):
                client = served.connect()
                answer = client.ask(octets)
                self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
                self.assertTrue(client.transport.disconnecting)

    def test_pipelining(self) -> None:
        """Pipelined requests get their responses in order, also if one of them waits."""
        served = Served()
        client = served.connect()
        client.send(request(b"POST", b"/echo", b"1") + request(b"GET", b"/later") + request(b"POST", b"/echo", b"3"))
        self.assertEqual([response.json for response in client.responses()], [{"body": "1"}])
        self.assertEqual(served.echo.seen, [b"/echo", b"/later"])
        served.echo.waiting[0].callback(json_answer(2))
        self.assertEqual([response.json for response in client.responses()], [2, {"body": "3"}])

    def test_any_split(self) -> None:
        """The responses are the same for any split of the octets."""
        served = Served()
        stream = request(b"POST", b"/echo", b"one") + chunked(b"tw", b"o") + request(b"GET", b"/item/3")
        for step in (1, 2, 3, 5, 17, len(stream)):
            client = served.connect()
            for at in range(0, len(stream), step):
                client.send(stream[at : at + step])
            self.assertEqual(
                [response.json for response in client.responses()], [{"body": "one"}, {"body": "two"}, {"number": "3"}]
            )

    def test_f4_half_requests_give_way(self) -> None:
        """However many half requests there are, a client gets in: the oldest unauthenticated connection is cut."""
        served = Served(unauthenticated=2)
        half = [served.connect() for _ in range(2)]
        for client in half:
            client.send(b"GET /echo HTTP/1.1\r\nHost: x\r\n")
        self.assertEqual(served.connect().ask(request()).status, 200)
        served.wait(1)
        self.assertEqual([client.transport.disconnected for client in half], [True, False])

    def test_f4_only_who_has_authenticated(self) -> None:
        """A connection whose client has authenticated never gives way; one that only got a response does."""
        served = Served(unauthenticated=2)
        known, other = served.connect(), served.connect()
        self.assertEqual(known.ask(request(b"GET", b"/login")).status, 200)
        self.assertEqual(other.ask(request(b"OPTIONS")).status, 204)
        newer = [served.connect() for _ in range(2)]
        served.wait(1)
        cut = [client.transport.disconnected for client in (known, other, *newer)]
        self.assertEqual(cut, [False, True, False, False])

    def test_f4_one_address(self) -> None:
        """The connections of one address give way to each other, not those of another one."""
        served = Served(unauthenticated_per_source=2)
        elsewhere = Client(served.site, "198.51.100.7")
        clients = [served.connect() for _ in range(3)]
        served.wait(1)
        cut = [client.transport.disconnected for client in (elsewhere, *clients)]
        self.assertEqual(cut, [False, True, False, False])

    def test_gone_before_the_answer(self) -> None:
        """A client that disconnects during the handling of its request causes no error."""
        served = Served()
        client = served.connect()
        client.send(request(b"GET", b"/later"))
        client.hang_up()
        served.echo.waiting[0].callback(json_answer("too late"))
        self.assertEqual(client.responses(), [])
        self.assertEqual(served.site.channels, set())

    def test_no_delay(self) -> None:
        """Responses are sent without delay (TCP_NODELAY), on a plain socket and under TLS."""
        bare = Socket()
        directlyProvides(bare, ITCPTransport)
        bare.nodelay = []  # type: ignore[attr-defined]
        bare.setTcpNoDelay = bare.nodelay.append  # type: ignore[attr-defined]
        Served().connect(bare)
        wrapped = StringTransport()
        wrapped.transport = bare  # type: ignore[attr-defined]
        Served().connect(wrapped)
        self.assertEqual(bare.nodelay, [True, True])  # type: ignore[attr-defined]

    def test_no_http2(self) -> None:
        """HTTP/2 is not offered, also if it is installed."""
        self.assertEqual(Served().site.acceptableProtocols(), [b"http/1.1"])

    def test_listening_leaves_no_timer(self) -> None:
        """Start and stop of listening schedule no timer and open no log."""
        served = Served()
        served.site.doStart()
        self.assertEqual(served.clock.getDelayedCalls(), [])
        served.site.doStop()


class Draining(SynchronousTestCase):
    def setUp(self) -> None:
        self.served = Served()

    def test_no_connection(self) -> None:
        """Without connections the shutdown ends at once."""
        self.assertIsNone(self.successResultOf(self.served.site.shut_down()))

    def test_idle_and_fresh(self) -> None:
        """Idle connections are closed at once."""
        idle, fresh = self.served.connect(), self.served.connect()
        idle.ask(request())
        gone = self.served.site.shut_down()
        self.assertTrue(idle.ended)
        self.assertTrue(fresh.ended)
        self.assertNoResult(gone)
        idle.hang_up()
        self.assertNoResult(gone)
        fresh.hang_up()
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual(self.served.clock.getDelayedCalls(), [])

    def test_under_way(self) -> None:
        """Current requests, handled or still arriving, get a response with Connection: close; further ones do not."""
        busy, body, head = (self.served.connect() for _ in range(3))
        busy.send(request(b"GET", b"/later") + request())
        body.send(request(b"POST", b"/echo", None, b"Content-Length: 3") + b"a")
        head.send(b"GET /echo HTTP/1.1\r\nHo")
        gone = self.served.site.shut_down()
        self.served.echo.waiting[0].callback(json_answer("done"))
        body.send(b"bc" + request())
        head.send(b"st: localhost\r\n\r\n" + request())
        for client, body_json in ((busy, "done"), (body, {"body": "abc"}), (head, {"body": ""})):
            (answer,) = client.responses()
            self.assertEqual((answer.json, answer.headers["connection"]), (body_json, "close"))
            self.assertTrue(client.ended)
            client.hang_up()
        self.successResultOf(gone)

    def test_new_ones(self) -> None:
        """A connection during the shutdown gets an error."""
        self.served.connect()
        self.served.site.shut_down()
        late = self.served.connect()
        self.assertEqual([response.status for response in late.responses()], [503])

    def test_within(self) -> None:
        """After the given time the remaining connections are aborted."""
        client = self.served.connect()
        client.send(request(b"GET", b"/later"))
        gone = self.served.site.shut_down(within=15)
        self.served.wait(14)
        self.assertFalse(client.transport.disconnected)
        self.served.wait(1)
        self.assertTrue(client.transport.disconnected)
        client.hang_up()
        self.successResultOf(gone)


class Answers(SynchronousTestCase):
    def test_header_fields(self) -> None:
        """Every response has a date, and neither a Server header nor a field that only one API has."""
        served = Served()
        client = served.connect()
        answers = [
            client.ask(request()),
            client.ask(request(b"GET", b"/nowhere")),
            client.ask(request(b"DELETE")),
            client.ask(request(b"POST", b"/echo", None, b"Content-Length: 99999999")),
        ]
        self.assertEqual([answer.status for answer in answers], [200, 404, 405, 413])
        for answer in answers:
            self.assertEqual(answer.headers["date"], "Sun, 06 Nov 1994 08:49:37 GMT")
            self.assertEqual(answer.headers["content-type"], "application/json; charset=utf-8")
            self.assertFalse({"server", "x-request-id"} & set(answer.headers))

    def test_counted(self) -> None:
        """Responses are counted by status, also those of the site itself."""
        served = Served()
        client = served.connect()
        client.send(request() + request(b"GET", b"/nowhere"))
        client.send(request(b"POST", b"/echo", None, b"Content-Length: 99999999"))
        answers = served.site.metrics.answers
        self.assertEqual(dict(answers), {"200": 1, "404": 1, "413": 1})

    def test_broken_resource(self) -> None:
        """The failure of a resource fails its request only; the cause is in the log, not in the response."""
        client = Served().connect()
        answer = client.ask(request(b"GET", b"/broken"))
        self.assertEqual((answer.status, answer.reason), (500, "system_error"))
        self.assertEqual(client.ask(request()).status, 200)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_log(self) -> None:
        """No URI, credential or body gets into the log, for any result of the request."""
        events: list[LogEvent] = []
        observer = cast(ILogObserver, events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        served = Served()
        for path in (b"/echo?seeded=seeded", b"/seeded", b"/broken?seeded", b"/later?seeded", b"seeded"):
            client = served.connect()
            client.send(request(b"POST", path, b"seeded", BASIC, b"X-Seeded: seeded"))
            client.send(request(b"GET", path, None, BASIC))
            client.send(b"seeded seeded\r\n\r\n")
        for waiting in served.echo.waiting:
            waiting.errback(ZeroDivisionError("a fault"))
        served.wait(60)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        self.assertEqual(len(events), 3)
        logged = "".join(f"{eventAsText(event)} {event}" for event in events)
        self.assertNotIn("seeded", logged)
        self.assertNotIn(BASIC.split()[-1].decode(), logged)

    def test_other_resources(self) -> None:
        """If a resource of twisted.web fails, the response is JSON; after the head, the connection is cut."""
        from twisted.web.resource import Resource

        class Odd(Resource):
            isLeaf = True

            def render(self, request: object) -> bytes:
                if request.path == b"/half":  # type: ignore[attr-defined]
                    request.write(b"half of")  # type: ignore[attr-defined]
                raise ZeroDivisionError

        served = Served()
        client = Client(BoundedSite(Odd(), served.clock, forms=ResponseForms(ResponseForm(bare_reason))))
        self.assertEqual(client.ask(request()).reason, "system_error")
        client.send(request(b"GET", b"/half"))
        self.assertTrue(client.transport.disconnected)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

"""Helpers of the web server's tests: a transport with half-close, a client that parses responses, a site."""

from __future__ import annotations

import base64
import json
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from smsgw.config import WebLimits
from smsgw.protocols.http.jsonresource import (
    Answer,
    BoundedSite,
    JsonResource,
    ResourcePath,
    authenticated,
    json_answer,
)
from smsgw.protocols.http.responses import ResponseForm, ResponseForms, bare_reason

BASIC = b"Authorization: Basic " + base64.b64encode(b"demo:secret")


class Socket(StringTransport):
    """A TCP connection: it can be closed in one direction.

    :ivar half_closed: whether the server has closed its direction.
    """

    half_closed = False

    def loseWriteConnection(self) -> None:
        """Close the server's direction."""
        self.half_closed = True


@attrs.frozen
class Response:
    """One response as the client read it; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The reason of an error response, after a check of its form."""
        value = self.json
        assert set(value) == {"reason", "status"}, value
        assert value["status"] == "error", value
        return str(value["reason"])


class Client:
    """One connection to `site`, in memory."""

    def __init__(self, site: BoundedSite, address: str = "127.0.0.1", transport: StringTransport | None = None) -> None:
        self.transport = transport or Socket(peerAddress=IPv4Address("TCP", address, 40000))
        self.channel = site.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def send(self, octets: bytes) -> None:
        """Deliver octets in one read."""
        self.channel.dataReceived(octets)

    def responses(self) -> list[Response]:
        """The responses since the last call, ``100 Continue`` included; checks their Content-Length."""
        octets = self.transport.value()
        self.transport.clear()
        answers = []
        while octets:
            head, blank, octets = octets.partition(b"\r\n\r\n")
            assert blank, head
            line, *fields = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
            assert len(headers) == len(fields), fields
            length = int(headers.get("content-length", "0"))
            answers.append(Response(int(line.split(" ")[1]), headers, octets[:length]))
            assert len(octets) >= length, octets
            octets = octets[length:]
        return answers

    def ask(self, octets: bytes) -> Response:
        """Send one request and read its response."""
        self.send(octets)
        (answer,) = self.responses()
        return answer

    @property
    def ended(self) -> bool:
        """Whether the server has closed its direction or the connection."""
        transport = self.transport
        return getattr(transport, "half_closed", False) or transport.disconnecting or transport.disconnected

    def hang_up(self) -> None:
        """The client closes."""
        self.channel.connectionLost(Failure(ConnectionDone()))


def request(
    method: bytes = b"GET", path: bytes = b"/echo", body: bytes | None = None, *lines: bytes, version: bytes = b"1.1"
) -> bytes:
    """A request with a Host; further header lines come without their line ends."""
    fields = [b"Host: localhost", *lines]
    if body is not None:
        fields.append(b"Content-Length: %d" % len(body))
    return b"%b %b HTTP/%b\r\n%b\r\n\r\n%b" % (method, path, version, b"\r\n".join(fields), body or b"")


def chunked(*chunks: bytes, path: bytes = b"/echo") -> bytes:
    """A request whose body comes in chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return request(b"POST", path, None, b"Transfer-Encoding: chunked") + body


class Echo(JsonResource):
    """``/echo`` responds with its request; ``/later`` when the test fires a Deferred; ``/login`` authenticates;
    ``/broken`` fails.

    :ivar waiting: Deferreds of ``/later``. :ivar seen: what reached a route.
    """

    def __init__(self) -> None:
        super().__init__(
            (
                ResourcePath("/echo", {b"GET": self._echo, b"POST": self._echo}),
                ResourcePath("/item/([0-9]+)", {b"GET": lambda request, number: json_answer({"number": number})}),
                ResourcePath("/later", {b"GET": self._later, b"POST": self._later}),
                ResourcePath("/login", {b"GET": self._login}),
                ResourcePath("/broken", {b"GET": self._broken}),
            ),
            errors=bare_reason,
        )
        self.waiting: list[Deferred[Answer]] = []
        self.seen: list[bytes] = []

    def _echo(self, request: Any) -> Answer:
        octets = self.body(request)
        self.seen.append(request.path)
        return json_answer({"body": octets.decode("latin-1")})

    def _later(self, request: Any) -> Deferred[Answer]:
        self.seen.append(request.path)
        waiting: Deferred[Answer] = Deferred()
        self.waiting.append(waiting)
        return waiting

    def _login(self, request: Any) -> Answer:
        authenticated(request)
        return json_answer({})

    def _broken(self, request: Any) -> Answer:
        raise ZeroDivisionError("a fault")


class Served:
    """A site with :class:`Echo`, on a clock."""

    def __init__(self, **limits: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.echo = Echo()
        forms = ResponseForms(ResponseForm(bare_reason))
        self.site = BoundedSite(self.echo, self.clock, WebLimits(**limits), lambda: 784111777.0, forms)

    def connect(self, transport: StringTransport | None = None) -> Client:
        """A new connection."""
        return Client(self.site, transport=transport)

    def wait(self, seconds: float) -> None:
        """Let time pass, second by second."""
        for _ in range(int(seconds)):
            self.clock.advance(1)

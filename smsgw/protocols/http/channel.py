"""One connection of the web server and its requests: measured while they arrive, watched in every phase.

A body that is announced too long is refused from the head, before ``100 Continue``; one that comes in chunks is
counted. What can be read in two ways (a folded header, two hosts, a whole URI as target) is answered 400.
"""
# mypy: allow-untyped-calls
# (what is overridden here has no annotations in Twisted)

from __future__ import annotations

import os
import re
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http_headers import Headers
from twisted.web.server import Request

from smsgw.config import WebLimits
from smsgw.protocols.connections import Connections
from smsgw.protocols.http.errors import Errors
from smsgw.protocols.http.metrics import HttpMetrics

log = Logger()

_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]*)(?::[0-9]{0,5})?")
_SPELLED: Final = {b"X-Request-Id": b"x-request-id"}
"""Names of header fields as clients know them, where Twisted would write them otherwise (004.1)."""


class ChannelSite(Protocol):
    """What a connection asks of its site."""

    clock: IReactorTime
    limits: WebLimits
    errors: Errors
    metrics: HttpMetrics
    connections: Connections[BoundedChannel]

    def connected(self, channel: BoundedChannel) -> bool:
        """Take note of a new connection; whether it may stay."""

    def date(self) -> bytes:
        """The value of the Date header."""

    def getResourceFor(self, request: Request) -> Any:
        """The resource for the path of a request."""


class _Phase(Enum):
    """What a connection is at."""

    HEAD = "the head of a request is coming in"
    BODY = "its body is coming in"
    BUSY = "the request is being worked on"
    IDLE = "answered; nothing further has come"
    LINGERING = "the last answer is given, what still comes is dropped"
    CLOSING = "the transport is closing"


def request_id() -> bytes:
    """A fresh value for ``x-request-id``: 32 hexadecimal digits (004-193)."""
    return os.urandom(16).hex().encode("ascii")


class BoundedRequest(Request):
    """One request, whose body never takes more memory than the limit.

    :ivar channel: the connection it came on, a :class:`BoundedChannel`.
    """

    channel: BoundedChannel

    def gotLength(self, length: int | None) -> None:
        """The head is complete: look at it before the client is told to go on."""
        super().gotLength(length)
        hosts = self.requestHeaders.getRawHeaders(b"host") or ()
        if len(hosts) > 1 or (not hosts and self.clientproto == b"HTTP/1.1") or not all(map(_HOST.fullmatch, hosts)):
            self.channel.refuse(400, "bad_request")
        elif length is not None and length > self.channel.limits.body_limit:
            self.channel.refuse(413, "body_too_large")

    def handleContentChunk(self, data: bytes) -> None:
        """Keep another piece of the body, unless that makes it too long."""
        if self.channel.refused:
            return
        assert self.content is not None
        if self.content.tell() + len(data) > self.channel.limits.body_limit:
            self.channel.refuse(413, "body_too_large")
        else:
            self.content.write(data)

    def process(self) -> None:
        """Find the resource and let it answer. The server's name and version are nobody's business."""
        self.site: Any = self.channel.site
        self.responseHeaders.setRawHeaders(b"Date", [self.channel.site.date()])
        if not self.path.startswith(b"/"):
            if self.method == b"CONNECT":
                self.channel.refuse(405, "method_not_allowed", b"Allow: GET, HEAD, OPTIONS, POST\r\n")
            else:
                self.channel.refuse(400, "bad_request")
            return
        self.prepath = []
        self.postpath = [unquote_to_bytes(segment) for segment in self.path[1:].split(b"/")]
        try:
            self.render(self.channel.site.getResourceFor(self))
        except Exception:  # noqa: BLE001  (logged with its traceback there)
            self.processingFailed(Failure())

    def write(self, data: bytes) -> None:
        """Say with the first octets whether the connection goes on."""
        if not self.startedWriting and not self._disconnected:
            going_on = b"keep-alive" if self.channel.persistent else b"close"
            self.responseHeaders.setRawHeaders(b"Connection", [going_on])
        super().write(data)

    def processingFailed(self, reason: Failure) -> Failure:
        """A resource failed without an answer: the log gets the traceback, the client a word."""
        log.failure("a web resource failed", reason)
        if self._disconnected or self.finished:
            return reason
        if self.startedWriting:
            self.channel.cut()
            return reason
        kind, body = self.channel.site.errors.write(self.path, 500, "system_error")
        self.setResponseCode(500)
        self.setHeader(b"Content-Type", kind)
        self.setHeader(b"Content-Length", b"%d" % len(body))
        self.setHeader(b"x-request-id", request_id())
        self.write(body)
        self.finish()
        return reason


class BoundedChannel(HTTPChannel):
    """One connection. Made by a :class:`~smsgw.protocols.http.site.BoundedSite`.

    :ivar peer: the client's IP address as text; empty where there is none.
    :ivar refused: the last word has been said; whatever still comes is dropped.
    """

    site: ChannelSite
    limits: WebLimits
    transport: Any

    def __init__(self) -> None:
        super().__init__()
        self._phase = _Phase.HEAD
        self._since = 0.0
        self._fresh = True
        self._requests = 0
        self._target = b""
        self._asked_to_close = False
        self.peer = ""
        self.refused = False

    # What Twisted calls

    def connectionMade(self) -> None:
        """Begin to wait for a head."""
        self._since = self.site.clock.seconds()
        super().connectionMade()
        self.peer = getattr(self.transport.getPeer(), "host", "")
        beneath = getattr(self.transport, "transport", self.transport)
        if beneath is not self.transport and ITCPTransport.providedBy(beneath):
            beneath.setTcpNoDelay(True)  # twisted.web does not see the socket under TLS
        if not self.site.connected(self):
            self.refuse(503, "system_error")

    def dataReceived(self, data: bytes) -> None:
        """Octets of a head, of a body, of the next request, or of nothing that interests any more."""
        if self.refused:
            return
        self._fresh = False
        if self._phase is _Phase.IDLE:
            self._enter(_Phase.HEAD)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """A line of the head. A folded one is read differently by different programs (RFC 9112, 5.2)."""
        if self.refused:
            return
        if not self.requests:  # the request line
            self._target = b"".join(line.split(b" ")[1:2])
        if line.startswith((b" ", b"\t")):
            self.refuse(400, "bad_request")
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line alone is longer than a whole head may be."""
        self.refuse(431, "head_too_large")

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Whether another request may follow; the first thing that is asked when a head is complete."""
        request.clientproto = version
        self._requests += 1
        wishes = request.requestHeaders.getRawHeaders(b"connection") or ()
        tokens = {token.strip().lower() for wish in wishes for token in wish.split(b",")}
        self._asked_to_close = version != b"HTTP/1.1" or b"close" in tokens
        return not (self._asked_to_close or self._requests >= self.limits.requests or self.site.connections.draining)

    def allHeadersReceived(self) -> None:
        """A head is complete."""
        super().allHeadersReceived()
        if not self.refused:
            self._enter(_Phase.BODY)

    def allContentReceived(self) -> None:
        """A request is complete."""
        if not self.refused:
            self._enter(_Phase.BUSY)
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """A request is answered."""
        if request.code < 400:
            self.site.connections.admit(self)
        self._target = b""
        self._enter(_Phase.IDLE)
        super().requestDone(request)

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """The head of an answer, in one write."""
        lines = [b"%b %b %b" % (version, code, reason)]
        for name, values in headers.getAllRawHeaders():
            spelled = _SPELLED.get(name, name)
            lines += [b"%b: %b" % (spelled, value) for value in values]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n")

    def loseConnection(self) -> None:
        """Close behind the last answer; a client that did not ask for it may have sent more already."""
        if self.refused:
            return
        if self._asked_to_close:
            self._enter(_Phase.CLOSING)
            super().loseConnection()
        else:
            self._linger()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Nobody is there any more."""
        self._enter(_Phase.CLOSING)
        self.site.connections.discard(self)
        super().connectionLost(reason)

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Twisted's own answer to what it cannot read has neither body nor length."""
        self.refuse(400, "bad_request")

    # What the site and the request call

    def refuse(self, status: int, reason: str, headers: bytes = b"") -> None:
        """Answer what will not be looked at any further, and end the connection.

        :param headers: further header lines, each with its line end.
        """
        if self.refused:
            return
        if self.requests:
            self.requests[-1].requestHeaders.removeHeader(b"expect")  # nobody is to go on
        kind, body = self.site.errors.write(self._target, status, reason)
        phrase = HTTPStatus(status).phrase.encode("ascii")
        head = (
            b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n"
            b"x-request-id: %b\r\n%b\r\n"
        ) % (status, phrase, self.site.date(), kind, len(body), request_id(), headers)
        self.transport.write(head + body)
        self.site.metrics.answers[str(status)].inc()
        self._linger()

    def check_time(self, now: float) -> None:
        """End what has taken too long. While a request is worked on, nothing has."""
        taken = now - self._since
        phase, limits = self._phase, self.limits
        if phase is _Phase.HEAD:
            if taken >= limits.header_time:
                if self._fresh:
                    self.cut()
                else:
                    self.refuse(408, "request_timeout")
        elif phase is _Phase.BODY:
            if taken >= limits.body_time:
                self.refuse(408, "request_timeout")
        elif phase is _Phase.IDLE:
            if taken >= limits.inactivity:
                self._linger()
        elif phase is _Phase.LINGERING:
            if taken >= limits.linger:
                self._enter(_Phase.CLOSING)
                self.transport.loseConnection()
        elif phase is _Phase.CLOSING and taken >= limits.close_time:
            self.transport.abortConnection()

    def drain(self) -> None:
        """Take no further request: the one under way is the last."""
        if self._phase is _Phase.IDLE or self._fresh:
            self._linger()
        elif self._phase in (_Phase.BODY, _Phase.BUSY):
            self.persistent = False

    def cut(self) -> None:
        """Close now, whatever is under way."""
        self._enter(_Phase.CLOSING)
        self.transport.abortConnection()

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._since = self.site.clock.seconds()
        self.refused = phase is _Phase.LINGERING or phase is _Phase.CLOSING

    def _linger(self) -> None:
        """Say that no more comes from us, and read what still comes until the client has closed, too.

        Closing at once would answer octets on their way with a reset, which can overtake the answer.
        """
        self._enter(_Phase.LINGERING)
        self.transport.unregisterProducer()
        self.transport.resumeProducing()
        # TLS has no half-closed state, and the wrapper would hand the call to the socket beneath it.
        if hasattr(type(self.transport), "loseWriteConnection"):
            self.transport.loseWriteConnection()

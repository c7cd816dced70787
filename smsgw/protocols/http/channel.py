"""One connection of the web server and its requests, with limits in octets and seconds for every phase.

A body whose announced length is above the limit is refused from the head, before ``100 Continue``; a chunked body is
counted as it arrives. Ambiguous requests (a folded header, two hosts, a whole URI as target) get 400.
"""
# mypy: allow-untyped-calls
# (the overridden methods have no annotations in Twisted)

from __future__ import annotations

import re
from enum import Enum
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
from smsgw.protocols.http.metrics import HttpMetrics
from smsgw.protocols.http.responses import PHRASES, ResponseForms

log = Logger()

_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]*)(?::[0-9]{0,5})?")


class ChannelSite(Protocol):
    """What a connection calls on its site."""

    clock: IReactorTime
    limits: WebLimits
    forms: ResponseForms
    metrics: HttpMetrics
    connections: Connections[BoundedChannel]

    def connected(self, channel: BoundedChannel) -> bool:
        """Register a new connection; return whether it is accepted."""

    def date(self) -> bytes:
        """Return the value of the Date header."""

    def getResourceFor(self, request: Request) -> Any:
        """Return the resource for the path of a request."""


class _Phase(Enum):
    """The phases of a connection."""

    HEAD = "the head of a request is arriving"
    BODY = "its body is arriving"
    BUSY = "the resource handles the request"
    IDLE = "responded; waiting for the next request"
    LINGERING = "the last response is written; further octets are dropped"
    CLOSING = "the transport is closing"


class BoundedRequest(Request):
    """One request, whose body never takes more memory than the limit.

    :ivar channel: its connection, a :class:`BoundedChannel`.
    """

    channel: BoundedChannel

    def gotLength(self, length: int | None) -> None:
        """The head is complete: check it before ``100 Continue`` is sent."""
        super().gotLength(length)
        hosts = self.requestHeaders.getRawHeaders(b"host") or ()
        if len(hosts) > 1 or (not hosts and self.clientproto == b"HTTP/1.1") or not all(map(_HOST.fullmatch, hosts)):
            self.channel.refuse(400, "bad_request")
        elif length is not None and length > self.channel.limits.body_limit:
            self.channel.refuse(413, "body_too_large")

    def handleContentChunk(self, data: bytes) -> None:
        """Store another piece of the body, or refuse a body above the limit."""
        if self.channel.refused:
            return
        assert self.content is not None
        if self.content.tell() + len(data) > self.channel.limits.body_limit:
            self.channel.refuse(413, "body_too_large")
        else:
            self.content.write(data)

    def process(self) -> None:
        """Render the resource. The response has no Server header, so that name and version stay private."""
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
        """Write the head, with ``Connection: close`` if the connection ends after this response."""
        if not self.startedWriting and not self._disconnected:
            going_on = b"keep-alive" if self.channel.persistent else b"close"
            self.responseHeaders.setRawHeaders(b"Connection", [going_on])
        super().write(data)

    def processingFailed(self, reason: Failure) -> Failure:
        """Log the traceback of a resource that failed without a response, and answer 500."""
        log.failure("a web resource failed", reason)
        if self._disconnected or self.finished:
            return reason
        if self.startedWriting:
            self.channel.cut()
            return reason
        kind, body = self.channel.site.forms.of(self.path).error(500, "system_error")
        self.setResponseCode(500)
        self.setHeader(b"Content-Type", kind)
        self.setHeader(b"Content-Length", b"%d" % len(body))
        self.write(body)
        self.finish()
        return reason


class BoundedChannel(HTTPChannel):
    """One connection. Made by a :class:`~smsgw.protocols.http.site.BoundedSite`.

    :ivar peer: the client's IP address as text; empty where there is none.
    :ivar refused: whether the last response was written; further octets are dropped.
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

    # Called by Twisted

    def connectionMade(self) -> None:
        """Begin to read a head."""
        self._since = self.site.clock.seconds()
        super().connectionMade()
        self.peer = getattr(self.transport.getPeer(), "host", "")
        beneath = getattr(self.transport, "transport", self.transport)
        if beneath is not self.transport and ITCPTransport.providedBy(beneath):
            beneath.setTcpNoDelay(True)  # twisted.web does not find the socket under TLS
        if not self.site.connected(self):
            self.refuse(503, "system_error")

    def dataReceived(self, data: bytes) -> None:
        """Take octets of a head, of a body, of the next request, or, after the last response, drop them."""
        if self.refused:
            return
        self._fresh = False
        if self._phase is _Phase.IDLE:
            self._enter(_Phase.HEAD)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """Take a line of the head. Programs differ in how they read a folded line (RFC 9112, 5.2)."""
        if self.refused:
            return
        if not self.requests:  # the request line
            self._target = b"".join(line.split(b" ")[1:2])
        if line.startswith((b" ", b"\t")):
            self.refuse(400, "bad_request")
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A single line exceeds the limit of a head."""
        self.refuse(431, "head_too_large")

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Return whether another request may follow. Twisted calls this first after a complete head."""
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
        """A response is complete."""
        self._target = b""
        self._enter(_Phase.IDLE)
        super().requestDone(request)

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """Write the head of a response at once, with the header fields of its API."""
        lines = [b"%b %b %b" % (version, code, reason)]
        for name, values in headers.getAllRawHeaders():
            lines += [b"%b: %b" % (name, value) for value in values]
        lines += self.site.forms.of(self._target).header_lines()
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n")

    def loseConnection(self) -> None:
        """Close after the last response; read on unless the client asked to close, as it may have sent more already."""
        if self.refused:
            return
        if self._asked_to_close:
            self._enter(_Phase.CLOSING)
            super().loseConnection()
        else:
            self._linger()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection has ended: forget it and its timers."""
        self._enter(_Phase.CLOSING)
        self.site.connections.discard(self)
        super().connectionLost(reason)

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Refuse a request that Twisted cannot parse; Twisted's own response has neither body nor length."""
        self.refuse(400, "bad_request")

    # Called by the site and the request

    def refuse(self, status: int, reason: str, headers: bytes = b"") -> None:
        """Respond to a request that is not processed further, and end the connection.

        :param headers: further header lines, each with its line end.
        """
        if self.refused:
            return
        if self.requests:
            self.requests[-1].requestHeaders.removeHeader(b"expect")  # so that Twisted sends no 100 Continue
        form = self.site.forms.of(self._target)
        kind, body = form.error(status, reason)
        lines = b"".join([line + b"\r\n" for line in form.header_lines()])
        head = (
            b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n"
            b"%b%b\r\n"
        ) % (status, PHRASES[status], self.site.date(), kind, len(body), lines, headers)
        self.transport.write(head + body)
        self.site.metrics.answers[str(status)] += 1
        self._linger()

    def authenticated(self) -> None:
        """Note that the client has authenticated: no other connection takes the place of this one from now on."""
        self.site.connections.admit(self)

    def check_time(self, now: float) -> None:
        """End the connection if its phase exceeds the time limit; the handling of a request has none."""
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
        """Accept no further request after the current one."""
        if self._phase is _Phase.IDLE or self._fresh:
            self._linger()
        elif self._phase in (_Phase.BODY, _Phase.BUSY):
            self.persistent = False

    def cut(self) -> None:
        """Close now, also during a request."""
        self._enter(_Phase.CLOSING)
        self.transport.abortConnection()

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._since = self.site.clock.seconds()
        self.refused = phase is _Phase.LINGERING or phase is _Phase.CLOSING

    def _linger(self) -> None:
        """Close the writing side, and read and drop octets until the client closes too.

        Closing at once would answer octets on their way with a reset, which can overtake the response.
        """
        self._enter(_Phase.LINGERING)
        self.transport.unregisterProducer()
        self.transport.resumeProducing()
        # TLS has no half-closed state; the wrapper would pass the call to the socket beneath it.
        if hasattr(type(self.transport), "loseWriteConnection"):
            self.transport.loseWriteConnection()

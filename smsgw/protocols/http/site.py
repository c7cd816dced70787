"""A twisted.web site that limits octets while they arrive and the time of every phase of a request.

Twisted's own server stores a body of any size before it calls a resource, and its only timer restarts with every octet.
This site checks the limits while octets arrive, and its deadlines cover a whole phase, so that a slow client cannot
extend them. HTTP/2 is not offered.

Requests are not logged, so that no URI or credential gets into the log; responses are counted instead.
"""
# mypy: allow-untyped-calls
# (the overridden methods have no annotations in Twisted)

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web.http import datetimeToString
from twisted.web.server import Site

from smsgw.config import WebLimits
from smsgw.protocols.connections import Connections, Surroundings
from smsgw.protocols.http.channel import BoundedChannel, BoundedRequest
from smsgw.protocols.http.metrics import HttpMetrics
from smsgw.protocols.http.responses import ResponseForms

if TYPE_CHECKING:
    from twisted.web.resource import IResource


class BoundedSite(Site):
    """Makes the connections of one listener.

    :param resource: the root resource.
    :param clock: its seconds must be monotonic.
    :param now: seconds since 1970, for the Date header.
    :param forms: the form of the error responses of the site itself, and header fields of all responses.
    :param metrics: shared by the sites of a program; None: responses are counted but not exported.
    :param surroundings: what the connections know of the program around them.
    :ivar connections: the open connections.
    """

    protocol = BoundedChannel  # type: ignore[assignment]
    requestFactory = BoundedRequest
    noisy = False

    def __init__(
        self,
        resource: IResource,
        clock: IReactorTime,
        limits: WebLimits = WebLimits(),
        now: Callable[[], float] = time.time,
        forms: ResponseForms = ResponseForms(),
        metrics: HttpMetrics | None = None,
        surroundings: Surroundings = Surroundings(),
    ) -> None:
        super().__init__(resource, reactor=clock, parsePOSTFormSubmission=False)
        self.timeOut = None
        self.clock = clock
        self.limits = limits
        self.forms = forms
        self.metrics = metrics or HttpMetrics()
        self.connections: Connections[BoundedChannel] = Connections(clock, limits, surroundings)
        self._now = now
        self._date = (0, b"")

    # Called by Twisted

    def buildProtocol(self, addr: IAddress | None) -> BoundedChannel:  # type: ignore[override]
        """A connection."""
        channel = cast(BoundedChannel, super().buildProtocol(addr))
        channel.limits = self.limits
        channel.maxHeaders = self.limits.headers
        channel.totalHeadersSize = self.limits.head
        channel.MAX_LENGTH = self.limits.head
        return channel

    def startFactory(self) -> None:
        """Start nothing: timers run only while connections are open."""

    def stopFactory(self) -> None:
        """Keep the connections; :meth:`shut_down` ends them."""

    def getContentFile(self, length: int | None) -> BytesIO:
        """Return the storage of a body: memory, since bodies are limited."""
        return BytesIO()

    def log(self, request: Any) -> None:
        """Count a response."""
        self.metrics.answers[str(request.code)] += 1

    def acceptableProtocols(self) -> list[bytes]:
        """Offer HTTP/1.1 only, also if HTTP/2 is installed."""
        return [b"http/1.1"]

    # Called by the embedding program

    @property
    def channels(self) -> set[BoundedChannel]:
        """The open connections."""
        return self.connections.all

    def shut_down(self, within: float | None = None) -> Deferred[None]:
        """Complete the current requests, each with ``Connection: close``; close idle connections.

        :param within: seconds after which the remaining connections are aborted; None: only the limits end them.
        :return: fires when all connections have ended.
        """
        return self.connections.shut_down(within)

    # Called by the connections

    def connected(self, channel: BoundedChannel) -> bool:
        """Register a new connection; return whether it is accepted."""
        self.connections.add(channel)
        return not self.connections.draining

    def date(self) -> bytes:
        """Return the Date header's value (RFC 9110, 6.6.1), formatted once a second."""
        now = int(self._now())
        if self._date[0] != now:
            self._date = now, datetimeToString(now)
        return self._date[1]

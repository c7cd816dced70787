"""twisted.web with bounds: what arrives is measured while it arrives, and every phase of a request has a deadline.

Twisted's own server keeps a body of any size before a resource hears of it, and its only timer starts anew with every
octet. Here the limits hold while octets come in, and the deadlines are totals: a client that drips octets does not push
them back. HTTP/2 is not offered.

No line of log is written per request, so that no URI or credential can get into one; answers are counted instead.
"""
# mypy: allow-untyped-calls
# (what is overridden here has no annotations in Twisted)

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
from smsgw.protocols.connections import Connections
from smsgw.protocols.http.channel import BoundedChannel, BoundedRequest
from smsgw.protocols.http.errors import Errors
from smsgw.protocols.http.metrics import HttpMetrics

if TYPE_CHECKING:
    from twisted.web.resource import IResource


class BoundedSite(Site):
    """Makes the connections of one listener.

    :param resource: the root; mount what you like.
    :param clock: its seconds must be monotonic.
    :param now: seconds since 1970, for the Date header.
    :param errors: writes what the site itself refuses.
    :param metrics: shared by the sites of a program; without it the answers' counts are shown nowhere.
    :ivar connections: those there are.
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
        errors: Errors = Errors(),
        metrics: HttpMetrics | None = None,
    ) -> None:
        super().__init__(resource, reactor=clock, parsePOSTFormSubmission=False)
        self.timeOut = None
        self.clock = clock
        self.limits = limits
        self.errors = errors
        self.metrics = metrics or HttpMetrics()
        self.connections: Connections[BoundedChannel] = Connections(clock)
        self._now = now
        self._date = (0, b"")

    # What Twisted calls

    def buildProtocol(self, addr: IAddress | None) -> BoundedChannel:  # type: ignore[override]
        """A connection."""
        channel = cast(BoundedChannel, super().buildProtocol(addr))
        channel.limits = self.limits
        channel.maxHeaders = self.limits.headers
        channel.totalHeadersSize = self.limits.head
        channel.MAX_LENGTH = self.limits.head
        return channel

    def startFactory(self) -> None:
        """Nothing runs while nobody is connected."""

    def stopFactory(self) -> None:
        """Connections live on until :meth:`shut_down` or their own end."""

    def getContentFile(self, length: int | None) -> BytesIO:
        """Where a body is kept: in memory, since it is bounded."""
        return BytesIO()

    def log(self, request: Any) -> None:
        """Count an answer."""
        self.metrics.answers[str(request.code)].inc()

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 only, whatever is installed."""
        return [b"http/1.1"]

    # What embedders call

    @property
    def channels(self) -> set[BoundedChannel]:
        """The connections there are, whatever they are at."""
        return self.connections.all

    def shut_down(self, within: float | None = None) -> Deferred[None]:
        """Answer what is under way, each with ``Connection: close``; close whoever waits.

        :param within: seconds after which whoever is left is cut off; None: only the limits end them.
        :return: fires when no connection is left.
        """
        return self.connections.shut_down(within)

    # What the connections tell and ask

    def connected(self, channel: BoundedChannel) -> bool:
        """It is here; whether it may stay."""
        here, limits = self.connections, self.limits
        welcome = (
            not here.draining
            and len(here.unauthenticated) < limits.unauthenticated
            and here.unauthenticated_from(channel.peer) < limits.unauthenticated_per_source
        )
        here.add(channel)
        return welcome

    def date(self) -> bytes:
        """The Date header's value (RFC 9110, 6.6.1), made once a second."""
        now = int(self._now())
        if self._date[0] != now:
            self._date = now, datetimeToString(now)
        return self._date[1]

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
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.web.http import datetimeToString
from twisted.web.server import Site

from smsgw.protocols.webchannel import ANSWERS, BoundedChannel, BoundedRequest, WebLimits

if TYPE_CHECKING:
    from twisted.web.resource import IResource

_SWEEP: Final = 1.0
"""Seconds between two looks at what has taken too long: the precision of all deadlines here."""


class BoundedSite(Site):
    """Makes the connections of one listener, watches their time and ends them.

    :param resource: the root; mount what you like.
    :param clock: its seconds must be monotonic.
    :param wall: seconds since 1970, for the Date header.
    :ivar channels: the connections there are. :ivar draining: :meth:`shut_down` has been called.
    """

    protocol = BoundedChannel  # type: ignore[assignment]
    requestFactory = BoundedRequest
    noisy = False

    def __init__(
        self,
        resource: IResource,
        clock: IReactorTime,
        limits: WebLimits = WebLimits(),
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(resource, reactor=clock, parsePOSTFormSubmission=False)
        self.timeOut = None
        self.clock = clock
        self.limits = limits
        self.channels: set[BoundedChannel] = set()
        self.draining = False
        self._strangers: set[BoundedChannel] = set()
        self._wall = wall
        self._date = (0, b"")
        self._next_sweep: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []

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
        ANSWERS.add(1, str(request.code))

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 only, whatever is installed."""
        return [b"http/1.1"]

    # What embedders call

    def shut_down(self, within: float | None = None) -> Deferred[None]:
        """Answer what is under way, each with ``Connection: close``; close whoever waits.

        :param within: seconds after which whoever is left is cut off; None: only the limits end them.
        :return: fires when no connection is left.
        """
        self.draining = True
        if not self.channels:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._waiting.append(gone)
        if within is not None and self._deadline is None:
            self._deadline = self.clock.callLater(within, self._cut_off)
        for channel in list(self.channels):
            channel.drain()
        return gone

    # What the connections tell and ask

    def connected(self, channel: BoundedChannel) -> bool:
        """It is here; whether it may stay."""
        welcome = not self.draining and len(self._strangers) < self.limits.strangers
        self.channels.add(channel)
        self._strangers.add(channel)
        if self._next_sweep is None:
            self._next_sweep = self.clock.callLater(_SWEEP, self._sweep)
        return welcome

    def admitted(self, channel: BoundedChannel) -> None:
        """It has had an answer that was no refusal."""
        self._strangers.discard(channel)

    def disconnected(self, channel: BoundedChannel) -> None:
        """It is gone."""
        self.channels.discard(channel)
        self._strangers.discard(channel)
        if self.channels:
            return
        for timer in (self._next_sweep, self._deadline):
            if timer is not None and timer.active():
                timer.cancel()
        self._next_sweep = self._deadline = None
        waiting, self._waiting = self._waiting, []
        for gone in waiting:
            gone.callback(None)

    def date(self) -> bytes:
        """The Date header's value (RFC 9110, 6.6.1), made once a second."""
        now = int(self._wall())
        if self._date[0] != now:
            self._date = now, datetimeToString(now)
        return self._date[1]

    def _sweep(self) -> None:
        self._next_sweep = self.clock.callLater(_SWEEP, self._sweep)
        now = self.clock.seconds()
        for channel in list(self.channels):
            channel.check_time(now)

    def _cut_off(self) -> None:
        for channel in list(self.channels):
            channel.cut()

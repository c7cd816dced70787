"""Connections of one factory: counted, checked once a second, and closed together.

One timer serves all of them; it runs only while there are connections. Limits on their number apply to unauthenticated
connections only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from smsgw.model.pacing import log_limit

SWEEP: Final = 1.0
"""Seconds between two checks: the precision of all timers of connections."""

log: Final = Logger()


class Watched(Protocol):
    """A connection that :class:`Connections` can hold."""

    @property
    def peer(self) -> str:
        """The other end's IP address as text, constant while it is held; empty on a UNIX socket."""

    def check_time(self, now: float) -> None:
        """Check its timers at this reading of the clock."""

    def drain(self) -> None:
        """Close in order."""

    def cut(self) -> None:
        """Close at once."""


Each = TypeVar("Each", bound=Watched)


class Connections(Generic[Each]):
    """The open connections of a factory.

    :param clock: its seconds must be monotonic.
    :ivar all: all connections. :ivar unauthenticated: those without a successful login or bind.
    :ivar draining: :meth:`shut_down` has been called.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.all: set[Each] = set()
        self.unauthenticated: set[Each] = set()
        self.draining = False
        self._from: Counter[str] = Counter()
        self._next: IDelayedCall | None = None
        self._cut_off: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []
        self._lines = log_limit()

    def may_log(self, connection: Each) -> bool:
        """Whether to log about this connection; lines about unauthenticated ones are limited in rate."""
        return connection not in self.unauthenticated or self._lines.take(self.clock.seconds())

    def add(self, connection: Each) -> None:
        """Add a new connection, unauthenticated."""
        self.all.add(connection)
        self.deauthenticate(connection)
        if self._next is None:
            self._next = self.clock.callLater(SWEEP, self._sweep)

    def admit(self, connection: Each) -> None:
        """Mark a connection as authenticated."""
        if connection in self.unauthenticated:
            self.unauthenticated.remove(connection)
            self._from[connection.peer] -= 1
            if not self._from[connection.peer]:
                del self._from[connection.peer]

    def deauthenticate(self, connection: Each) -> None:
        """Mark a connection as unauthenticated, possibly again (after STARTTLS)."""
        if connection not in self.unauthenticated:
            self.unauthenticated.add(connection)
            self._from[connection.peer] += 1

    def unauthenticated_from(self, peer: str) -> int:
        """How many unauthenticated connections one address has."""
        return self._from[peer]

    def discard(self, connection: Each) -> None:
        """Remove a closed connection."""
        self.all.discard(connection)
        self.admit(connection)
        if not self.all:
            self._stop()

    def shut_down(self, within: float | None) -> Deferred[None]:
        """Close all connections in order; fires when none is left.

        :param within: seconds after which the remaining ones are closed at once; None: only their own timers end them.
        """
        self.draining = True
        if not self.all:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._waiting.append(gone)
        if within is not None and self._cut_off is None:
            self._cut_off = self.clock.callLater(within, self._cut_all)
        self._each(lambda connection: connection.drain())
        return gone

    def _sweep(self) -> None:
        self._next = self.clock.callLater(SWEEP, self._sweep)
        now = self.clock.seconds()
        self._each(lambda connection: connection.check_time(now))

    def _cut_all(self) -> None:
        self._cut_off = None
        self._each(lambda connection: connection.cut())

    def _each(self, act: Callable[[Each], None]) -> None:
        for connection in list(self.all):
            try:
                act(connection)
            except Exception:  # noqa: BLE001 - logged; the other connections must get their call too
                log.failure("a connection of {peer} failed and is closed", peer=connection.peer)
                connection.cut()

    def _stop(self) -> None:
        for call in (self._next, self._cut_off):
            if call is not None and call.active():
                call.cancel()
        self._next = self._cut_off = None
        waiting, self._waiting = self._waiting, []
        for gone in waiting:
            gone.callback(None)


class SessionFactory(Factory, Generic[Each]):
    """A factory that can close its sessions. A subclass makes them in ``buildProtocol``; they register themselves.

    :param clock: its seconds must be monotonic.
    :ivar connections: the open connections.
    """

    noisy = False

    def __init__(self, clock: IReactorTime) -> None:
        self.connections: Connections[Each] = Connections(clock)

    @property
    def sessions(self) -> set[Each]:
        """The open connections, authenticated or not."""
        return self.connections.all

    def shut_down(self, within: float | None = None) -> Deferred[None]:
        """Close all sessions in the order of their protocol: each completes its current requests first.

        :param within: seconds after which the remaining connections are closed at once; None: only the timers of the
            sessions end them.
        :return: fires when no session is left.
        """
        return self.connections.shut_down(within)

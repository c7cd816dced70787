"""Connections of one factory: counted, checked once a second, and closed together.

One timer serves all of them; it runs only while there are connections. Limits on their number apply to unauthenticated
connections only. At a limit the new connection is taken, and the oldest of the source that has most gives way: so a
client gets in however many connections others hold, and who holds many loses them first. Addresses that an account
lists have places of their own, which no other address can take.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from itertools import islice
from typing import Final, Generic, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from smsgw.config import ConnectionLimits
from smsgw.model.network import network_of
from smsgw.model.pacing import log_limit
from smsgw.protocols.overload import Overloads

SWEEP: Final = 1.0
"""Seconds between two checks: the precision of all timers of connections."""

TICK: Final = 0.05
"""Seconds between two times at which some of the connections that gave way are closed: each time a twentieth of them,
so that clients which connect again at once do not come all together."""

UNLIMITED: Final = ConnectionLimits(
    unauthenticated=sys.maxsize, unauthenticated_listed=sys.maxsize, unauthenticated_per_source=sys.maxsize
)

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


@attrs.frozen
class Surroundings:
    """What the connections of a listener know of the program around them.

    :ivar listener: its name. :ivar listed: whether an account names an address (as text) in its ``allow_from``.
    :ivar overloads: learns of exceeded limits; None: they are only logged.
    """

    listener: str = ""
    listed: Callable[[str], bool] = lambda _: False
    overloads: Overloads | None = None


class _Places(Generic[Each]):
    """The unauthenticated connections that share a limit, by source and age.

    :ivar sources: the connections of each source, oldest first.
    """

    def __init__(self, limit: int, per_source: int) -> None:
        self.limit = limit
        self.per_source = per_source
        self.size = 0
        self.sources: defaultdict[str, dict[Each, None]] = defaultdict(dict)
        self._by_number: defaultdict[int, dict[str, None]] = defaultdict(dict)  # sources with so many connections
        self._most = 0

    def add(self, source: str, connection: Each) -> None:
        own = self.sources[source]
        own[connection] = None
        self._moved(source, len(own) - 1, len(own))

    def remove(self, source: str, connection: Each) -> None:
        own = self.sources[source]
        del own[connection]
        self._moved(source, len(own) + 1, len(own))
        if not own:
            del self.sources[source]

    def _moved(self, source: str, before: int, after: int) -> None:
        self.size += after - before
        self._by_number[before].pop(source, None)
        if after:
            self._by_number[after][source] = None
        self._most = max(self._most, after)
        while self._most and not self._by_number[self._most]:
            del self._by_number[self._most]
            self._most -= 1

    def excess(self, source: str) -> Each | None:
        """Return the connection that has to give way after `source` got another one, None while there is room."""
        if len(self.sources[source]) <= self.per_source:
            if self.size <= self.limit:
                return None
            source = next(iter(self._by_number[self._most]))
        return next(iter(self.sources[source]))


class Connections(Generic[Each]):
    """The open connections of a factory.

    :param clock: its seconds must be monotonic. :param limits: of unauthenticated connections.
    :ivar all: all connections. :ivar unauthenticated: those without a successful login or bind that have a place; for
        each its places and its source.
    :ivar draining: :meth:`shut_down` has been called.
    """

    def __init__(
        self,
        clock: IReactorTime,
        limits: ConnectionLimits = UNLIMITED,
        surroundings: Surroundings = Surroundings(),
    ) -> None:
        self.clock = clock
        self.all: set[Each] = set()
        self.unauthenticated: dict[Each, tuple[_Places[Each], str]] = {}
        self.draining = False
        self.overloads = surroundings.overloads or Overloads(clock)
        self.surroundings = surroundings
        self._open: _Places[Each] = _Places(limits.unauthenticated, limits.unauthenticated_per_source)
        self._listed: _Places[Each] = _Places(limits.unauthenticated_listed, limits.unauthenticated_per_source)
        self._giving_way: dict[Each, None] = {}
        self._tick: IDelayedCall | None = None
        self._next: IDelayedCall | None = None
        self._cut_off: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []
        self._lines = log_limit()

    def may_log(self, connection: Each) -> bool:
        """Whether to log about this connection; lines about unauthenticated ones are limited in rate."""
        known = connection not in self.unauthenticated and connection not in self._giving_way
        return known or self._lines.take(self.clock.seconds())

    def add(self, connection: Each) -> None:
        """Add a new connection, unauthenticated. Another one may have to give way to it."""
        self.all.add(connection)
        self.deauthenticate(connection)
        if self._next is None:
            self._next = self.clock.callLater(SWEEP, self._sweep)

    def admit(self, connection: Each) -> None:
        """Mark a connection as authenticated."""
        self._giving_way.pop(connection, None)
        held = self.unauthenticated.pop(connection, None)
        if held is not None:
            places, source = held
            places.remove(source, connection)

    def deauthenticate(self, connection: Each) -> None:
        """Mark a connection as unauthenticated, possibly again (after STARTTLS)."""
        if connection in self.unauthenticated or connection in self._giving_way:
            return
        places = self._listed if self.surroundings.listed(connection.peer) else self._open
        source = network_of(connection.peer)
        self.unauthenticated[connection] = places, source
        places.add(source, connection)
        excess = places.excess(source)
        if excess is not None:
            self._displace(excess, places)

    def _displace(self, connection: Each, places: _Places[Each]) -> None:
        """Take the place of a connection. It is closed soon; at once if as many as there are places wait for that."""
        source = self.unauthenticated[connection][1]
        whose = "listed addresses" if places is not self._open else "addresses that no account lists"
        self.overloads.hit(
            "connections",
            self.surroundings.listener,
            f"{places.size} connections without a login from {whose}, {len(places.sources[source])} of them from"
            f" {source or 'a UNIX socket'}; the oldest gives way to each new one",
        )
        self.admit(connection)
        self._giving_way[connection] = None
        if len(self._giving_way) > places.limit:
            self._cut_displaced(1)
        if self._tick is None:
            self._tick = self.clock.callLater(TICK, self._next_tick)

    def _cut_displaced(self, number: int) -> None:
        for connection in list(islice(self._giving_way, number)):
            del self._giving_way[connection]
            connection.cut()

    def _next_tick(self) -> None:
        self._tick = self.clock.callLater(TICK, self._next_tick) if self._giving_way else None
        self._cut_displaced(1 + len(self._giving_way) // 20)

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
        for call in (self._next, self._cut_off, self._tick):
            if call is not None and call.active():
                call.cancel()
        self._next = self._cut_off = self._tick = None
        waiting, self._waiting = self._waiting, []
        for gone in waiting:
            gone.callback(None)


class SessionFactory(Factory, Generic[Each]):
    """A factory that can close its sessions. A subclass makes them in ``buildProtocol``; they register themselves.

    :param clock: its seconds must be monotonic. :param limits: of unauthenticated connections.
    :param surroundings: what the connections know of the program around them.
    :ivar connections: the open connections.
    """

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        limits: ConnectionLimits = UNLIMITED,
        surroundings: Surroundings = Surroundings(),
    ) -> None:
        self.connections: Connections[Each] = Connections(clock, limits, surroundings)

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

"""The listeners with their ports. A reload opens, changes and closes some of them without touching the others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from smsgw.config import AdminListenSettings, ListenSettings
from smsgw.config.endpoint import take_apart
from smsgw.program.configured import Configured
from smsgw.program.lifecycle import CannotStart
from smsgw.program.metrics import ProgramMetrics
from smsgw.program.tls import ListenerTls, Pair

log: Final = Logger()


class CannotListen(CannotStart):
    """A port cannot be opened; the text names the listener and the reason."""


class _Switch(Factory):
    """The factory of a port: passes connections to the current factory of its listener."""

    noisy = False

    def __init__(self, current: Any) -> None:
        self._current = current

    def doStart(self) -> None:
        super().doStart()  # type: ignore[no-untyped-call]
        self._current.doStart()

    def doStop(self) -> None:
        super().doStop()  # type: ignore[no-untyped-call]
        self._current.doStop()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._current.buildProtocol(addr)

    def use(self, factory: Any) -> None:
        """Pass further connections to `factory`."""
        before, self._current = self._current, factory
        if self.numPorts:
            factory.doStart()
            before.doStop()


@attrs.define(eq=False)
class OpenPort:
    """An open port, and what its connections are passed to."""

    port: IListeningPort
    switch: _Switch


@attrs.define(eq=False)
class Listener:
    """One ``[listen NAME]`` as it is configured at one time, with the sessions that were begun since.

    :ivar factory: makes the protocols of its port; wraps `protocol` if TLS is implicit.
    :ivar protocol: the protocol's own factory. :ivar says: the name of the protocol in the banner.
    :ivar front: the front end that uses the configuration. :ivar tls: None without TLS.
    """

    settings: ListenSettings
    factory: Any
    protocol: Any
    says: str
    front: Configured | None = None
    tls: ListenerTls | None = None
    opened: OpenPort | None = None

    @property
    def name(self) -> str:
        """The name of its section."""
        return self.settings.name

    @property
    def where(self) -> str:
        """The description of its endpoint."""
        return self.settings.endpoint

    @property
    def admin(self) -> bool:
        """Whether it is the administrator's."""
        return isinstance(self.settings, AdminListenSettings)

    @property
    def address(self) -> str:
        """Host and port; its endpoint if it is not open, or not a port."""
        host: Any = None if self.opened is None else self.opened.port.getHost()
        if not isinstance(host, (IPv4Address, IPv6Address)):
            return self.where
        return f"[{host.host}]:{host.port}" if ":" in host.host else f"{host.host}:{host.port}"

    def __str__(self) -> str:
        return f"{self.says:<14} {self.address}  [listen {self.name}]"


class Ports:
    """All listeners of the program.

    :ivar listeners: those of the configuration, by name.
    """

    def __init__(self, reactor: Any, metrics: ProgramMetrics) -> None:
        self._reactor = reactor
        self._metrics = metrics
        self._former: list[Listener] = []
        self.listeners: dict[str, Listener] = {}

    def __iter__(self) -> Iterator[Listener]:
        """Iterate over the listeners of the configuration, and former ones that have sessions."""
        self._former = [one for one in self._former if one.protocol.connections.all]
        return iter([*self.listeners.values(), *self._former])

    def add(self, listener: Listener) -> None:
        """Add a listener, in place of one of its name, whose sessions go on."""
        before = self.listeners.get(listener.name)
        if before is not None:
            self._former.append(before)
        self.listeners[listener.name] = listener
        self._metrics.sessions[listener.name].set_function(lambda: self._sessions(listener.name))

    def _sessions(self, name: str) -> int:
        return sum([len(one.protocol.connections.all) for one in self if one.name == name])

    def pairs(self) -> Iterator[tuple[str, Pair]]:
        """Yield the certificates in use, with the names of their listeners."""
        for name, listener in self.listeners.items():
            if listener.tls is not None:
                yield name, listener.tls.pair

    # The start and the stop

    async def open(self, admin: bool) -> None:
        """Open the administrator's listeners, or all others.

        :raises CannotListen: if a port is taken.
        """
        for listener in self.listeners.values():
            if listener.admin is admin:
                await self._open(listener)

    async def close(self, admin: bool) -> None:
        """Close the ports of the administrator's listeners, or of all others; open connections go on."""
        for listener in list(self):
            if listener.admin is admin:
                await self._close(listener)

    def close_sessions(self, admin: bool, within: float) -> Deferred[Any]:
        """Close the sessions of the administrator's listeners, or of all others, at the same time, after they complete
        their current requests."""
        return gatherResults([one.protocol.shut_down(within) for one in self if one.admin is admin])

    async def _open(self, listener: Listener) -> None:
        switch = _Switch(listener.factory)
        try:
            port = await serverFromString(self._reactor, listener.where).listen(switch)
        except CannotListenError as error:
            reason = error.socketError
            raise CannotListen(
                f"[listen {listener.name}] cannot listen on {listener.where}: "
                f"{os.strerror(reason.errno) if getattr(reason, 'errno', None) else reason}. "
                "Stop what uses that port or change endpoint."
            ) from error
        listener.opened = OpenPort(port, switch)

    async def _close(self, listener: Listener) -> None:
        opened, listener.opened = listener.opened, None
        if opened is not None:
            await maybeDeferred(opened.port.stopListening)

    # A reload

    async def change(self, made: Sequence[Listener], removed: Iterable[str], within: float) -> list[str]:
        """Open new listeners, change those of which `made` has another, close removed ones.

        A port is opened again only if its endpoint has changed. The sessions of a changed listener go on as they
        began; those of a removed one are closed in order, within so many seconds.

        :return: the names of listeners that stay as they were, since a port could not be opened; the reason is logged.
        """
        going = [self.listeners[name] for name in removed]
        moving: list[Listener] = []
        for listener in made:
            before = self.listeners.get(listener.name)
            if before is not None and take_apart(before.where) == take_apart(listener.where):
                self._take_over(before, listener)
            else:
                moving.append(listener)
        # A port that another listener needs, or the same listener on another interface, has to be closed first.
        freed = [
            one
            for one in (*going, *[self.listeners[new.name] for new in moving if new.name in self.listeners])
            if any(take_apart(new.where).clashes(take_apart(one.where)) for new in moving)
        ]
        for one in freed:
            await self._close(one)
        refused = [listener.name for listener in moving if not await self._move(listener)]
        for listener in going:
            del self.listeners[listener.name]
            self._former.append(listener)
            await self._close(listener)
            self._end_sessions(listener, within)
        return refused

    def _take_over(self, before: Listener, listener: Listener) -> None:
        """Use the port of `before` for `listener`."""
        listener.opened, before.opened = before.opened, None
        if listener.opened is not None:
            listener.opened.switch.use(listener.factory)
        self.add(listener)
        log.info("changed: {listener}", listener=str(listener))

    async def _move(self, listener: Listener) -> bool:
        """Open a listener whose endpoint is new. If that fails, the former one of its name stays."""
        before = self.listeners.get(listener.name)
        try:
            await self._open(listener)
        except CannotListen as error:
            log.error("{why} The listener {stays}.", why=str(error), stays="is not opened" if before is None else
                      "stays as it was")
            if before is not None and before.opened is None:
                await self._restore(before)
            return False
        self.add(listener)
        if before is not None:
            await self._close(before)
        log.info("opened: {listener}", listener=str(listener))
        return True

    async def _restore(self, listener: Listener) -> None:
        """Open a port again that was closed for another one."""
        try:
            await self._open(listener)
        except CannotListen as error:
            log.critical("{why} The listener is closed.", why=str(error))

    def _end_sessions(self, listener: Listener, within: float) -> None:
        """Close the sessions of a removed listener."""
        count = len(listener.protocol.connections.all)
        log.info("closed: [listen {name}], with {count} sessions", name=listener.name, count=count)

        def ended(_: object) -> None:
            if listener.name not in self.listeners:
                self._metrics.sessions.forget(listener.name)

        listener.protocol.shut_down(within).addCallback(ended)

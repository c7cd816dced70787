"""The program as one service: starts its parts in order, stops them in reverse order, reloads.

A MultiService would stop the store while dispatch still drains, and would only log that a port is taken. Here the order
is explicit, and a failed start ends the program.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import attrs
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.model.errors import StoreDown

log = Logger()

EX_UNAVAILABLE: Final = 69
EX_SOFTWARE: Final = 70


@attrs.define(eq=False)
class Listener:
    """One ``[listen NAME]``: its endpoint, its protocol and its line in the banner.

    :ivar where: the endpoint's description. :ivar factory: the listening factory, which wraps `protocol` if TLS is
    implicit. :ivar protocol: the protocol's own factory. :ivar says: the name of the protocol in the banner.
    """

    name: str
    endpoint: Any
    where: str
    factory: Any
    protocol: Any
    says: str
    port: IListeningPort | None = None


@attrs.define(eq=False)
class Step:
    """A part of the program: functions that start and stop it; either may be asynchronous."""

    name: str
    start: Callable[[], Awaitable[object] | None] | None = None
    stop: Callable[[], Awaitable[object] | None] | None = None


class Stopped(Exception):
    """A step of the start failed and was logged; the program is ending."""


class Gateway(Service):
    """Starts `steps` in order; stops the started ones in reverse order.

    :ivar steps: set before the start. :ivar state: ``stopped``, ``starting``, ``running`` or ``draining``.
    :param end: called with the exit status when the gateway ends the program.
    :param drain: seconds that the whole stop may take; a part that takes longer is abandoned.
    :param reload: reads the configuration again; raises ConfigErrors for mistakes.
    :param banner: returns the lines to log after the start, given all listeners in order.
    """

    def __init__(
        self,
        reactor: Any,
        end: Callable[[int], None],
        drain: float,
        reload: Callable[[], None],
        banner: Callable[[Sequence[Listener]], Sequence[str]],
    ) -> None:
        self._reactor = reactor
        self._end = end
        self._drain = drain
        self._reload = reload
        self._banner = banner
        self._reload_wanted = False
        self._starting: Deferred[None] | None = None
        self._started: list[Step] = []
        self._listening: list[Listener] = []
        self._failed = False
        self.steps: Sequence[Step] = ()
        self.state = "stopped"

    def startService(self) -> None:
        """Start all parts; a failure ends the program with the exit status of its kind."""
        super().startService()  # type: ignore[no-untyped-call]
        self.state = "starting"
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._start_failed)

    async def _start(self) -> None:
        for step in self.steps:
            self._started.append(step)
            if step.start is not None:
                waiting = step.start()
                if waiting is not None:
                    await waiting
        if not self.running:
            return
        self.state = "running"
        for line in self._banner(self._listening):
            log.info("{line}", line=line)
        if self._reload_wanted:
            self.reload()

    async def listen(self, listeners: Sequence[Listener]) -> None:
        """Open listeners.

        :raises Stopped: if a port is taken; the error is logged and the program is ending.
        """
        for listener in listeners:
            try:
                listener.port = await listener.endpoint.listen(listener.factory)
            except CannotListenError as error:
                log.critical(
                    "[listen {name}] cannot listen on {where}: {why}. Stop what uses that port or change endpoint.",
                    name=listener.name,
                    where=listener.where,
                    why=os.strerror(error.socketError.errno) if error.socketError.errno else str(error.socketError),
                )
                self._end(EX_UNAVAILABLE)
                raise Stopped from error
            self._listening.append(listener)

    async def close(self, listeners: Sequence[Listener]) -> None:
        """Close the ports of listeners; open connections go on."""
        for listener in listeners:
            if listener.port is not None:
                await _await_if_deferred(listener.port.stopListening())
                listener.port = None

    def _start_failed(self, failure: Failure) -> None:
        if failure.check(Stopped) or not self.running:
            return
        if failure.check(StoreDown):
            log.critical("cannot start: {why}", why=failure.getErrorMessage())
            self._end(EX_UNAVAILABLE)
        else:
            log.failure("cannot start", failure)
            self._end(EX_SOFTWARE)

    def stopService(self) -> Deferred[None]:
        """Accept no new work, finish open work within the drain time, and stop; the store keeps the rest."""
        super().stopService()  # type: ignore[no-untyped-call]
        self.state = "draining"
        if self._starting is not None:
            self._starting.cancel()  # a stop during the start cancels the rest of the start
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        deadline = self._reactor.seconds() + self._drain
        for step in reversed(self._started):
            if step.stop is not None:
                await self._bounded(step, max(1.0, deadline - self._reactor.seconds()))
        self._started.clear()
        self.state = "stopped"
        log.info("stopped" if self._failed else "stopped; everything accepted is in the store")

    async def _bounded(self, step: Step, seconds: float) -> None:
        """Stop one part; abandon it after `seconds`."""
        assert step.stop is not None
        waiting = step.stop()
        if waiting is None:
            return
        stopping: Deferred[Any] = waiting if isinstance(waiting, Deferred) else ensureDeferred(waiting)  # type: ignore[arg-type]
        done: Deferred[Any] = Deferred()
        stopping.addBoth(lambda result: None if done.called else done.callback(result))

        def give_up() -> None:
            stopping.cancel()
            if not done.called:  # cancelling did not end it: abandon it
                done.errback(CancelledError())

        late = self._reactor.callLater(seconds, give_up)
        try:
            await done
        except CancelledError:
            log.warn("{step} did not stop in time", step=step.name)
        except Exception:  # noqa: BLE001 - logged; the parts after it (the store is the last) must be stopped too
            log.failure("{step} did not stop in order", step=step.name)
        if late.active():
            late.cancel()

    def stop_program(self) -> None:
        """Stop the program in order, with exit status 0."""
        log.info("stopping: finishing open work")
        self._end(0)

    def fail_program(self, failure: Failure) -> None:
        """End the program after a failure of the store; the next start recovers from the disk."""
        self._failed = True
        log.critical("the store failed, ending: {why}", why=failure.getErrorMessage())
        self._end(EX_SOFTWARE)

    def reload(self) -> None:
        """Read the configuration again and apply it, as soon as the start is over; not while the gateway stops."""
        if self.state == "running":
            self._reload_wanted = False
            self._reload()
        else:
            self._reload_wanted = True


async def _await_if_deferred(result: Any) -> None:
    if isinstance(result, Deferred):
        await result

"""The program as one service: starts its parts in order, stops them in the reverse, reloads, ends on signals.

A MultiService would stop the store while dispatch still drains, and would only log a port that is taken; here the
order is written down and a start that fails ends the program.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import FrameType
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
    """One ``[listen NAME]``: where, what speaks there, and what the banner says of it.

    :ivar factory: what listens; wraps `protocol` where TLS is implicit. :ivar protocol: the protocol's own factory.
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
    """A part of the program: how it starts, and how it stops. Either may be asynchronous."""

    name: str
    start: Callable[[], Awaitable[object] | None] | None = None
    stop: Callable[[], Awaitable[object] | None] | None = None


class Stopped(Exception):
    """A step of the start failed, was told in the log, and the program is ending."""


class Gateway(Service):
    """Starts `steps` in order; stops those that were started in the reverse order.

    :ivar steps: set before the start. :ivar state: ``stopped``, ``starting``, ``running`` or ``draining``.
    :param end: called with the exit status when the program has to end by itself.
    :param drain: seconds that a stop may take in all; a part that is not done by then is left behind.
    :param reload: re-reads the configuration, raising what is wrong with it.
    :param banner: lines shown once everything listens, of all listeners in order.
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
        self._starting: Deferred[None] | None = None
        self._started: list[Step] = []
        self._listening: list[Listener] = []
        self._handlers: Mapping[int, Any] = {}
        self.steps: Sequence[Step] = ()
        self.state = "stopped"

    def startService(self) -> None:
        """Start everything; a failure ends the program with a status that says of what kind it was."""
        super().startService()  # type: ignore[no-untyped-call]
        self.state = "starting"
        # After startup: the reactor installs its own handlers when it begins to run.
        self._reactor.callWhenRunning(self._install_signals)
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

    async def listen(self, listeners: Sequence[Listener]) -> None:
        """Open these.

        :raises Stopped: when a port is taken; the log says whose, and the program is ending.
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
        """Take no more connections on these."""
        for listener in listeners:
            if listener.port is not None:
                await _settled(listener.port.stopListening())
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
        """Drain and stop: take nothing new, finish what is under way, keep the rest for the next start."""
        super().stopService()  # type: ignore[no-untyped-call]
        self.state = "draining"
        self._restore_signals()
        if self._starting is not None:
            self._starting.cancel()  # whoever stops a start does not want the rest of it
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        deadline = self._reactor.seconds() + self._drain
        for step in reversed(self._started):
            if step.stop is not None:
                await self._bounded(step, max(1.0, deadline - self._reactor.seconds()))
        self._started.clear()
        self.state = "stopped"
        log.info("stopped; everything accepted is in the store")

    async def _bounded(self, step: Step, seconds: float) -> None:
        """Stop one part; go on without it when it takes longer than it may."""
        assert step.stop is not None
        waiting = step.stop()
        if waiting is None:
            return
        stopping: Deferred[Any] = waiting if isinstance(waiting, Deferred) else ensureDeferred(waiting)  # type: ignore[arg-type]
        done: Deferred[Any] = Deferred()
        stopping.addBoth(lambda result: None if done.called else done.callback(result))

        def give_up() -> None:
            stopping.cancel()
            if not done.called:  # it cannot be cancelled: whatever becomes of it is not waited for
                done.errback(CancelledError())

        late = self._reactor.callLater(seconds, give_up)
        try:
            await done
        except CancelledError:
            log.warn("{step}: not waited for any longer", step=step.name)
        except Exception:  # noqa: BLE001 - the parts below (the store, last) still have to be stopped
            log.failure("{step} did not stop in order", step=step.name)
        if late.active():
            late.cancel()

    def _install_signals(self) -> None:
        """twistd would end with the signal itself; an operator's stop is a success, so these are our own."""
        handlers = {signal.SIGTERM: self._on_stop, signal.SIGINT: self._on_stop, signal.SIGHUP: self._on_reload}
        try:
            self._handlers = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        except ValueError:
            log.debug("not in the main thread: signals are left alone")

    def _restore_signals(self) -> None:
        for number in self._handlers:
            signal.signal(number, self._on_second_stop if number != signal.SIGHUP else signal.SIG_IGN)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, self._on_second_stop)
        self._reactor.callFromThread(self.stop_program)

    def _on_second_stop(self, number: int, frame: FrameType | None) -> None:
        os._exit(128 + number)

    def _on_reload(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self.reload)

    def stop_program(self) -> None:
        """End in order, with status 0."""
        log.info("stopping: draining what is under way")
        self._end(0)

    def fail_program(self, failure: Failure) -> None:
        """The store can no longer be trusted: end, so that a fresh start recovers from what is on the disk."""
        log.critical("the store failed, ending: {why}", why=failure.getErrorMessage())
        self._end(EX_SOFTWARE)

    def reload(self) -> None:
        """Take the configuration again, all of it or nothing."""
        self._reload()


async def _settled(result: Any) -> None:
    if isinstance(result, Deferred):
        await result

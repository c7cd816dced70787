"""The program as one service: starts its parts in order, stops them in reverse order, reloads.

A MultiService would stop the store while dispatch still drains, and would only log that a port is taken. Here the order
is explicit, and a failed start ends the program.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final

import attrs
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.model.errors import StoreDown

log = Logger()

EX_UNAVAILABLE: Final = 69
EX_SOFTWARE: Final = 70


@attrs.define(eq=False)
class Step:
    """A part of the program: functions that start and stop it; either may be asynchronous."""

    name: str
    start: Callable[[], Awaitable[object] | None] | None = None
    stop: Callable[[], Awaitable[object] | None] | None = None


class CannotStart(Exception):
    """A part cannot start in its surroundings; the text says why."""


class Gateway(Service):
    """Starts `steps` in order; stops the started ones in reverse order.

    :ivar steps: set before the start. :ivar reopen: opens the files that parts write lines to again; may be set.
    :ivar state: ``stopped``, ``starting``, ``running`` or ``draining``.
    :param end: called with the exit status when the gateway ends the program.
    :param drain: seconds that the whole stop may take; a part that takes longer is abandoned.
    :param reload: reads the configuration again and applies it.
    :param banner: returns the lines to log after the start.
    """

    def __init__(
        self,
        reactor: Any,
        end: Callable[[int], None],
        drain: float,
        reload: Callable[[], Coroutine[Any, Any, None]],
        banner: Callable[[], Iterable[str]],
    ) -> None:
        self._reactor = reactor
        self._end = end
        self._drain = drain
        self._reload = reload
        self._banner = banner
        self._reload_wanted = False
        self._starting: Deferred[None] | None = None
        self._started: list[Step] = []
        self._ran = False
        self._failed = False
        self._reloading: Deferred[None] | None = None
        self.steps: Sequence[Step] = ()
        self.reopen: Callable[[], None] = lambda: None
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
        for line in self._banner():
            log.info("{line}", line=line)
        if self._reload_wanted:
            self.reload()

    def _start_failed(self, failure: Failure) -> None:
        if not self.running:
            return
        if failure.check(StoreDown, CannotStart):
            log.critical("cannot start: {why}", why=failure.getErrorMessage())
            self._end(EX_UNAVAILABLE)
        else:
            log.failure("cannot start", failure)
            self._end(EX_SOFTWARE)

    def stopService(self) -> Deferred[None]:
        """Accept no new work, finish open work within the drain time, and stop; the store keeps the rest."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._ran = self.state == "running"
        self.state = "draining"
        if self._starting is not None:
            self._starting.cancel()  # a stop during the start cancels the rest of the start
        if self._reloading is not None:
            self._reloading.cancel()
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        deadline = self._reactor.seconds() + self._drain
        for step in reversed(self._started):
            if step.stop is not None:
                await self._bounded(step, max(1.0, deadline - self._reactor.seconds()))
        self._started.clear()
        self.state = "stopped"
        if self._failed:
            log.info("stopped")
        elif self._ran:
            log.info("stopped; everything accepted is in the store")
        else:
            log.info("stopped before the start was over")

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
        """Read the configuration again and apply it, as soon as the start or an earlier reload is over; not while the
        gateway stops."""
        if self.state != "running" or self._reloading is not None:
            self._reload_wanted = True
            return
        self._reload_wanted = False
        self._reloading = reloading = Deferred.fromCoroutine(self._reload())
        reloading.addErrback(lambda failure: failure.trap(CancelledError) and None)
        reloading.addErrback(lambda failure: log.failure("the reload failed", failure))
        reloading.addCallback(self._reloaded)

    def _reloaded(self, _: None) -> None:
        self._reloading = None
        if self._reload_wanted and self.state == "running":
            self.reload()

"""Runs the blocking work of a store: in a thread of its own, or inline."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol, TypeVar

import attrs
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")

THREAD: Final = "store"
"""The name of the store's thread."""

_WAKES: Final = 4096
"""Octets read from the pipe at once, one per report."""

_log = Logger()


class Runner(Protocol):
    """Runs a store's blocking work."""

    def start(self) -> None:
        """Called before the first work."""

    def run(self, work: Callable[[], None]) -> None:
        """Run `work` after all earlier work."""

    def beside(self, work: Callable[[], T], done: Callable[[T], object]) -> None:
        """Run long work that does not use the connection in a thread of its own, then call `done` with its result in
        the reactor's thread; this may happen after the stop."""

    def report(self, call: Callable[[], None]) -> None:
        """Called by work: have `call` called in the reactor's thread."""

    def stop(self, stopped: Callable[[], None]) -> None:
        """Called after the last work, which is still run; then `stopped` is called in the reactor's thread."""


@implementer(IReadDescriptor)
class Reports:
    """Calls functions in the reactor's thread for another thread.

    It does what ``callFromThread`` does with a third of the function calls, which counts where a client waits for each
    answer before its next message: every message then has two commits of its own.

    :param reactor: provides IReactorFDSet.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: deque[Callable[[], None]] = deque()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        reactor.addReader(self)

    def report(self, call: Callable[[], None]) -> None:
        """In any thread: have `call` called in the reactor's thread."""
        self._calls.append(call)
        try:  # noqa: SIM105 - suppress() costs more than all the rest
            os.write(self._write, b"\0")
        except BlockingIOError:
            pass  # the pipe is full of wake-ups that the reactor has yet to read

    def fileno(self) -> int:
        return self._read

    def doRead(self) -> None:  # noqa: N802 - a name of Twisted
        os.read(self._read, _WAKES)
        calls = self._calls
        for _ in range(len(calls)):
            try:
                calls.popleft()()
            except Exception:  # noqa: BLE001 - a fault of one call must not remove this reader from the reactor
                _log.failure("a report of the store's thread failed")

    def logPrefix(self) -> str:
        return THREAD

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends while the thread still works: the pipe stays open, because the thread may still write."""

    def close(self) -> None:
        """Close the pipe; no report may follow."""
        self._reactor.removeReader(self)
        for descriptor in (self._read, self._write):
            os.close(descriptor)


@attrs.define(eq=False)
class StoreThread:
    """One thread for one store, since a SQLite connection is used from one thread.

    :ivar reactor: provides IReactorFDSet and IReactorFromThreads.
    """

    reactor: Any
    _work: SimpleQueue[Callable[[], None] | None] = attrs.field(factory=SimpleQueue, init=False)
    _reports: Reports = attrs.field(init=False)
    _stopped: Callable[[], None] = attrs.field(init=False)

    def start(self) -> None:
        """Start a daemon thread, which does not keep the process alive: work that is not committed when the reactor
        ends was not acknowledged either."""
        self._reports = Reports(self.reactor)
        Thread(target=self._loop, name=THREAD, daemon=True).start()

    def run(self, work: Callable[[], None]) -> None:
        self._work.put(work)

    def beside(self, work: Callable[[], T], done: Callable[[T], object]) -> None:
        Thread(target=lambda: self.reactor.callFromThread(done, work()), name=f"{THREAD} backup", daemon=True).start()

    def report(self, call: Callable[[], None]) -> None:
        self._reports.report(call)

    def stop(self, stopped: Callable[[], None]) -> None:
        self._stopped = stopped
        self._work.put(None)

    def _loop(self) -> None:
        while (work := self._work.get()) is not None:
            work()
        self._reports.report(self._end)

    def _end(self) -> None:
        self._reports.close()
        self._stopped()


class Inline:
    """Runs work at once in the caller's thread: for tests and for tools without a reactor."""

    def start(self) -> None:
        """Does nothing."""

    def run(self, work: Callable[[], None]) -> None:
        work()

    def beside(self, work: Callable[[], T], done: Callable[[T], object]) -> None:
        done(work())

    def report(self, call: Callable[[], None]) -> None:
        call()

    def stop(self, stopped: Callable[[], None]) -> None:
        stopped()

"""Runs the blocking work of a store: in a thread of its own, or inline."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol

import attrs

THREAD: Final = "store"
"""The name of the store's thread."""


class Runner(Protocol):
    """Runs a store's blocking work."""

    def start(self) -> None:
        """Called before the first work."""

    def run(self, work: Callable[[], None]) -> None:
        """Run `work` after all earlier work."""

    def report(self, call: Callable[[], None]) -> None:
        """Called by work: have `call` called in the reactor's thread."""

    def stop(self) -> None:
        """Called after the last work, which is still run."""


@attrs.define(eq=False)
class StoreThread:
    """One thread for one store, since a SQLite connection is used from one thread.

    :ivar reactor: provides ``callFromThread``.
    """

    reactor: Any
    _work: SimpleQueue[Callable[[], None] | None] = attrs.field(factory=SimpleQueue, init=False)

    def start(self) -> None:
        """Start a daemon thread, which does not keep the process alive: work that is not committed when the reactor
        ends was not acknowledged either."""
        Thread(target=self._loop, name=THREAD, daemon=True).start()

    def run(self, work: Callable[[], None]) -> None:
        self._work.put(work)

    def report(self, call: Callable[[], None]) -> None:
        self.reactor.callFromThread(call)

    def stop(self) -> None:
        self._work.put(None)

    def _loop(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class Inline:
    """Runs work at once in the caller's thread: for tests and for tools without a reactor."""

    def start(self) -> None:
        """Does nothing."""

    def run(self, work: Callable[[], None]) -> None:
        work()

    def report(self, call: Callable[[], None]) -> None:
        call()

    def stop(self) -> None:
        """Does nothing."""

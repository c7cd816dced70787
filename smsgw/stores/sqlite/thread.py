"""Where the blocking work of a store is done: in a thread of its own, or at once."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol

import attrs

THREAD: Final = "store"
"""Name of the thread in which the store works."""


class Runner(Protocol):
    """Where a store's blocking work is done."""

    def start(self) -> None:
        """Before the first work."""

    def run(self, work: Callable[[], None]) -> None:
        """Do `work` there, after all work given before."""

    def report(self, call: Callable[[], None]) -> None:
        """Called there: let the reactor's thread make `call`."""

    def stop(self) -> None:
        """No more work comes; what was given is still done."""


@attrs.define(eq=False)
class StoreThread:
    """A thread of the store's own, never shared: SQLite likes to be used from one.

    :ivar reactor: provides ``callFromThread``.
    """

    reactor: Any
    _work: SimpleQueue[Callable[[], None] | None] = attrs.field(factory=SimpleQueue, init=False)

    def start(self) -> None:
        """The thread does not keep the process alive: what was not committed when the reactor ended was not
        acknowledged either."""
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
    """Everything at once in the caller's thread: for tests and for tools without a reactor."""

    def start(self) -> None:
        """Nothing is to be started."""

    def run(self, work: Callable[[], None]) -> None:
        work()

    def report(self, call: Callable[[], None]) -> None:
        call()

    def stop(self) -> None:
        """Nothing is to be stopped."""

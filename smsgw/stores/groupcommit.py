"""Group commit: while one batch of calls is carried out in the store's thread, the next one gathers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any, Final, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from smsgw.model.changes import Changes, Committed
from smsgw.model.errors import StoreDown, StoreFull
from smsgw.stores.metrics import StoreMetrics

T = TypeVar("T")

QUEUED_ROWS = 200_000
"""Row changes that may wait for their commit before new messages are refused."""


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
        """See :class:`Runner`. The thread does not keep the process alive: what was not committed when the
        reactor ended was not acknowledged either."""
        Thread(target=self._loop, name=THREAD, daemon=True).start()

    def run(self, work: Callable[[], None]) -> None:
        """See :class:`Runner`."""
        self._work.put(work)

    def report(self, call: Callable[[], None]) -> None:
        """See :class:`Runner`."""
        self.reactor.callFromThread(call)

    def stop(self) -> None:
        """See :class:`Runner`."""
        self._work.put(None)

    def _loop(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class Inline:
    """Everything at once in the caller's thread: for tests and for tools without a reactor."""

    def start(self) -> None:
        """See :class:`Runner`."""

    def run(self, work: Callable[[], None]) -> None:
        """See :class:`Runner`."""
        work()

    def report(self, call: Callable[[], None]) -> None:
        """See :class:`Runner`."""
        call()

    def stop(self) -> None:
        """See :class:`Runner`."""


@attrs.define(eq=False)
class GroupCommit:
    """Gathers calls and carries them out batch by batch: all changes of a batch in one commit, then its reads.

    A read therefore sees every change whose call came before it.

    :ivar runner: where the work is done.
    :ivar carry_out: does one commit there; gives its result or failure per call.
    :ivar limit: row changes waiting above which calls with new messages are refused; what finishes messages
        that were accepted before may take as much again.
    """

    runner: Runner
    carry_out: Callable[[list[Changes]], list[Committed | Failure]]
    limit: int = QUEUED_ROWS
    metrics: StoreMetrics = attrs.field(factory=StoreMetrics)
    _changes: list[tuple[Changes, Deferred[Committed]]] = attrs.field(factory=list, init=False)
    _reads: list[tuple[Callable[[], Any], Deferred[Any]]] = attrs.field(factory=list, init=False)
    _rows: int = attrs.field(default=0, init=False)
    _busy: bool = attrs.field(default=False, init=False)
    _closing: Deferred[None] | None = attrs.field(default=None, init=False)

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """Have `changes` carried out with whatever else gathers meanwhile."""
        if self._closing is not None:
            return fail(StoreDown("the store is closed"))
        rows = self._rows + (
            len(changes.accepts)
            + len(changes.claims)
            + len(changes.outcomes)
            + len(changes.receipts)
            + len(changes.cancels)
            + len(changes.told)
            + len(changes.later)
            + len(changes.incoming)
        )
        if rows > self.limit and self._changes and (changes.accepts or rows > 2 * self.limit):
            return fail(StoreFull("too many changes are waiting for the disk"))
        self._rows = rows
        done: Deferred[Committed] = Deferred()
        self._changes.append((changes, done))
        if not self._busy:
            self._next()
        return done

    def read(self, look: Callable[[], T]) -> Deferred[T]:
        """Have `look` called after the changes given so far; fires with what it returns or raises."""
        if self._closing is not None:
            return fail(StoreDown("the store is closed"))
        done: Deferred[T] = Deferred()
        self._reads.append((look, done))
        if not self._busy:
            self._next()
        return done

    def close(self) -> Deferred[None]:
        """Take no more; fires when everything given has been done."""
        if self._closing is None:
            self._closing = Deferred()
            if not self._busy:
                self._next()
        elif self._closing.called:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._closing.chainDeferred(done)
        return done

    def _next(self) -> None:
        """Start on what has gathered."""
        changes, self._changes = self._changes, []
        reads, self._reads = self._reads, []
        self._rows = 0
        self._busy = bool(changes or reads)
        if self._busy:
            self.runner.run(partial(self._work, changes, reads))
        elif self._closing is not None:
            self._closing.callback(None)

    def _work(
        self,
        changes: list[tuple[Changes, Deferred[Committed]]],
        reads: list[tuple[Callable[[], Any], Deferred[Any]]],
    ) -> None:
        """One batch, in the store's thread. Results of a commit do not wait for the reads behind it."""
        report = self.runner.report
        if changes:
            started = perf_counter()
            try:
                results = self.carry_out([call for call, _ in changes])
            except Exception:  # noqa: BLE001 - a fault of ours: nobody shall wait for ever, nor the thread end
                results = [Failure() for _ in changes]
            answers = [(done, result) for (_, done), result in zip(changes, results, strict=True)]
            report(partial(self._committed, answers, perf_counter() - started, not reads))
        for number, (look, done) in enumerate(reads, 1):
            try:
                result = look()
            except Exception:  # noqa: BLE001 - whatever it is, it belongs to whoever asked
                result = Failure()
            report(partial(self._answer, [(done, result)], number == len(reads)))

    def _committed(self, answers: list[tuple[Deferred[Any], Any]], seconds: float, last: bool) -> None:
        self._answer(answers, last)
        self.metrics.calls.observe(len(answers))
        self.metrics.seconds.observe(seconds)
        failed = any(isinstance(result, Failure) for _, result in answers)
        self.metrics.commits["failed" if failed else "done"].inc()

    def _answer(self, answers: list[tuple[Deferred[Any], Any]], last: bool) -> None:
        """Back in the reactor's thread: first let the store go on, then tell the callers."""
        if last:
            self._next()
        for done, result in answers:
            if isinstance(result, Failure):
                done.errback(result)
            else:
                done.callback(result)

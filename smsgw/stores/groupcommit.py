"""Group commit: while the engine commits one batch of calls, further calls gather in the next batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.model.changes import Changes, Committed
from smsgw.model.errors import StoreDown, StoreFull
from smsgw.stores.commit import Unstorable
from smsgw.stores.metrics import StoreMetrics
from smsgw.stores.steps import Engine, Steps

T = TypeVar("T")

QUEUED_ROWS = 200_000
"""Row changes that may wait for their commit; above that new messages are refused."""

_log = Logger()
_CLOSED: Final = "the store is closed"


@attrs.define(eq=False)
class GroupCommit:
    """Gathers calls and passes them to the engine in batches: all changes of a batch in one commit, then its other
    steps.

    So a query sees every change whose call came before it.

    :ivar commit_steps: the steps of one commit; they return the result or failure of each call.
    :ivar limit: row changes that may wait before calls with new messages are refused; changes of messages that were
        accepted before may take as much again.
    """

    engine: Engine
    commit_steps: Callable[[Sequence[Changes]], Steps[list[Committed | Failure]]]
    limit: int = QUEUED_ROWS
    metrics: StoreMetrics = attrs.field(factory=StoreMetrics)
    _changes: list[tuple[Changes, Deferred[Committed]]] = attrs.field(factory=list, init=False)
    _others: list[tuple[Steps[Any], Deferred[Any]]] = attrs.field(factory=list, init=False)
    _rows: int = attrs.field(default=0, init=False)
    _busy: bool = attrs.field(default=False, init=False)
    _closing: Deferred[None] | None = attrs.field(default=None, init=False)

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """Commit `changes` together with the other calls of their batch."""
        if self._closing is not None:
            return fail(StoreDown(_CLOSED))
        rows = self._rows + (
            len(changes.accepts)
            + len(changes.claims)
            + len(changes.outcomes)
            + len(changes.receipts)
            + len(changes.cancels)
            + len(changes.acknowledged)
            + len(changes.retries)
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

    def run(self, steps: Steps[T]) -> Deferred[T]:
        """Take `steps` after the changes given so far; fires with their result or failure."""
        if self._closing is not None:
            return fail(StoreDown(_CLOSED))
        done: Deferred[T] = Deferred()
        self._others.append((steps, done))
        if not self._busy:
            self._next()
        return done

    def close(self) -> Deferred[None]:
        """Refuse further calls; fires when all earlier calls are done."""
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
        """Pass the gathered batch to the engine."""
        changes, self._changes = self._changes, []
        others, self._others = self._others, []
        self._rows = 0
        self._busy = bool(changes or others)
        if changes:
            started = perf_counter()
            steps = self.commit_steps([call for call, _ in changes])

            def committed(results: list[Committed | Failure] | Failure) -> None:
                seconds = perf_counter() - started
                if isinstance(results, Failure):  # a fault of the store itself: every call fails
                    results = [results] * len(changes)
                if not others:
                    self._next()
                self._count(results, seconds)
                for (_, done), result in zip(changes, results, strict=True):
                    if isinstance(result, Failure):
                        done.errback(result)
                    else:
                        done.callback(result)

            self.engine.run(steps, committed)
        for number, (other, done) in enumerate(others, 1):
            self.engine.run(other, partial(self._answer, done, last=number == len(others)))
        if not self._busy and self._closing is not None and not self._closing.called:
            self._closing.callback(None)

    def _count(self, results: Sequence[Committed | Failure], seconds: float) -> None:
        """Count one commit; log calls whose data cannot be stored."""
        metrics = self.metrics
        metrics.calls.observe(len(results))
        metrics.seconds.observe(seconds)
        if {*map(type, results)} == {Committed}:
            metrics.commits["done"] += 1
            return
        metrics.commits["failed"] += 1
        for result in results:
            if isinstance(result, Failure) and isinstance(result.value, Unstorable):
                _log.failure("changes that cannot be stored", Failure(result.value.__cause__))

    def _answer(self, done: Deferred[Any], result: Any, last: bool) -> None:
        """In the reactor's thread: begin the next batch, then fire the Deferred of a caller."""
        if last:
            self._next()
        if isinstance(result, Failure):
            done.errback(result)
        else:
            done.callback(result)

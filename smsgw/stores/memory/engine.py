"""Runs steps over tables in memory. Each step is taken on a later turn, so that the steps of several nodes
interleave."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from smsgw.interfaces import StoreCondition
from smsgw.model.errors import StoreDown
from smsgw.stores.cache import PARKED
from smsgw.stores.memory.answers import ANSWERS, load
from smsgw.stores.memory.tables import Node, Tables
from smsgw.stores.memory.write import write
from smsgw.stores.steps import Load, MoreIds, Register, Registration, Step, Steps, Write


class Later(Protocol):
    """``callLater`` of a reactor, or of a clock."""

    def __call__(self, delay: float, call: Callable[..., Any], /, *arguments: Any) -> Any:
        """Make the call after `delay` seconds."""


@attrs.frozen(eq=False)
class _Raised:
    """The answer to a step that failed."""

    value: Exception


@attrs.define(eq=False)
class MemoryEngine:
    """An :class:`~smsgw.stores.steps.Engine` of one node.

    :ivar tables: the data; engines of several nodes may share them.
    :ivar later: calls a function on a later turn.
    """

    tables: Tables
    later: Later
    _queue: deque[tuple[Steps[Any], Callable[[Any], None]]] = attrs.field(factory=deque, init=False)
    shared = True

    def open(self, broke: Callable[[str], None]) -> None:
        """Does nothing; `broke` is never called."""

    def close(self) -> None:
        """Does nothing; the tables stay as they are."""

    def room(self) -> bool:
        """Always True."""
        return True

    def check(self) -> StoreCondition:
        """There is nothing to look at."""
        return StoreCondition()

    def back_up(self, target: Path) -> Deferred[int]:
        """Fail: the tables are in no file."""
        return fail(StoreDown("a store in memory has no backup"))

    def run(self, steps: Steps[Any], done: Callable[[Any], None]) -> None:
        self._queue.append((steps, done))
        if len(self._queue) == 1:
            self.later(0, self._go_on, None)

    def _go_on(self, answer: Any) -> None:
        """Send `answer` to the generator at the head of the queue; its next step is taken on a later turn."""
        steps, done = self._queue[0]
        result: Any
        try:
            step = steps.throw(answer.value) if isinstance(answer, _Raised) else steps.send(answer)
        except StopIteration as end:
            result = end.value
        except Exception:  # noqa: BLE001 - the caller gets the exception
            result = Failure()
        else:
            self.later(0, self._answer, step)
            return
        self._queue.popleft()
        if self._queue:
            self.later(0, self._go_on, None)
        done(result)

    def _answer(self, step: Step) -> None:
        try:
            answer = self._take(step)
        except Exception as why:  # noqa: BLE001 - the steps decide what follows
            answer = _Raised(why)
        self.later(0, self._go_on, answer)

    def _take(self, step: Step) -> Any:
        """Take one step."""
        tables = self.tables
        if isinstance(step, Write):
            return tables.transaction(partial(write, tables, step.writes))
        if isinstance(step, Load):
            return load(tables, step)
        if isinstance(step, Register):
            return self._register(step)
        if isinstance(step, MoreIds):
            return self._set_aside(step.count)
        return ANSWERS[type(step)](tables, step)

    def _register(self, step: Register) -> Registration:
        tables = self.tables
        former = tables.nodes.rows.get(step.node)
        epoch = former.epoch + 1 if former is not None else 1
        tables.nodes.put(step.node, Node(epoch, step.lease_until))
        claimed = [
            (id, tables.column(id, "parts"))
            for id in sorted(tables.messages.rows)
            if tables.column(id, "claimed") and tables.column(id, "leased_to") == step.node
        ]
        first, last = self._set_aside(step.ids)
        return Registration(epoch, 1, 0, claimed, first, last, list(tables.parked.rows)[: PARKED + 1])

    def _set_aside(self, count: int) -> tuple[int, int]:
        first = self.tables.last_id + 1
        self.tables.last_id += count
        return first, self.tables.last_id

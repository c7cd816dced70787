"""Where stores of each engine keep their data in tests, and how time passes there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smsgw.stores import MessageStore
from smsgw.stores.memory import MemoryEngine, Tables
from smsgw.stores.sqlite import SqliteEngine
from smsgw.stores.steps import Engine
from tests.stores.stepped import Stepped


class World(Protocol):
    """The data of one engine, over any number of its openings."""

    def engine(self) -> Engine:
        """A further opening."""

    def finish(self) -> None:
        """Let everything that was begun come to its end."""


class SqliteWorld:
    """A directory; work is done when the test lets it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runner = Stepped()

    def engine(self) -> Engine:
        return SqliteEngine(self.path, self.runner)

    def finish(self) -> None:
        self.runner.finish()


class MemoryWorld:
    """Tables; each step is answered on later turns of a clock."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.turns = Clock()

    def engine(self) -> Engine:
        return MemoryEngine(self.tables, self.turns.callLater)

    def finish(self) -> None:
        while self.turns.getDelayedCalls():
            self.turns.advance(0)


def answer(world: World, deferred: Deferred[Any]) -> Any:
    """What a call gave, once everything is done: a value, or a failure."""
    world.finish()
    results: list[Any] = []
    deferred.addBoth(results.append)
    (result,) = results
    return result


def opened(world: World, now: Callable[[], float], node: str = "gw1") -> MessageStore:
    """A store that is open."""
    store = MessageStore(world.engine(), node, now)
    assert answer(world, store.open()) is None
    return store

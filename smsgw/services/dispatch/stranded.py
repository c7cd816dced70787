"""The waiting messages of connectors that are not configured any more: they take another route, or wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Coroutine, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from smsgw.model.changes import Changes, Requeued
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.message import Message
from smsgw.services.dispatch.context import Context

PAGE: Final = 1_000
"""Rows asked from the store at once."""

FIRST: Final = (-1_000, 0)
"""Below every (-priority, id) of a queue."""

RECOUNT: Final = 60.0
"""Seconds after which messages that wait without a connector are counted again."""

_log = Logger()


class Stranded:
    """Queues such messages for other connectors of their routes, and counts those that have none.

    :param known: names of the connectors that take messages. :param leaving: names of those that are just stopped.
    :ivar counts: how many messages had no connector at the last look, by the name of the one that they wait for.
    """

    def __init__(self, context: Context, known: Container[str], leaving: Container[str]) -> None:
        self._context = context
        self._known = known
        self._leaving = leaving
        self._lock = DeferredLock()
        self._again = False
        self._counted = 0.0
        self.counts: dict[str, int] = {}

    async def rehome(self) -> None:
        """Queue the messages of connectors that are not configured for others; log how many have no other.

        :raises StoreDown: or UnknownOutcome.
        """
        await self._lock.acquire()
        self._again = True
        try:
            store = self._context.store
            counts: dict[str, int] = {}
            for name in await store.queued_connectors():
                if name in self._known or name in self._leaving:
                    continue
                left = gone = 0
                for account in await store.queue_depth(name):
                    after = FIRST
                    while page := await store.queue_page(name, account, after, PAGE):
                        after = (-page[-1].priority, page[-1].id)
                        moved = await self.move(page)
                        self._context.requeued(moved)
                        gone += len(moved)
                        left += len(page) - len(moved)
                if left:
                    counts[name] = left
                _log.warn(
                    "connector {connector} is not configured any more: {gone} messages that waited for it take another"
                    " route, {left} have none and wait until a reload gives them one, or until they expire",
                    connector=name,
                    gone=gone,
                    left=left,
                )
            self._note(counts)
            self._again = False
        finally:
            self._lock.release()

    async def move(
        self, queued: Sequence[Message], choose: Callable[[Message], str] | None = None
    ) -> list[Message]:
        """Queue messages for the connector that `choose` returns for each (None: that their route chooses now); returns
        those that have one and were still waiting."""
        choose = choose or self._context.reroute
        chosen = [(message, choose(message)) for message in queued]
        moving = [(message, connector) for message, connector in chosen if connector in self._known]
        if not moving:
            return []
        committed = await self._context.commits.commit(
            Changes(
                claims=[message for message, _ in moving],
                outcomes=[Requeued(message, connector, 0.0, False) for message, connector in moving],
            )
        )
        moved = []
        for (message, connector), claimed in zip(moving, committed.claims, strict=True):
            if claimed:
                message.connector = connector
                moved.append(message)
        return moved

    def add(self, messages: Sequence[Message]) -> None:
        """Count messages that came due and have no connector: they wait."""
        new = Counter(message.connector for message in messages)
        for name in new.keys() - self.counts.keys():
            _log.warn(
                "connector {connector} is not configured any more: messages for it came due, have no other route, and"
                " wait until a reload gives them one, or until they expire",
                connector=name,
            )
        self._note(dict(Counter(self.counts) + new))

    def look(self) -> None:
        """Look for such messages in the background; if the store fails, :meth:`tick` looks again."""
        _run(self.rehome())

    def tick(self) -> None:
        """Once a second: repeat a look that failed; every :data:`RECOUNT` seconds count again what is known."""
        now = self._context.clock.seconds()
        if self._again and not self._lock.locked:
            self.look()
        elif self.counts and now - self._counted >= RECOUNT:
            self._counted = now
            _run(self._recount())

    async def _recount(self) -> None:
        counts = {}
        for name in list(self.counts):
            if name not in self._known:
                counts[name] = sum((await self._context.store.queue_depth(name)).values())
        self._note({name: count for name, count in counts.items() if count})

    def _note(self, counts: dict[str, int]) -> None:
        metric = self._context.metrics.without_connector
        for name in self.counts.keys() - counts.keys():
            metric.forget(name)
        for name, count in counts.items():
            metric[name].set(count)
        self.counts = counts
        self._counted = self._context.clock.seconds()


def _run(look: Coroutine[Any, Any, None]) -> None:
    looking = Deferred.fromCoroutine(look)
    looking.addErrback(lambda failure: failure.trap(StoreDown, UnknownOutcome) and None)
    looking.addErrback(lambda failure: _log.failure("messages without a connector", failure))

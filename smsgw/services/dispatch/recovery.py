"""What the last run left: parts that may have been sent, receipts still owed to us, messages that wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Final

from twisted.logger import Logger

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Changes, Ended, Requeued
from smsgw.model.message import Message
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.services.dispatch.upstream import Upstream
from smsgw.services.receipts import EventSink

PAGE: Final = 1_000
"""Rows asked from the store at once."""

FIRST: Final = (-1_000, 0)
"""Below every (-priority, id) of a queue."""

_log = Logger()


async def reclaim(
    store: IMessageStore,
    outbox: EventSink,
    upstreams: Mapping[str, Upstream],
    reroute: Callable[[Message], str],
    wall: Callable[[], float],
    metrics: DispatchMetrics,
) -> None:
    """Decide about every message that was claimed when the last run ended.

    What is to be sent again is held by its connector and goes out before anything else.
    """
    after = 0
    found = 0
    while parts := await store.reclaim(after, PAGE):
        after = parts[-1].message.id
        found += len(parts)
        changes: list[Ended | Requeued] = []
        for _, same in groupby(parts, key=lambda part: part.message.id):
            own = list(same)
            message = own[0].message
            seqs = [part.seq for part in own]
            message.unsent = tuple(seqs) if len(seqs) < message.parts else ()
            upstream = upstreams.get(message.connector)
            if upstream is None:
                metrics.ambiguous[message.connector].inc(len(seqs))
                metrics.resends[message.connector].inc(len(seqs))
                changes.append(Requeued(message, reroute(message), 0.0, False))
                continue
            decided = upstream.verdicts.found(message, seqs, wall())
            changes += decided
            if not decided:
                upstream.hold(upstream.parts(message))
        if changes:
            committed = await store.commit(Changes(outcomes=[*changes]))
            if committed.events:
                outbox.occurred(committed.events)
    if found:
        _log.warn("{count} parts may or may not have been sent when the last run ended", count=found)


async def rehome(
    store: IMessageStore, upstreams: Mapping[str, Upstream], reroute: Callable[[Message], str]
) -> None:
    """Give what is queued for connectors that are no longer configured another way, or say how much has none."""
    for name in await store.connectors():
        if name in upstreams:
            continue
        left = gone = 0
        for account in await store.waiting(name):
            after = FIRST
            while page := await store.queued(name, account, after, PAGE):
                after = (-page[-1].priority, page[-1].id)
                moved = len(await move(store, page, upstreams, reroute))
                gone += moved
                left += len(page) - moved
        _log.warn(
            "connector {connector} is not configured any more: {gone} messages that waited for it take another route,"
            " {left} have none and wait until they expire",
            connector=name,
            gone=gone,
            left=left,
        )


async def move(
    store: IMessageStore,
    queued: Sequence[Message],
    upstreams: Mapping[str, Upstream],
    reroute: Callable[[Message], str],
) -> list[Message]:
    """Queue messages of unknown connectors for the one their route says now; returns those that have one."""
    ways = [(message, reroute(message)) for message in queued]
    moving = [(message, way) for message, way in ways if way in upstreams]
    if not moving:
        return []
    committed = await store.commit(
        Changes(
            claims=[message for message, _ in moving],
            outcomes=[Requeued(message, way, 0.0, False) for message, way in moving],
        )
    )
    moved = []
    for (message, way), claimed in zip(moving, committed.claims, strict=True):
        if claimed:
            message.connector = way
            moved.append(message)
    return moved


async def resume(store: IMessageStore, upstream: Upstream) -> None:
    """Tell the connector of the receipts still owed, then fill its queue."""
    after = (0, 0)
    while page := await store.awaited(upstream.name, after, PAGE):
        upstream.connector.resume(page)
        after = (page[-1].message.id, page[-1].seq)
    await upstream.backlog.load()

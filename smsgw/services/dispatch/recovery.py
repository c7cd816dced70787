"""Recovery at the start: parts that the last run may have sent, receipts still awaited, waiting messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Final

from twisted.logger import Logger

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Changes, Requeued
from smsgw.model.message import Message
from smsgw.services.commits import Commits
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.services.dispatch.outcomes import Change
from smsgw.services.dispatch.pump import Pump

PAGE: Final = 1_000
"""Rows asked from the store at once."""

_log = Logger()


async def recover(
    store: IMessageStore,
    commits: Commits,
    pumps: Mapping[str, Pump],
    reroute: Callable[[Message], str],
    earliest: Callable[[], float],
    metrics: DispatchMetrics,
) -> None:
    """Decide on every message that was claimed when the last run ended.

    A message that is to be sent again stays claimed, and the pump of its connector sends it first.

    :param earliest: the earliest time that it may be.
    """
    after = 0
    found = 0
    while parts := await store.recover_claims(after, PAGE):
        after = parts[-1].message.id
        found += len(parts)
        changes: list[Change] = []
        for _, same in groupby(parts, key=lambda part: part.message.id):
            own = list(same)
            message = own[0].message
            seqs = [part.seq for part in own]
            message.unsent = tuple(seqs) if len(seqs) < message.parts else ()
            pump = pumps.get(message.connector)
            if pump is None:
                metrics.ambiguous[message.connector] += len(seqs)
                metrics.resends[message.connector] += len(seqs)
                changes.append(Requeued(message, reroute(message), 0.0, False))
                continue
            decided = pump.policy.in_doubt(message, seqs, earliest())
            changes += decided
            if not decided:
                pump.inflight.restore(message)
        if changes:
            await commits.commit(Changes(outcomes=changes))
    if found:
        count = "1 part" if found == 1 else f"{found} parts"
        _log.warn("{count} may or may not have been sent when the last run ended", count=count)


async def resume(store: IMessageStore, pump: Pump) -> None:
    """Give the connector the receipts that are still awaited, then load its waiting messages."""
    after = (0, 0)
    while page := await store.awaited_receipts(pump.name, after, PAGE):
        pump.connector.resume(page)
        after = (page[-1].message.id, page[-1].seq)
    await pump.backlog.load()

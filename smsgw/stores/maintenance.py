"""The maintenance of a store: recovers claims of former processes, finds what is due, deletes what is old. Pure.

Each task is a generator of steps over pages of a bounded number of rows, so that no commit waits long for it. Cursors
keep the position between calls; they move when the steps have succeeded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from smsgw.model.lifecycle import MOVES, OPEN, State
from smsgw.model.message import Event, Message, Part
from smsgw.stores.cache import Cache
from smsgw.stores.lastwords import add_words
from smsgw.stores.questions import (
    ClaimedPage,
    DeadLetters,
    DeferredDue,
    DeferredRetries,
    ExpiredDeferred,
    ExpiredWaiting,
    Found,
    IncomingById,
    Nodes,
    OldEvents,
    OldIncoming,
    OldMessages,
    OldParked,
    OverdueAwaited,
    Page,
    Place,
)
from smsgw.stores.rows import (
    CLAIMED,
    LEASED_TO,
    MESSAGE_WIDTH,
    STATE,
    STATES,
    VERSION,
    to_events,
    to_incoming,
    to_message,
)
from smsgw.stores.steps import Key, Loaded, Row, Steps, Write
from smsgw.stores.transitions import CLAIMED_AS
from smsgw.stores.writeset import Upkeep, WriteSet

_START_OF_WAITING: Final = ("", "", -(2**63), 0)
_START_OF_DEFERRED: Final = (0.0, 0)
_START_OF_AWAITED: Final = ("", "", 0, 0)
_START_OF_EVENTS: Final = ("", "", 0, 0)

_PURGE_SPAN: Final = 20
"""Rows that a purge examines for each row that it may delete."""

_OPEN: Final = sorted(state + 0 for state in OPEN)


def messages(rows: Sequence[Row], parts: Sequence[Row]) -> list[Message]:
    """The messages of rows with the columns MESSAGE. ``unsent`` of an open message is set if some of its parts were
    sent or have ended."""
    made = [to_message(row) for row in rows]
    sent: dict[int, set[int]] = {}
    for id, seq, *_ in parts:
        sent.setdefault(id, set()).add(seq)
    for m in made:
        seqs = sent.get(m.id)
        if seqs and m.parts > 1 and MOVES[m.state]:
            m.unsent = tuple(seq for seq in range(1, m.parts + 1) if seq not in seqs)
    return made


class Maintenance:
    """The maintenance tasks of one store, and their cursors.

    :param begin: makes the empty write set of a transaction.
    :param alone: True if no other node runs: claims of other nodes are taken over before their leases end.
    """

    def __init__(self, cache: Cache, begin: Callable[[], WriteSet], node: str, alone: bool) -> None:
        self._cache = cache
        self._begin = begin
        self._node = node
        self._alone = alone
        self._inherited: list[int] = []
        self._waiting: Place = _START_OF_WAITING
        self._deferred: Place = _START_OF_DEFERRED
        self._awaited: Place = _START_OF_AWAITED
        self._events: Place = _START_OF_EVENTS
        self._messages = 0
        self._incoming = 0

    def inherit(self, ids: Collection[int]) -> None:
        """Set the ids of messages that the former process of this node had claimed."""
        self._inherited = sorted(ids)

    # Claims of former processes

    def recover_claims(self, after: int, limit: int, now: float) -> Steps[list[Part]]:
        """The steps of :meth:`smsgw.interfaces.IMessageStore.recover_claims`."""
        start = bisect_right(self._inherited, after)
        own: Loaded = yield Found(self._inherited[start : start + limit])
        rows = [row for row in own.messages if row[CLAIMED] and row[LEASED_TO] == self._node]
        parts = list(own.parts)
        nodes = yield Nodes()
        dead = [row for row in nodes if row[0] != self._node and (self._alone or row[2] <= now)]
        if dead:
            others: Loaded = yield ClaimedPage([name for name, *_ in dead], after, limit)
            rows += others.messages
            parts += others.parts
        sent = {(id, seq) for id, seq, *_ in parts}
        recovered: list[Part] = []
        writes = self._begin()
        upkeep = writes.upkeep = Upkeep()
        upkeep.taken = [(name, epoch) for name, epoch, lease_until in dead if lease_until]
        taken: list[Message] = []
        for row in sorted(rows, key=lambda row: int(row[0])):
            if len(recovered) >= limit:
                break
            m = to_message(row)
            m.attempts += 1
            upkeep.recovered += (m.id, row[VERSION])
            taken.append(m)
            recovered += [Part(m, seq) for seq in range(1, m.parts + 1) if (m.id, seq) not in sent]
        writes.listed_claims = [m.id for m in taken if m.id < self._cache.floor]
        if recovered or upkeep.taken:
            yield Write(writes)
        for m in taken:
            self._cache.progress.take(m.id)
            (self._cache.claimed if m.parts == 1 else self._cache.claimed_parts).add(m.id)
        return recovered

    # Deadlines

    def release_due(self, now: float, limit: int, earliest: float) -> Steps[list[tuple[str, str, int]]]:
        """The steps of :meth:`smsgw.interfaces.IMessageStore.release_due`. They also renew the lease of an idle
        node."""
        return (yield from self._release((yield DeferredDue(now, limit, State.SCHEDULED + 0, earliest))))

    def release_retries(self, limit: int) -> Steps[list[tuple[str, str, int]]]:
        """The steps of :meth:`smsgw.interfaces.IMessageStore.release_retries`."""
        return (yield from self._release((yield DeferredRetries(State.QUEUED + 0, limit))))

    def _release(self, rows: Sequence[Row]) -> Steps[list[tuple[str, str, int]]]:
        """Make deferred messages wait for their connectors."""
        writes = self._begin()
        for due, id, connector, account, rank, expires, state in rows:
            writes.released += (due, id)
            writes.waiting += (connector, account, rank, id, expires)
            after = CLAIMED_AS[state]
            if after != state:
                writes.promoted[state, after + 0].append(id)
                writes.move(STATES[state], after)
        if rows or writes.lease_until:
            yield Write(writes)
        for ids in writes.promoted.values():
            for id in ids:
                self._cache.progress.take(id)
        return [(connector, account, id) for _, id, connector, account, *_ in rows]

    def scan_overdue(self, now: float, limit: int) -> Steps[list[tuple[Message, int]]]:
        """The steps of :meth:`smsgw.interfaces.IMessageStore.scan_overdue`. They also delete awaited receipts of parts
        that have ended without one."""
        waiting: Page = yield ExpiredWaiting(self._waiting, limit, now)
        deferred: Page = yield ExpiredDeferred(self._deferred, limit, now)
        awaited: Page = yield OverdueAwaited(self._awaited, limit, now)
        found = [(m, 0) for page in (waiting, deferred) for m in messages(page.rows, page.parts)]
        ended: list[list[Any]] = []
        for row in awaited.rows:
            state, *key = row[MESSAGE_WIDTH:]
            if row[0] is None or not MOVES[STATES[row[STATE]]] or (state is not None and not MOVES[STATES[state]]):
                ended.append(key)
            else:
                found.append((to_message(row), key[3]))
        if ended:
            writes = self._begin()
            for key in ended:
                writes.not_awaited += key
            yield Write(writes)
            for remote_id, connector, *_ in ended:
                self._cache.awaiting.take((remote_id, connector))
        self._waiting = waiting.last or _START_OF_WAITING
        self._deferred = deferred.last or _START_OF_DEFERRED
        self._awaited = awaited.last or _START_OF_AWAITED
        return found

    # Retention

    def purge(self, before: float, events_before: float, limit: int) -> Steps[tuple[int, int]]:
        """The steps of :meth:`smsgw.interfaces.IMessageStore.purge`."""
        given_up = yield from self._give_up(events_before, limit)
        span = limit * _PURGE_SPAN
        old: Page = yield OldMessages(_OPEN, self._messages, limit, span, before)
        incoming: Page = yield OldIncoming(self._incoming, limit, span, before)
        parked: list[Key] = yield OldParked(before, limit)
        writes = self._begin()
        upkeep = writes.upkeep = Upkeep()
        for id, state, batch in old.rows:
            upkeep.messages.append(id)
            upkeep.highest = max(upkeep.highest, id, batch)
            writes.counts[state] -= 1
        for (id,) in incoming.rows:
            upkeep.incoming.append(id)
            upkeep.highest = max(upkeep.highest, id)
        for key in parked:
            upkeep.parked += key
        if old.rows or incoming.rows or parked:
            yield Write(writes)
            if self._cache.parked is not None:
                self._cache.parked.difference_update(parked)
        self._messages = _further(old, limit)
        self._incoming = _further(incoming, limit)
        return len(old.rows), given_up

    def _give_up(self, before: float, limit: int) -> Steps[int]:
        """Make dead letters of events that no client took in time."""
        page: Page = yield OldEvents(self._node, self._events, limit, limit * _PURGE_SPAN, before)
        if page.rows:
            writes = self._begin()
            upkeep = writes.upkeep = Upkeep()
            for row in page.rows:
                # The message of a dead letter stays for as long from now on as any message is kept.
                upkeep.dead_letters += (*row[:-1], writes.now)
            yield Write(writes)
        self._events = tuple(page.rows[-1][:4]) if len(page.rows) == limit else page.last or _START_OF_EVENTS
        return len(page.rows)

    def replay(self, login: str | None, ids: Sequence[int], limit: int, now: float) -> Steps[list[Event]]:
        """The steps of :meth:`smsgw.interfaces.IMessageStore.replay`."""
        rows = yield DeadLetters(login, (0, 0), limit, ids)
        incoming = yield IncomingById([row[MESSAGE_WIDTH + 2] for row in rows if row[0] is None])
        came = {row[0]: to_incoming(row) for row in incoming}
        found = to_events(rows, came)
        yield from add_words(found)
        writes = self._begin()
        upkeep = writes.upkeep = Upkeep()
        for row in rows:
            *letter, _, _, _ = row[MESSAGE_WIDTH:]
            upkeep.replayed += (*letter, 0, 0.0, now)
        if rows:
            yield Write(writes)
        for event in found:
            event.attempts = 0
            event.due = 0.0
            event.since = now
        return found


def _further(page: Page, limit: int) -> Any:
    """The id behind which the next page begins: the last id found if `limit` was reached, else the end of this page."""
    return page.rows[-1][0] if len(page.rows) == limit else page.last[0] if page.last else 0

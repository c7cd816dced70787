"""The queries of a store, as steps of questions to the engine. Pure; they only read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from smsgw.interfaces import Awaited, BatchCount, MessageDetails, MessageFilter, Parked
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Event, Incoming, Message
from smsgw.model.moments import LAST
from smsgw.stores.lastwords import add_words, last_words
from smsgw.stores.maintenance import messages
from smsgw.stores.packed import LABELLED
from smsgw.stores.questions import (
    AwaitedOf,
    AwaitedPage,
    BatchCounts,
    DeadLetters,
    DeferredOf,
    EventsOf,
    EventsPage,
    Found,
    IncomingById,
    IncomingPage,
    LastCreated,
    MessageSpan,
    NextCreated,
    Page,
    ParkedPage,
    QueuePage,
)
from smsgw.stores.rows import MESSAGE_WIDTH, STATES, to_events, to_incoming, to_message
from smsgw.stores.steps import NO_ID, Loaded, Row, Steps

LISTED_SPAN: Final = 20_000
"""Ids that :func:`list_messages` examines at once: some milliseconds during which no commit runs."""

BATCH_SPAN: Final = 20_000
"""Messages of a batch that :func:`batch_counts` counts at once: some milliseconds during which no commit runs."""

_SLACK: Final = 60.0
"""Seconds by which a message with a lower id may have been accepted later."""

_ENROUTE: Final = State.ENROUTE + 0


def find(account: str | None, ids: Sequence[int], of_batch: int) -> Steps[list[list[Message]]]:
    """The steps of :meth:`smsgw.interfaces.IMessageStore.find`."""
    loaded: Loaded = yield Found([id for id in ids if 0 < id <= NO_ID], of_batch)
    known: dict[int, Message] = {}
    batches: dict[int, dict[int, Message]] = {}
    for m in messages(loaded.messages, loaded.parts):
        if account is None or m.account == account:
            known[m.id] = m
            if m.batch:
                batches.setdefault(m.batch, {})[m.id] = m
    return [
        [known[id]] if id in known else [m for _, m in sorted(batches.get(id, {}).items())[:of_batch]] for id in ids
    ]


def batch_counts(account: str | None, id: int, after: int) -> Steps[tuple[list[BatchCount], int]]:
    """Count the :data:`BATCH_SPAN` messages of the batch `id` behind the message `after`, or the message `id`. Returns
    the counts, and the message behind which to go on, 0 at the end."""
    if not 0 < id <= NO_ID:
        return [], 0
    if not after:
        loaded: Loaded = yield Found([id])
        if loaded.messages:
            own = [m for m in messages(loaded.messages, loaded.parts) if account in (None, m.account)]
            return [BatchCount(m.state, m.error, 1, m.parts, m.id) for m in own], 0
    rows = yield BatchCounts(account, id, after, BATCH_SPAN)
    counted = sum(row[2] for row in rows)
    last = max(row[5] for row in rows) if counted == BATCH_SPAN else 0
    return [BatchCount(STATES[state], *rest) for state, *rest, _ in rows], last


def add_counts(counts: Iterable[BatchCount]) -> list[BatchCount]:
    """Add up the counts of the same state and error code; returns them in order of their first messages."""
    sums: dict[tuple[State, int], BatchCount] = {}
    for one in counts:
        key = one.state, one.error
        known = sums.get(key)
        if known is not None:
            messages, parts = known.messages + one.messages, known.parts + one.parts
            one = BatchCount(*key, messages, parts, min(known.first, one.first))
        sums[key] = one
    return sorted(sums.values(), key=lambda one: one.first)


def queue_page(connector: str, account: str, after: tuple[int, int], limit: int) -> Steps[list[Message]]:
    """The steps of :meth:`smsgw.interfaces.IMessageStore.queue_page`."""
    loaded: Loaded = yield QueuePage(connector, account, after, limit)
    return messages(loaded.messages, loaded.parts)


def retry_page(
    connector: str, after: tuple[float, int], limit: int
) -> Steps[tuple[list[Message], tuple[float, int] | None]]:
    """The steps of :meth:`smsgw.interfaces.IMessageStore.retry_page`. A held message is due at the end of its
    validity."""
    page: Page = yield DeferredOf(connector, after, limit)
    found = [
        m
        for m in messages(page.rows, page.parts)
        if m.state is not State.SCHEDULED and m.due < (m.expires or LAST)
    ]
    return found, None if page.last is None else (page.last[0], page.last[1])


def awaited_receipts(connector: str, after: tuple[int, int], limit: int) -> Steps[list[Awaited]]:
    """The steps of :meth:`smsgw.interfaces.IMessageStore.awaited_receipts`."""
    rows = yield AwaitedPage(connector, _ENROUTE, after, limit)
    made: dict[int, Message] = {}
    found = []
    for row in rows:
        m = made.get(row[0])
        if m is None:
            m = made[row[0]] = to_message(row)
        remote_id, seq, due = row[MESSAGE_WIDTH:]
        found.append(Awaited(remote_id, m, seq, due))
    return found


def details(id: int) -> Steps[MessageDetails | None]:
    """The steps of :meth:`smsgw.interfaces.IMessageStore.details`."""
    loaded: Loaded = yield Found([id] if 0 < id <= NO_ID else [])
    rows = [row for row in loaded.messages if row[0] == id]
    if not rows:
        return None
    m = to_message(rows[0])
    if m.parts == 1:
        parts = [(1, m.state + 0, m.error, m.remote_id)]
    else:
        known = {seq: (seq, state, error, remote_id) for _, seq, state, error, remote_id in loaded.parts}
        state = State.QUEUED if m.state is State.ENROUTE else m.state
        parts = [known.get(seq, (seq, state + 0, m.error, "")) for seq in range(1, m.parts + 1)]
    awaited = yield AwaitedOf(id, sorted({remote_id for *_, remote_id in parts if remote_id}))
    events = yield EventsOf(m.login or m.account, m.path, id)
    words = yield from last_words([id])
    return MessageDetails(
        m,
        parts,
        [Awaited(remote_id, m, seq, due) for seq, remote_id, due in sorted(awaited)],
        to_events(events, {}),
        words.get(id, ()),
    )


def events(node: str, login: str, path: str, after: tuple[int, int], limit: int) -> Steps[list[Event]]:
    """The steps of :meth:`smsgw.interfaces.IMessageStore.events`."""
    rows = yield EventsPage(node, login, path, after, limit)
    return (yield from _events(rows))


def dead_letters(login: str | None, after: tuple[int, int], limit: int) -> Steps[list[Event]]:
    """The steps of :meth:`smsgw.interfaces.IMessageStore.dead_letters`."""
    rows = yield DeadLetters(login, after, limit)
    return (yield from _events(rows))


def _events(rows: Sequence[Row]) -> Steps[list[Event]]:
    ids = [row[MESSAGE_WIDTH + 2] for row in rows if row[0] is None]
    incoming = (yield IncomingById(ids)) if ids else []
    came = {row[0]: to_incoming(row) for row in incoming}
    found = to_events(rows, came)
    yield from add_words(found)
    return found


def list_incoming(account: str | None, before: int, limit: int) -> Steps[list[Incoming]]:
    """The steps of :meth:`smsgw.interfaces.IMessageStore.list_incoming`."""
    rows = yield IncomingPage(account, min(before, NO_ID) if before > 0 else NO_ID, limit)
    return [to_incoming(row) for row in rows]


def parked(limit: int) -> Steps[list[Parked]]:
    """The steps of :meth:`smsgw.interfaces.IMessageStore.parked`."""
    rows = yield ParkedPage(limit)
    return [
        Parked(connector, DeliveryReport(remote_id, STATES[state], error, at, bytes(raw)), since)
        for remote_id, connector, since, state, error, at, raw in rows
    ]


def list_messages(
    account: str | None, wanted: MessageFilter, before: int, limit: int
) -> Steps[tuple[list[Message], int]]:
    """Examine the :data:`LISTED_SPAN` ids below `before` (0: the newest), or a tenth of them if the comment or the
    reference is compared. Returns the messages, newest first, and the id below which to go on, 0 at the end.

    Ids are in order of acceptance, except for the time between making and storing a message, which :data:`_SLACK`
    covers.
    """
    newest = yield LastCreated(NO_ID)
    top = newest[0] + 1 if newest else 1
    before = min(before, top) if before > 0 else top
    if wanted.until:
        reached = yield from _reached(wanted.until + _SLACK, before)
        before = min(before, reached)
    labelled = bool(wanted.comment or wanted.reference)
    span = LISTED_SPAN // 10 if labelled else LISTED_SPAN
    lowest = max(before - span, 1)
    rows = yield MessageSpan(
        lowest,
        before,
        span if labelled else limit,
        account,
        wanted.number,
        wanted.since,
        wanted.until,
        [state + 0 for state in wanted.states],
        LABELLED if labelled else -1,
    )
    found = [m for m in map(to_message, rows) if not labelled or _fits(m, wanted)][:limit]
    if wanted.since and lowest > 1:
        last = yield LastCreated(lowest)
        if last is None or last[1] < wanted.since - _SLACK:
            lowest = 1
    return found, lowest if lowest > 1 else 0


def _fits(m: Message, wanted: MessageFilter) -> bool:
    labels = m.content.labels
    return (
        labels is not None
        and wanted.comment.casefold() in labels.comment.casefold()
        and wanted.reference in ("", labels.reference)
    )


def _reached(moment: float, above: int) -> Steps[int]:
    """About the first id below `above` whose message was accepted at `moment` or later; `above` if there is none."""
    low, high = 1, above
    while low < high:
        middle = (low + high) // 2
        row = yield NextCreated(middle)
        if row is None or row[0] >= high or row[1] >= moment:
            high = middle
        else:
            low = row[0] + 1
    return high

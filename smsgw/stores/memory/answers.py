"""Loads rows for a group commit and answers questions. Each function only reads the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from smsgw.stores import questions as q
from smsgw.stores.memory.tables import PLACES, Tables
from smsgw.stores.rows import EVENT, MESSAGE_WIDTH
from smsgw.stores.steps import Key, Load, Loaded, Row

_NO_MESSAGE: Final[Row] = (None,) * MESSAGE_WIDTH


def _rows(tables: Tables, ids: Iterable[int]) -> list[Row]:
    """The messages with these ids, in order."""
    return [tables.messages.rows[id] for id in sorted(ids) if id in tables.messages.rows]


def _with_parts(tables: Tables, rows: list[Row]) -> Loaded:
    return Loaded(messages=rows, parts=tables.parts_of(rows))


def _cancellable(tables: Tables, ids: Iterable[int]) -> list[Row]:
    """The messages with these ids, or of the batches with these ids."""
    wanted = set(ids)
    batches = wanted.difference(tables.messages.rows) - {0}
    place = PLACES["batch"]
    return _rows(tables, [id for id, row in tables.messages.rows.items() if id in wanted or row[place] in batches])


def _of_batch(tables: Tables, id: int) -> list[Row]:
    """The messages of a batch, in order of ids."""
    return [row for _, row in sorted(tables.messages.rows.items()) if row[PLACES["batch"]] == id > 0]


def _found(tables: Tables, asked: q.Found) -> Loaded:
    rows = _rows(tables, set(asked.ids))
    for id in dict.fromkeys(asked.ids):
        if asked.of_batch and id not in tables.messages.rows:
            rows += _of_batch(tables, id)[: asked.of_batch]
    return _with_parts(tables, rows)


def _batch_counts(tables: Tables, asked: q.BatchCounts) -> list[Row]:
    counts: dict[tuple[int, int], list[int]] = {}
    own = [row for row in _of_batch(tables, asked.id) if asked.account in (None, row[PLACES["account"]])]
    for row in [row for row in own if row[0] > asked.after][: asked.limit]:
        id, state, error, parts = (row[PLACES[name]] for name in ("id", "state", "error", "parts"))
        count = counts.setdefault((state, error), [0, 0, id, id])
        count[0] += 1
        count[1] += parts
        count[3] = id
    return [(*key, *count) for key, count in sorted(counts.items())]


def load(tables: Tables, wanted: Load) -> Loaded:
    """Load the rows that `wanted` names."""
    messages = _rows(tables, wanted.messages) + _cancellable(tables, wanted.cancels)
    found = sorted((id, seq, key, connector) for key, connector, id, seq in tables.awaited.rows
                   if (key, connector) in wanted.awaited and id in tables.messages.rows)  # fmt: skip
    awaited = [(*tables.messages.rows[id], key, connector, seq) for id, seq, key, connector in found]
    waiting = (
        {id for *_, id in tables.waiting.rows} | {id for _, id in tables.deferred.rows} if wanted.claims else set()
    )
    return Loaded(
        messages,
        awaited,
        tables.parts_of([*messages, *awaited]),
        [row for key, row in tables.parked.rows.items() if key in wanted.parked],
        [
            (id, tables.column(id, "state"))
            for id in wanted.claims
            if id in waiting and tables.column(id, "claimed") == 0
        ],
        [row for key, row in tables.conditions.rows.items() if key in wanted.conditions],
    )


def _queue_depth(tables: Tables, asked: q.QueueDepth) -> dict[str, int]:
    depth: dict[str, int] = {}
    for connector, account, *_ in sorted(tables.waiting.rows):
        if connector == asked.connector:
            depth[account] = depth.get(account, 0) + 1
    return depth


def _queue_page(tables: Tables, asked: q.QueuePage) -> Loaded:
    where = (asked.connector, asked.account)
    keys = sorted(key[2:] for key in tables.waiting.rows if key[:2] == where and key[2:] > asked.after)
    return _with_parts(tables, [tables.messages.rows[id] for _, id in keys[: asked.limit]])


def _awaited_page(tables: Tables, asked: q.AwaitedPage) -> list[Row]:
    found = sorted(
        (id, seq, remote_id, due)
        for (remote_id, connector, id, seq), due in tables.awaited.rows.items()
        if connector == asked.connector and (id, seq) > asked.after and tables.column(id, "state") == asked.state
    )
    return [(*tables.messages.rows[id], remote_id, seq, due) for id, seq, remote_id, due in found[: asked.limit]]


def _awaited_of(tables: Tables, asked: q.AwaitedOf) -> list[Row]:
    return [(seq, key, due) for (key, _, id, seq), due in tables.awaited.rows.items() if id == asked.id]


def _about(tables: Tables, event: Row) -> Row:
    """The row of an event behind the row of its message."""
    return (*tables.messages.rows.get(event[2], _NO_MESSAGE), *event[: len(EVENT)])


def _events_page(tables: Tables, asked: q.EventsPage) -> list[Row]:
    found = [
        row for key, row in sorted(tables.events.rows.items())
        if key[:2] == (asked.login, asked.path) and key[2:] > asked.after and row[-1] == asked.node
    ]  # fmt: skip
    return [_about(tables, row) for row in found[: asked.limit]]


def _events_of(tables: Tables, asked: q.EventsOf) -> list[Row]:
    where = (asked.login, asked.path, asked.id)
    return [_about(tables, row) for key, row in sorted(tables.events.rows.items()) if key[:3] == where]


def _event_logins(tables: Tables, asked: q.EventLogins) -> list[str]:
    return sorted({key[0] for key, row in tables.events.rows.items() if key[1] == asked.path and row[-1] == asked.node})


def _dead_letters(tables: Tables, asked: q.DeadLetters) -> list[Row]:
    found = [
        row for (id, seq, login, _), row in sorted(tables.letters.rows.items())
        if (id, seq) > asked.after and asked.login in (None, login) and (not asked.ids or id in asked.ids)
    ]  # fmt: skip
    return [_about(tables, row) for row in found[: asked.limit]]


def _incoming_page(tables: Tables, asked: q.IncomingPage) -> list[Row]:
    rows = [row for id, row in sorted(tables.incoming.rows.items(), reverse=True) if id < asked.before]
    return [row for row in rows if asked.account in (None, row[1])][: asked.limit]


def _confirmation_by(tables: Tables, asked: q.ConfirmationBy) -> str:
    account, expires = tables.confirmations.rows.get((asked.phone, asked.number), ("", 0.0))
    return account if expires > asked.now else ""


def _state_counts(tables: Tables, _: q.StateCounts) -> dict[int, int]:
    counts: dict[int, int] = {}
    for (_node, state), messages in tables.counts.rows.items():
        counts[state] = counts.get(state, 0) + messages
    return {state: messages for state, messages in sorted(counts.items()) if messages}


def _parked_page(tables: Tables, asked: q.ParkedPage) -> list[Row]:
    return sorted(tables.parked.rows.values(), key=lambda row: (row[2], row[0]))[: asked.limit]


def _created(tables: Tables, id: int | None) -> tuple[int, float] | None:
    return None if id is None else (id, tables.column(id, "created"))


def _next_created(tables: Tables, asked: q.NextCreated) -> tuple[int, float] | None:
    return _created(tables, min((id for id in tables.messages.rows if id >= asked.id), default=None))


def _last_created(tables: Tables, asked: q.LastCreated) -> tuple[int, float] | None:
    return _created(tables, max((id for id in tables.messages.rows if id < asked.id), default=None))


def _message_span(tables: Tables, asked: q.MessageSpan) -> list[Row]:
    def fits(row: Row) -> bool:
        value = dict(zip(PLACES, row, strict=True))
        return (
            asked.lowest <= value["id"] < asked.before
            and asked.account in (None, value["account"])
            and asked.recipient in ("", value["recipient"])
            and value["created"] >= asked.since
            and (not asked.until or value["created"] < asked.until)
            and (not asked.states or value["state"] in asked.states)
            and asked.marked in (-1, value["data"][0])
        )

    return [row for _, row in sorted(tables.messages.rows.items(), reverse=True) if fits(row)][: asked.limit]


# Pages for maintenance


def _deferred_due(tables: Tables, asked: q.DeferredDue) -> list[Row]:
    due = [(*key, *row) for key, row in sorted(tables.deferred.rows.items()) if key[0] <= asked.now]
    rows = [(*row, tables.column(row[1], "state")) for row in due]
    return [row for row in rows if row[0] <= asked.earliest or row[-1] != asked.later_state][: asked.limit]


def _deferred_retries(tables: Tables, asked: q.DeferredRetries) -> list[Row]:
    retries = [(*key, *row) for key, row in sorted(tables.deferred.rows.items()) if key[0] < row[3]]
    rows = [(*row, tables.column(row[1], "state")) for row in retries]
    return [row for row in rows if row[-1] == asked.state][: asked.limit]


def _deferred_of(tables: Tables, asked: q.DeferredOf) -> q.Page:
    keys, last = tables.deferred.page(asked.after, asked.limit)
    rows = [tables.messages.rows[key[1]] for key in keys if tables.deferred.rows[key][0] == asked.connector]
    return q.Page(last, rows, tables.parts_of(rows))


def _expired_waiting(tables: Tables, asked: q.ExpiredWaiting) -> q.Page:
    keys, last = tables.waiting.page(asked.after, asked.limit)
    return _expired(tables, [key[3] for key in keys if 0 < tables.waiting.rows[key] <= asked.now], last)


def _expired_deferred(tables: Tables, asked: q.ExpiredDeferred) -> q.Page:
    keys, last = tables.deferred.page(asked.after, asked.limit)
    return _expired(tables, [key[1] for key in keys if 0 < tables.deferred.rows[key][3] <= asked.now], last)


def _expired(tables: Tables, ids: Sequence[int], last: Row | None) -> q.Page:
    rows = [tables.messages.rows[id] for id in ids]
    return q.Page(last, rows, tables.parts_of(rows))


def _overdue_awaited(tables: Tables, asked: q.OverdueAwaited) -> q.Page:
    keys, last = tables.awaited.page(asked.after, asked.limit)
    rows: list[Row] = []
    for key in keys:
        if 0 < tables.awaited.rows[key] <= asked.now:
            part = tables.parts.rows.get(key[2:])
            rows.append((*tables.messages.rows.get(key[2], _NO_MESSAGE), part[2] if part else None, *key))
    return q.Page(last, rows)


def _claimed_page(tables: Tables, asked: q.ClaimedPage) -> Loaded:
    place = PLACES["leased_to"]
    rows = [row for id, row in sorted(tables.messages.rows.items()) if id > asked.after and row[PLACES["claimed"]]]
    return _with_parts(tables, [row for row in rows if row[place] in asked.nodes][: asked.limit])


def _nodes(tables: Tables, _: q.Nodes) -> list[Row]:
    return [(name, node.epoch, node.lease_until) for name, node in sorted(tables.nodes.rows.items())]


def _old_events(tables: Tables, asked: q.OldEvents) -> q.Page:
    keys, last = tables.events.page(asked.after, asked.span)
    rows = [tables.events.rows[key] for key in keys]
    old = [row[:-1] for row in rows if row[-1] == asked.node and row[7] < asked.before and row[10] < asked.before]
    return q.Page(last, old[: asked.limit])


def _owed(tables: Tables, before: float) -> set[int]:
    """Messages and incoming texts with events, or with dead letters from `before` or later."""
    letters = {row[2] for row in tables.letters.rows.values() if row[10] >= before}
    return letters | {key[2] for key in tables.events.rows}


def _old_messages(tables: Tables, asked: q.OldMessages) -> q.Page:
    keys, last = tables.messages.page(asked.after, asked.span)
    owed = _owed(tables, asked.before)
    rows: list[Row] = []
    for id in keys:
        state, changed, batch = (tables.column(id, name) for name in ("state", "changed", "batch"))
        if state not in asked.states and changed < asked.before and id not in owed:
            rows.append((id, state, batch))
    return q.Page(None if last is None else (last,), rows[: asked.limit])


def _old_incoming(tables: Tables, asked: q.OldIncoming) -> q.Page:
    keys, last = tables.incoming.page(asked.after, asked.span)
    owed = _owed(tables, asked.before)
    rows: list[Row] = [(id,) for id in keys if tables.incoming.rows[id][8] < asked.before and id not in owed]
    return q.Page(None if last is None else (last,), rows[: asked.limit])


def _old_parked(tables: Tables, asked: q.OldParked) -> list[Key]:
    old = sorted((row[2], key) for key, row in tables.parked.rows.items() if row[2] < asked.before)
    return [key for _, key in old[: asked.limit]]


def _parked_and_awaited(tables: Tables, asked: q.ParkedAndAwaited) -> list[Row]:
    awaited = {key[:2] for key in tables.awaited.rows}
    rows = [row for key, row in sorted(tables.parked.rows.items()) if row[2] >= asked.since and key in awaited]
    return rows[: asked.limit]


ANSWERS: Final[dict[type, Callable[[Tables, Any], Any]]] = {
    q.Found: _found,
    q.BatchCounts: _batch_counts,
    q.QueuedConnectors: lambda tables, _: sorted({key[0] for key in tables.waiting.rows}),
    q.QueueDepth: _queue_depth,
    q.QueuePage: _queue_page,
    q.AwaitedPage: _awaited_page,
    q.AwaitedOf: _awaited_of,
    q.WordsOf: lambda tables, asked: [row for key, row in sorted(tables.words.rows.items()) if key[0] in asked.ids],
    q.EventsPage: _events_page,
    q.EventsOf: _events_of,
    q.EventLogins: _event_logins,
    q.DeadLetters: _dead_letters,
    q.IncomingById: lambda tables, asked: [tables.incoming.rows[id] for id in asked.ids if id in tables.incoming.rows],
    q.IncomingPage: _incoming_page,
    q.ConfirmationBy: _confirmation_by,
    q.StateCounts: _state_counts,
    q.ParkedPage: _parked_page,
    q.NextCreated: _next_created,
    q.LastCreated: _last_created,
    q.MessageSpan: _message_span,
    q.DeferredDue: _deferred_due,
    q.DeferredRetries: _deferred_retries,
    q.DeferredOf: _deferred_of,
    q.ExpiredWaiting: _expired_waiting,
    q.ExpiredDeferred: _expired_deferred,
    q.OverdueAwaited: _overdue_awaited,
    q.ClaimedPage: _claimed_page,
    q.Nodes: _nodes,
    q.OldEvents: _old_events,
    q.OldMessages: _old_messages,
    q.OldIncoming: _old_incoming,
    q.OldParked: _old_parked,
    q.ParkedAndAwaited: _parked_and_awaited,
}
"""The function that answers each question."""

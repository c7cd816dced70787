"""Answers the questions of maintenance: what is due, what is old, what was claimed. The functions only read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from smsgw.stores import questions as q
from smsgw.stores.rows import EVENT, PARKED
from smsgw.stores.sqlite.load import COLUMNS, by_id, parts_of, with_parts
from smsgw.stores.sqlite.statements import Execute
from smsgw.stores.steps import NO_ID, Key, Loaded, Row

_WAITING_KEY: Final = "t.connector, t.account, t.rank, t.message"
_DEFERRED_KEY: Final = "t.due, t.message"
_AWAITED_KEY: Final = "t.remote_id, t.connector, t.message, t.seq"
_EVENT_KEY: Final = "t.login, t.path, t.message, t.seq"
_OWED: Final = "SELECT 1 FROM event e WHERE e.path = t.path AND e.message = t.id AND e.login ="
_GIVEN_UP: Final = "SELECT 1 FROM dead_letter d WHERE d.message = t.id AND d.since >="


def _deferred_due(execute: Execute, asked: q.DeferredDue) -> list[Row]:
    return execute(
        "SELECT d.due, d.message, d.connector, d.account, d.rank, d.expires, m.state FROM deferred d"
        " CROSS JOIN message m ON m.id = d.message WHERE d.due <= ?"
        " AND (d.due <= ? OR m.state <> ?) ORDER BY d.due, d.message LIMIT ?",
        (asked.now, asked.earliest, asked.later_state, asked.limit),
    ).fetchall()


def _deferred_retries(execute: Execute, asked: q.DeferredRetries) -> list[Row]:
    return execute(
        "SELECT d.due, d.message, d.connector, d.account, d.rank, d.expires, m.state FROM deferred d"
        " CROSS JOIN message m ON m.id = d.message WHERE m.state = ? AND d.due < d.expires"
        " ORDER BY d.due, d.message LIMIT ?",
        (asked.state, asked.limit),
    ).fetchall()


def _step(execute: Execute, table: str, key: str, after: Sequence[Any], limit: int) -> tuple[Any, ...] | None:
    """The key `limit` rows behind `after`; None when there are fewer."""
    marks = ", ".join("?" * len(after))
    row: tuple[Any, ...] | None = execute(
        f"SELECT {key} FROM {table} WHERE ({key}) > ({marks}) ORDER BY {key} LIMIT 1 OFFSET ?", (*after, limit - 1)
    ).fetchone()
    return row


def _span(key: str, after: Sequence[Any], last: Sequence[Any] | None) -> tuple[str, tuple[Any, ...]]:
    """A condition for the keys behind `after` up to `last`, and its parameters."""
    marks = ", ".join("?" * len(after))
    if last is None:
        return f"({key}) > ({marks})", tuple(after)
    return f"({key}) > ({marks}) AND ({key}) <= ({marks})", (*after, *last)


def _deferred_of(execute: Execute, asked: q.DeferredOf) -> q.Page:
    last = _step(execute, "deferred t", _DEFERRED_KEY, asked.after, asked.limit)
    where, parameters = _span(_DEFERRED_KEY, asked.after, last)
    rows = execute(
        f"SELECT {COLUMNS} FROM deferred t CROSS JOIN message m ON m.id = t.message"
        f" WHERE {where} AND t.connector = ? ORDER BY {_DEFERRED_KEY}",
        (*parameters, asked.connector),
    ).fetchall()
    return q.Page(last, [*rows], parts_of(execute, rows))


def _expired(execute: Execute, table: str, key: str, asked: q.ExpiredWaiting | q.ExpiredDeferred) -> q.Page:
    last = _step(execute, f"{table} t", key, asked.after, asked.limit)
    where, parameters = _span(key, asked.after, last)
    rows = execute(
        f"SELECT {COLUMNS} FROM {table} t CROSS JOIN message m ON m.id = t.message"
        f" WHERE {where} AND t.expires > 0 AND t.expires <= ?",
        (*parameters, asked.now),
    ).fetchall()
    return q.Page(last, [*rows], parts_of(execute, rows))


def _expired_waiting(execute: Execute, asked: q.ExpiredWaiting) -> q.Page:
    return _expired(execute, "waiting", _WAITING_KEY, asked)


def _expired_deferred(execute: Execute, asked: q.ExpiredDeferred) -> q.Page:
    return _expired(execute, "deferred", _DEFERRED_KEY, asked)


def _overdue_awaited(execute: Execute, asked: q.OverdueAwaited) -> q.Page:
    last = _step(execute, "awaited_receipt t", _AWAITED_KEY, asked.after, asked.limit)
    where, parameters = _span(_AWAITED_KEY, asked.after, last)
    rows = execute(
        f"SELECT {COLUMNS}, p.state, {_AWAITED_KEY} FROM awaited_receipt t LEFT JOIN message m ON m.id = t.message"
        f" LEFT JOIN part p ON p.message = t.message AND p.seq = t.seq WHERE {where} AND t.due > 0 AND t.due <= ?",
        (*parameters, asked.now),
    ).fetchall()
    return q.Page(last, [*rows])


def _claimed_page(execute: Execute, asked: q.ClaimedPage) -> Loaded:
    """Reads ids from each node's floor on, and the list of claims below it."""
    ids: list[int] = []
    for node in asked.nodes:
        found = execute(
            "SELECT m.id FROM message m WHERE m.id >= (SELECT floor FROM node WHERE name = ?1) AND m.id > ?2"
            " AND m.leased_to = ?1 AND m.claimed = 1 UNION"
            " SELECT m.id FROM claim c CROSS JOIN message m ON m.id = c.message"
            " WHERE c.node = ?1 AND c.message > ?2 AND m.leased_to = ?1 AND m.claimed = 1 ORDER BY 1 LIMIT ?3",
            (node, asked.after, asked.limit),
        )
        ids += [id for (id,) in found]
    ids = sorted(ids)[: asked.limit]
    return with_parts(execute, by_id(execute, ids))


def _nodes(execute: Execute, _: q.Nodes) -> list[Row]:
    return execute("SELECT name, epoch, lease_until FROM node").fetchall()


def _old_events(execute: Execute, asked: q.OldEvents) -> q.Page:
    last = _step(execute, "event t", _EVENT_KEY, asked.after, asked.span)
    where, parameters = _span(_EVENT_KEY, asked.after, last)
    rows = execute(
        f"SELECT {', '.join(EVENT)} FROM event t WHERE {where} AND t.at < ? AND t.since < ? AND t.leased_to = ?"
        f" ORDER BY {_EVENT_KEY} LIMIT ?",
        (*parameters, asked.before, asked.before, asked.node, asked.limit),
    ).fetchall()
    return q.Page(last, [*rows])


def _old_messages(execute: Execute, asked: q.OldMessages) -> q.Page:
    last = _step(execute, "message t", "t.id", (asked.after,), asked.span)
    rows = execute(
        "SELECT t.id, t.state, t.batch FROM message t WHERE t.id > ? AND t.id <= ? AND t.changed < ?"
        f" AND t.state NOT IN ({', '.join('?' * len(asked.states))}) AND NOT EXISTS"
        f" ({_OWED} CASE t.login WHEN '' THEN t.account ELSE t.login END) AND NOT EXISTS ({_GIVEN_UP} ?)"
        " ORDER BY t.id LIMIT ?",
        (asked.after, last[0] if last else NO_ID, asked.before, *asked.states, asked.before, asked.limit),
    ).fetchall()
    return q.Page(last, [*rows])


def _old_incoming(execute: Execute, asked: q.OldIncoming) -> q.Page:
    last = _step(execute, "incoming t", "t.id", (asked.after,), asked.span)
    rows = execute(
        "SELECT t.id FROM incoming t WHERE t.id > ? AND t.id <= ? AND t.at < ?"
        f" AND NOT EXISTS ({_OWED} t.account) AND NOT EXISTS ({_GIVEN_UP} ?) ORDER BY t.id LIMIT ?",
        (asked.after, last[0] if last else NO_ID, asked.before, asked.before, asked.limit),
    ).fetchall()
    return q.Page(last, [*rows])


def _old_parked(execute: Execute, asked: q.OldParked) -> list[Key]:
    return execute(
        "SELECT remote_id, connector FROM parked WHERE since < ? ORDER BY since LIMIT ?", (asked.before, asked.limit)
    ).fetchall()


def _parked_and_awaited(execute: Execute, asked: q.ParkedAndAwaited) -> list[Row]:
    return execute(
        f"SELECT {', '.join(f'p.{name}' for name in PARKED)} FROM parked p WHERE p.since >= ? AND EXISTS (SELECT 1"
        " FROM awaited_receipt r WHERE r.remote_id = p.remote_id AND r.connector = p.connector) LIMIT ?",
        (asked.since, asked.limit),
    ).fetchall()


PAGES: Final[dict[type, Callable[[Execute, Any], Any]]] = {
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
"""The function that answers each question of maintenance."""

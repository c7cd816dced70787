"""Answers the questions of :mod:`smsgw.stores.questions`. Each function reads with one or a few SELECTs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from smsgw.stores import questions as q
from smsgw.stores.rows import EVENT, ID, INCOMING, PARKED, WORDS
from smsgw.stores.sqlite.load import COLUMNS, by_id, with_parts
from smsgw.stores.sqlite.statements import Execute, InList
from smsgw.stores.steps import NO_ID, Loaded, Row

_EVENT: Final = ", ".join(f"e.{name}" for name in EVENT)
_INCOMING: Final = ", ".join(INCOMING)
_INCOMING_BY_ID: Final = InList(f"SELECT {_INCOMING} FROM incoming WHERE id IN ({{marks}})")
_AWAITED_OF: Final = InList(
    "SELECT seq, remote_id, due FROM awaited_receipt WHERE +message = ? AND remote_id IN ({marks})"
)
_OF_BATCH: Final = f"SELECT {COLUMNS} FROM message m WHERE m.batch = ? AND m.batch > 0 ORDER BY m.id LIMIT ?"
_WORDS_OF: Final = InList(f"SELECT {', '.join(WORDS)} FROM last_words WHERE message IN ({{marks}})")
_CREATED: Final = "SELECT id, created FROM message WHERE id"


def _found(execute: Execute, asked: q.Found) -> Loaded:
    rows = by_id(execute, asked.ids)
    if asked.of_batch:
        found = {row[ID] for row in rows}
        for id in dict.fromkeys(asked.ids):
            if id not in found:
                rows += execute(_OF_BATCH, (id, asked.of_batch)).fetchall()
    return with_parts(execute, rows)


def _batch_counts(execute: Execute, asked: q.BatchCounts) -> list[Row]:
    own = "" if asked.account is None else " AND account = ?"
    return execute(
        "SELECT state, error, count(*), sum(parts), min(id), max(id) FROM (SELECT id, state, error, parts FROM message"
        f" WHERE batch = ? AND batch > 0 AND id > ?{own} ORDER BY id LIMIT ?) GROUP BY state, error",
        (asked.id, asked.after, *([] if asked.account is None else [asked.account]), asked.limit),
    ).fetchall()


def _queued_connectors(execute: Execute, _: q.QueuedConnectors) -> list[str]:
    """Makes one step in the index for each name."""
    rows = execute(
        "WITH RECURSIVE found(name) AS (SELECT min(connector) FROM waiting UNION ALL"
        " SELECT (SELECT min(connector) FROM waiting WHERE connector > found.name) FROM found WHERE name IS NOT NULL)"
        " SELECT name FROM found WHERE name IS NOT NULL"
    )
    return [name for (name,) in rows]


def _queue_depth(execute: Execute, asked: q.QueueDepth) -> dict[str, int]:
    return dict(
        execute(
            "SELECT account, count(*) FROM waiting WHERE connector = ? GROUP BY account", (asked.connector,)
        ).fetchall()
    )


def _queue_page(execute: Execute, asked: q.QueuePage) -> Loaded:
    rows = execute(
        f"SELECT {COLUMNS} FROM waiting q CROSS JOIN message m ON m.id = q.message"
        " WHERE q.connector = ? AND q.account = ? AND (q.rank, q.message) > (?, ?)"
        " ORDER BY q.rank, q.message LIMIT ?",
        (asked.connector, asked.account, *asked.after, asked.limit),
    ).fetchall()
    return with_parts(execute, rows)


def _awaited_page(execute: Execute, asked: q.AwaitedPage) -> list[Row]:
    """The first page sorts all rows into a temporary table, because the table is in order of remote ids; the last page
    drops it. Rows whose receipt came meanwhile are left out."""
    if asked.after <= (0, 0):
        execute("DROP TABLE IF EXISTS temp.owed")
        execute(
            "CREATE TEMP TABLE owed (message INTEGER, seq INTEGER, remote_id TEXT,"
            " PRIMARY KEY (message, seq, remote_id)) WITHOUT ROWID"
        )
        execute(
            "INSERT INTO temp.owed SELECT message, seq, remote_id FROM awaited_receipt WHERE connector = ?",
            (asked.connector,),
        )
    rows = execute(
        f"SELECT {COLUMNS}, r.remote_id, r.seq, r.due FROM temp.owed o CROSS JOIN awaited_receipt r"
        " ON r.remote_id = o.remote_id AND r.connector = ? AND r.message = o.message AND r.seq = o.seq"
        " CROSS JOIN message m ON m.id = o.message AND m.state = ?"
        " WHERE (o.message, o.seq) > (?, ?) ORDER BY o.message, o.seq, o.remote_id LIMIT ?",
        (asked.connector, asked.state, *asked.after, asked.limit),
    ).fetchall()
    if not rows:
        execute("DROP TABLE IF EXISTS temp.owed")
    return [*rows]


def _awaited_of(execute: Execute, asked: q.AwaitedOf) -> list[Row]:
    return [*_AWAITED_OF.fetch(execute, (asked.id,), list(asked.remote_ids))]


def _words_of(execute: Execute, asked: q.WordsOf) -> list[Row]:
    return [*_WORDS_OF.fetch(execute, (), list(asked.ids))]


def _events_page(execute: Execute, asked: q.EventsPage) -> list[Row]:
    return execute(
        f"SELECT {COLUMNS}, {_EVENT} FROM event e LEFT JOIN message m ON m.id = e.message"
        " WHERE e.login = ? AND e.path = ? AND (e.message, e.seq) > (?, ?) AND e.leased_to = ?"
        " ORDER BY e.message, e.seq LIMIT ?",
        (asked.login, asked.path, *asked.after, asked.node, asked.limit),
    ).fetchall()


def _events_of(execute: Execute, asked: q.EventsOf) -> list[Row]:
    return execute(
        f"SELECT {COLUMNS}, {_EVENT} FROM message m JOIN event e ON e.login = ? AND e.path = ? AND e.message = m.id"
        " WHERE m.id = ? ORDER BY e.seq",
        (asked.login, asked.path, asked.id),
    ).fetchall()


def _event_logins(execute: Execute, asked: q.EventLogins) -> list[str]:
    """Makes one step in the key for each login."""
    rows = execute(
        "WITH RECURSIVE owed (login) AS (SELECT min(login) FROM event UNION ALL"
        " SELECT (SELECT min(login) FROM event WHERE login > owed.login) FROM owed WHERE login IS NOT NULL)"
        " SELECT login FROM owed WHERE login IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM event e WHERE e.login = owed.login AND e.path = ? AND e.leased_to = ?)",
        (asked.path, asked.node),
    ).fetchall()
    return [login for (login,) in rows]


def _dead_letters(execute: Execute, asked: q.DeadLetters) -> list[Row]:
    where = "(e.message, e.seq) > (?, ?)"
    parameters: list[Any] = [*asked.after]
    if asked.login is not None:
        where += " AND e.login = ?"
        parameters.append(asked.login)
    if asked.ids:
        where += f" AND e.message IN ({','.join('?' * len(asked.ids))})"
        parameters += [min(id, NO_ID) for id in asked.ids]
    return execute(
        f"SELECT {COLUMNS}, {_EVENT} FROM dead_letter e LEFT JOIN message m ON m.id = e.message"
        f" WHERE {where} ORDER BY e.message, e.seq LIMIT ?",
        (*parameters, asked.limit),
    ).fetchall()


def _incoming_by_id(execute: Execute, asked: q.IncomingById) -> list[Row]:
    return [*_INCOMING_BY_ID.fetch(execute, (), list(asked.ids))]


def _incoming_page(execute: Execute, asked: q.IncomingPage) -> list[Row]:
    own = "" if asked.account is None else " AND account = ?"
    return execute(
        f"SELECT {_INCOMING} FROM incoming WHERE id < ?{own} ORDER BY id DESC LIMIT ?",
        (asked.before, *([] if asked.account is None else [asked.account]), asked.limit),
    ).fetchall()


def _confirmation_by(execute: Execute, asked: q.ConfirmationBy) -> str:
    row = execute(
        "SELECT account FROM confirmation WHERE phone = ? AND number = ? AND expires > ?",
        (asked.phone, asked.number, asked.now),
    ).fetchone()
    return row[0] if row else ""


def _state_counts(execute: Execute, _: q.StateCounts) -> dict[int, int]:
    return {
        state: messages
        for state, messages in execute("SELECT state, sum(messages) FROM state_count GROUP BY state").fetchall()
        if messages
    }


def _parked_page(execute: Execute, asked: q.ParkedPage) -> list[Row]:
    return execute(
        f"SELECT {', '.join(PARKED)} FROM parked ORDER BY since, remote_id LIMIT ?", (asked.limit,)
    ).fetchall()


def _next_created(execute: Execute, asked: q.NextCreated) -> Row | None:
    row: Row | None = execute(f"{_CREATED} >= ? ORDER BY id LIMIT 1", (asked.id,)).fetchone()
    return row


def _last_created(execute: Execute, asked: q.LastCreated) -> Row | None:
    row: Row | None = execute(f"{_CREATED} < ? ORDER BY id DESC LIMIT 1", (asked.id,)).fetchone()
    return row


def _message_span(execute: Execute, asked: q.MessageSpan) -> list[Row]:
    where = ["m.id < ?", "m.id >= ?"]
    parameters: list[Any] = [asked.before, asked.lowest]
    for condition, value in (
        ("m.account = ?", asked.account),
        ("m.recipient = ?", asked.recipient or None),
        ("m.created >= ?", asked.since or None),
        ("m.created < ?", asked.until or None),
        ("substr(m.data, 1, 1) = ?", bytes((asked.marked,)) if asked.marked >= 0 else None),
    ):
        if value is not None:
            where.append(condition)
            parameters.append(value)
    if asked.states:
        where.append(f"m.state IN ({','.join('?' * len(asked.states))})")
        parameters += asked.states
    return execute(
        f"SELECT {COLUMNS} FROM message m WHERE {' AND '.join(where)} ORDER BY m.id DESC LIMIT ?",
        (*parameters, asked.limit),
    ).fetchall()


ANSWERS: Final[dict[type, Callable[[Execute, Any], Any]]] = {
    q.Found: _found,
    q.BatchCounts: _batch_counts,
    q.QueuedConnectors: _queued_connectors,
    q.QueueDepth: _queue_depth,
    q.QueuePage: _queue_page,
    q.AwaitedPage: _awaited_page,
    q.AwaitedOf: _awaited_of,
    q.WordsOf: _words_of,
    q.EventsPage: _events_page,
    q.EventsOf: _events_of,
    q.EventLogins: _event_logins,
    q.DeadLetters: _dead_letters,
    q.IncomingById: _incoming_by_id,
    q.IncomingPage: _incoming_page,
    q.ConfirmationBy: _confirmation_by,
    q.StateCounts: _state_counts,
    q.ParkedPage: _parked_page,
    q.NextCreated: _next_created,
    q.LastCreated: _last_created,
    q.MessageSpan: _message_span,
}
"""The function that answers each question; those for maintenance are in :mod:`smsgw.stores.sqlite.pages`."""

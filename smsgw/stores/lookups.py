"""Questions to the tables: each a function of the connection, none changes anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from smsgw.interfaces import Awaited, Parked, Traced, Wanted
from smsgw.model.content import LABELLED
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Event, Incoming, Message
from smsgw.stores.rows import (
    EVENT,
    GIVEN_UP,
    INCOMING,
    MESSAGE,
    MESSAGE_WIDTH,
    MOST,
    STATES,
    Lists,
    to_events,
    to_incoming,
    to_message,
)

LISTED_SPAN: Final = 20_000
"""Ids looked at in one go by :func:`listed`: some milliseconds during which no commit runs."""

_SLACK: Final = 60.0
"""Seconds by which the times of acceptance may go against the order of ids."""

_BY_ID = Lists(f"SELECT {MESSAGE} FROM message m WHERE m.id IN ({{marks}})")
_BY_BATCH = Lists(f"SELECT {MESSAGE} FROM message m WHERE m.batch IN ({{marks}}) AND m.batch > 0 ORDER BY m.id")


_AWAITED = Lists("SELECT seq, remote_id, due FROM remote WHERE +message = ? AND remote_id IN ({marks})")
_SETTLED = Lists("SELECT message, seq FROM part WHERE message IN ({marks})")


def with_unsent(connection: sqlite3.Connection, messages: Sequence[Message]) -> None:
    """Say of each of `messages` which parts are still to be sent, if not all are."""
    several = {m.id: m for m in messages if m.parts > 1 and m.state <= State.ENROUTE}
    if not several:
        return
    settled: dict[int, set[int]] = {}
    for id, seq in _SETTLED.fetch(connection.execute, (), list(several)):
        settled.setdefault(id, set()).add(seq)
    for id, seqs in settled.items():
        m = several[id]
        m.unsent = tuple(seq for seq in range(1, m.parts + 1) if seq not in seqs)


def find(connection: sqlite3.Connection, account: str | None, ids: Sequence[int]) -> list[list[Message]]:
    """See :meth:`~smsgw.interfaces.IMessageStore.find`."""
    known: dict[int, list[Message]] = {}
    possible = [id for id in ids if 0 < id <= MOST]
    for row in _BY_ID.fetch(connection.execute, (), possible):
        if account is None or row[1] == account:
            known[row[0]] = [to_message(row)]
    batches = [id for id in possible if id not in known]
    for row in _BY_BATCH.fetch(connection.execute, (), batches):
        if account is None or row[1] == account:
            m = to_message(row)
            known.setdefault(m.batch, []).append(m)
    with_unsent(connection, [m for messages in known.values() for m in messages])
    return [known.get(id, []) for id in ids]


def trace(connection: sqlite3.Connection, id: int) -> Traced | None:
    """See :meth:`~smsgw.interfaces.IMessageStore.trace`."""
    row = connection.execute(f"SELECT {MESSAGE} FROM message m WHERE m.id = ?", (min(id, MOST),)).fetchone()
    if row is None:
        return None
    m = to_message(row)
    if m.parts == 1:
        parts = [(1, m.state + 0, m.error, m.remote_id)]
    else:
        known = {
            seq: (seq, state, error, remote_id)
            for seq, state, error, remote_id in connection.execute(
                "SELECT seq, state, error, remote_id FROM part WHERE message = ?", (id,)
            )
        }
        state = State.QUEUED if m.state is State.ENROUTE else m.state
        parts = [known.get(seq, (seq, state + 0, m.error, "")) for seq in range(1, m.parts + 1)]
    ids = sorted({remote_id for *_, remote_id in parts if remote_id})
    awaited = [
        Awaited(remote_id, m, seq, due)
        for seq, remote_id, due in sorted(_AWAITED.fetch(connection.execute, (id,), ids))
    ]
    events = connection.execute(
        f"SELECT {MESSAGE}, {EVENT} FROM message m JOIN event e"
        " ON e.account = m.account AND e.path = m.path AND e.message = m.id WHERE m.id = ? ORDER BY e.kind",
        (id,),
    ).fetchall()
    return Traced(m, parts, awaited, to_events(connection.execute, events))


def listed(
    connection: sqlite3.Connection, account: str | None, wanted: Wanted, before: int, limit: int
) -> tuple[list[Message], int]:
    """Newest first among the :data:`LISTED_SPAN` ids below `before` (0: the newest), a tenth of them where what the
    client attached is looked at; and below which id to go on, 0 when nothing is left.

    Ids are in order of acceptance but for the moments between making and storing: :data:`_SLACK` allows for those.
    """
    (newest,) = connection.execute("SELECT ifnull(max(id), 0) FROM message").fetchone()
    before = min(before, newest + 1) if before > 0 else newest + 1
    if wanted.until:
        before = min(before, _reached(connection, wanted.until + _SLACK, before))
    labelled = bool(wanted.comment or wanted.reference)
    lowest = max(before - (LISTED_SPAN // 10 if labelled else LISTED_SPAN), 1)
    where = ["m.id < ?", "m.id >= ?"]
    parameters: list[Any] = [before, lowest]
    for condition, value in (
        ("m.account = ?", account),
        ("m.dst = ?", wanted.number or None),
        ("m.created >= ?", wanted.since or None),
        ("m.created < ?", wanted.until or None),
    ):
        if value is not None:
            where.append(condition)
            parameters.append(value)
    if wanted.states:
        where.append(f"m.state IN ({','.join('?' * len(wanted.states))})")
        parameters += [state + 0 for state in wanted.states]
    if labelled:
        where.append(f"substr(m.data, 1, 1) = x'{LABELLED:02x}'")
    rows = connection.execute(
        f"SELECT {MESSAGE} FROM message m WHERE {' AND '.join(where)} ORDER BY m.id DESC LIMIT ?",
        (*parameters, -1 if labelled else limit),
    )
    found = []
    for row in rows:
        m = to_message(row)
        if not labelled or _fits(m, wanted):
            found.append(m)
            if len(found) == limit:
                break
    rows.close()
    if wanted.since and lowest > 1:
        row = connection.execute(
            "SELECT created FROM message WHERE id < ? ORDER BY id DESC LIMIT 1", (lowest,)
        ).fetchone()
        if row is None or row[0] < wanted.since - _SLACK:
            lowest = 1
    return found, lowest if lowest > 1 else 0


def _fits(m: Message, wanted: Wanted) -> bool:
    labels = m.content.labels
    return (
        labels is not None
        and wanted.comment.casefold() in labels.comment.casefold()
        and wanted.reference in ("", labels.reference)
    )


def _reached(connection: sqlite3.Connection, moment: float, above: int) -> int:
    """About the first id below `above` that was accepted at `moment` or later; `above` if there is none."""
    low, high = 1, above
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            "SELECT id, created FROM message WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
        ).fetchone()
        if row is None or row[0] >= high or row[1] >= moment:
            high = middle
        else:
            low = row[0] + 1
    return high


def connectors(connection: sqlite3.Connection) -> list[str]:
    """See :meth:`~smsgw.interfaces.IMessageStore.connectors`; one step in the index per name."""
    rows = connection.execute(
        "WITH RECURSIVE found(name) AS (SELECT min(connector) FROM queue UNION ALL"
        " SELECT (SELECT min(connector) FROM queue WHERE connector > found.name) FROM found WHERE name IS NOT NULL)"
        " SELECT name FROM found WHERE name IS NOT NULL"
    )
    return [name for (name,) in rows]


def waiting(connection: sqlite3.Connection, connector: str) -> dict[str, int]:
    """See :meth:`~smsgw.interfaces.IMessageStore.waiting`."""
    return dict(
        connection.execute(
            "SELECT account, count(*) FROM queue WHERE connector = ? GROUP BY account", (connector,)
        ).fetchall()
    )


def queued(
    connection: sqlite3.Connection, connector: str, account: str, after: tuple[int, int], limit: int
) -> list[Message]:
    """See :meth:`~smsgw.interfaces.IMessageStore.queued`."""
    rows = connection.execute(
        f"SELECT {MESSAGE} FROM queue q CROSS JOIN message m ON m.id = q.message"
        " WHERE q.connector = ? AND q.account = ? AND (q.rank, q.message) > (?, ?)"
        " ORDER BY q.rank, q.message LIMIT ?",
        (connector, account, *after, limit),
    ).fetchall()
    messages = [to_message(row) for row in rows]
    with_unsent(connection, messages)
    return messages


def events(connection: sqlite3.Connection, account: str, path: str, after: tuple[int, int], limit: int) -> list[Event]:
    """See :meth:`~smsgw.interfaces.IMessageStore.events`."""
    rows = connection.execute(
        f"SELECT {MESSAGE}, {EVENT} FROM event e LEFT JOIN message m ON m.id = e.message"
        " WHERE e.account = ? AND e.path = ? AND (e.message, e.kind) > (?, ?) ORDER BY e.message, e.kind LIMIT ?",
        (account, path, *after, limit),
    ).fetchall()
    return to_events(connection.execute, rows)


def unheard(
    connection: sqlite3.Connection, account: str | None, after: tuple[int, int], limit: int, ids: Sequence[int] = ()
) -> list[Event]:
    """See :meth:`~smsgw.interfaces.IMessageStore.unheard`. With `ids` only those about these."""
    where = "(e.message, e.kind) > (?, ?)"
    parameters: list[Any] = [*after]
    if account is not None:
        where += " AND e.account = ?"
        parameters.append(account)
    if ids:
        where += f" AND e.message IN ({','.join('?' * len(ids))})"
        parameters += [min(id, MOST) for id in ids]
    rows = connection.execute(
        f"SELECT {MESSAGE}, {GIVEN_UP} FROM dead e LEFT JOIN message m ON m.id = e.message"
        f" WHERE {where} ORDER BY e.message, e.kind LIMIT ?",
        (*parameters, limit),
    ).fetchall()
    return to_events(connection.execute, rows)


def received(connection: sqlite3.Connection, account: str | None, before: int, limit: int) -> list[Incoming]:
    """See :meth:`~smsgw.interfaces.IMessageStore.received`."""
    wanted = "" if account is None else " AND account = ?"
    rows = connection.execute(
        f"SELECT {INCOMING} FROM incoming WHERE id < ?{wanted} ORDER BY id DESC LIMIT ?",
        (min(before, MOST) if before > 0 else MOST, *([] if account is None else [account]), limit),
    )
    return [to_incoming(row) for row in rows]


def expected(connection: sqlite3.Connection, phone: str, number: str, now: float) -> str:
    """See :meth:`~smsgw.interfaces.IMessageStore.expected`."""
    row = connection.execute(
        "SELECT account FROM confirmation WHERE phone = ? AND number = ? AND expires > ?", (phone, number, now)
    ).fetchone()
    return row[0] if row else ""


def debtors(connection: sqlite3.Connection, path: str) -> list[str]:
    """See :meth:`~smsgw.interfaces.IMessageStore.debtors`. Skips from account to account through the key."""
    rows = connection.execute(
        "WITH RECURSIVE owed (account) AS (SELECT min(account) FROM event UNION ALL"
        " SELECT (SELECT min(account) FROM event WHERE account > owed.account) FROM owed WHERE account IS NOT NULL)"
        " SELECT account FROM owed WHERE account IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM event e WHERE e.account = owed.account AND e.path = ?)",
        (path,),
    ).fetchall()
    return [account for (account,) in rows]


def parked(connection: sqlite3.Connection, limit: int) -> list[Parked]:
    """See :meth:`~smsgw.interfaces.IMessageStore.parked`."""
    rows = connection.execute(
        "SELECT remote_id, connector, since, state, error, at, raw FROM parked ORDER BY since, remote_id LIMIT ?",
        (limit,),
    ).fetchall()
    return [
        Parked(connector, DeliveryReport(remote_id, STATES[state], error, at, raw), since)
        for remote_id, connector, since, state, error, at, raw in rows
    ]


def awaited(connection: sqlite3.Connection, connector: str, after: tuple[int, int], limit: int) -> list[Awaited]:
    """See :meth:`~smsgw.interfaces.IMessageStore.awaited`.

    The table is in order of remote ids; so the first page sorts what there is into a temporary table, which
    the last page drops. Rows settled meanwhile are left out.
    """
    execute = connection.execute
    if after <= (0, 0):
        execute("DROP TABLE IF EXISTS temp.owed")
        execute(
            "CREATE TEMP TABLE owed (message INTEGER, seq INTEGER, remote_id TEXT,"
            " PRIMARY KEY (message, seq, remote_id)) WITHOUT ROWID"
        )
        execute("INSERT INTO temp.owed SELECT message, seq, remote_id FROM remote WHERE connector = ?", (connector,))
    rows = execute(
        f"SELECT {MESSAGE}, r.remote_id, r.seq, r.due FROM temp.owed o CROSS JOIN remote r"
        " ON r.remote_id = o.remote_id AND r.connector = ? AND r.message = o.message AND r.seq = o.seq"
        " CROSS JOIN message m ON m.id = o.message AND m.state = 2"
        " WHERE (o.message, o.seq) > (?, ?) ORDER BY o.message, o.seq, o.remote_id LIMIT ?",
        (connector, *after, limit),
    ).fetchall()
    if not rows:
        execute("DROP TABLE IF EXISTS temp.owed")
    made: dict[int, Message] = {}
    found = []
    for row in rows:
        m = made.get(row[0])
        if m is None:
            m = made[row[0]] = to_message(row)
        remote_id, seq, due = row[MESSAGE_WIDTH:]
        found.append(Awaited(remote_id, m, seq, due))
    return found

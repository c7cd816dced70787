"""What the store does beside commits: hand out what a former process left, find what is due, delete what is old.

Each step looks at a bounded number of rows and remembers how far it came, so that no commit waits long.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from smsgw.model.lifecycle import State
from smsgw.model.message import Event, Message, Part
from smsgw.stores.lookups import unheard, with_unsent
from smsgw.stores.memory import Memory
from smsgw.stores.rows import (
    DELETE_EVENTS,
    DELETE_REMOTE,
    INSERT_QUEUE,
    MESSAGE,
    MESSAGE_WIDTH,
    MOST,
    Lists,
    Rows,
    to_message,
)

_START_OF_QUEUE: Final = ("", "", 0, 0)
_START_OF_LATER: Final = (0.0, 0)
_START_OF_REMOTE: Final = ("", "", 0, 0)
_START_OF_EVENTS: Final = ("", "", 0, 0)

_PURGE_SPAN: Final = 20
"""Rows a purge looks at for each it may delete."""

_CLAIMED = Lists(f"SELECT {MESSAGE} FROM message m WHERE m.id IN ({{marks}}) ORDER BY m.id")
_SETTLED = Lists("SELECT message, seq FROM part WHERE message IN ({marks})")
_ATTEMPT = Lists("UPDATE message SET attempts = attempts + 1 WHERE id IN ({marks})")
_QUEUED_NOW = Lists("UPDATE message SET state = 1 WHERE id IN ({marks}) AND state = 0")
_INSERT_DEAD = Rows("INSERT OR REPLACE INTO dead VALUES ", "(?,?,?,?,?,?,?,?)")
_INSERT_EVENT = Rows("INSERT OR REPLACE INTO event VALUES ", "(?,?,?,?,?,?,?,?,?,?)")
_DELETE_DEAD = Lists("DELETE FROM dead WHERE message IN ({marks})")
_DELETE_ONE_DEAD = Rows(
    "DELETE FROM dead WHERE (message, kind) IN (SELECT d.message, d.kind FROM (VALUES ",
    "(?,?)",
    ") AS v CROSS JOIN dead d ON d.message = v.column1 AND d.kind = v.column2)",
)
_DELETE_INCOMING = Lists("DELETE FROM incoming WHERE id IN ({marks})")
_DELETE_MESSAGE = Lists("DELETE FROM message WHERE id IN ({marks})")
_DELETE_PARTS = Lists("DELETE FROM part WHERE message IN ({marks})")


class Upkeep:
    """The cursors of one store. Each method runs inside a transaction of its own."""

    def __init__(self, connection: sqlite3.Connection, memory: Memory) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._memory = memory
        self._inherited = sorted(memory.claimed)
        self._later: tuple[float, int] = _START_OF_LATER
        self._queue: tuple[Any, ...] = _START_OF_QUEUE
        self._remote: tuple[Any, ...] = _START_OF_REMOTE
        self._events: tuple[Any, ...] = _START_OF_EVENTS
        self._oldest = 0
        self._oldest_incoming = 0

    def cursors(self) -> dict[str, Any]:
        """How far everything came, for :meth:`set_cursors` if the transaction fails."""
        return dict(vars(self))

    def set_cursors(self, cursors: dict[str, Any]) -> None:
        """Go back to there."""
        vars(self).update(cursors)

    def reclaim(self, after: int, limit: int) -> list[Part]:
        """See :meth:`~smsgw.interfaces.IMessageStore.reclaim`."""
        memory = self._memory
        start = bisect_right(self._inherited, after)
        ids = [id for id in self._inherited[start:] if id in memory.claimed][:limit]
        handed: list[Part] = []
        counted: list[int] = []
        rows = _CLAIMED.fetch(self._execute, (), ids)
        settled = set(_SETTLED.fetch(self._execute, (), [row[0] for row in rows if row[9] > 1]))
        for row in sorted(rows):
            if len(handed) >= limit:
                break
            m = to_message(row)
            m.attempts += 1
            counted.append(m.id)
            memory.lives.drop(m.id)
            handed += [Part(m, seq) for seq in range(1, m.parts + 1) if (m.id, seq) not in settled]
        _ATTEMPT.run(self._execute, (), counted)
        return handed

    def due(self, now: float, limit: int) -> list[tuple[str, str, int]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.due`."""
        rows = self._execute(
            "SELECT due, message, connector, account, rank, expires FROM later WHERE due <= ?"
            " ORDER BY due, message LIMIT ?",
            (now, limit),
        ).fetchall()
        if not rows:
            return []
        entries = [(connector, account, rank, id, expires) for _, id, connector, account, rank, expires in rows]
        INSERT_QUEUE.run(self._execute, [value for entry in entries for value in entry])
        self._execute("DELETE FROM later WHERE (due, message) <= (?, ?)", rows[-1][:2])
        self._promote([row[1] for row in rows])
        return [(connector, account, id) for connector, account, _, id, _ in entries]

    def _promote(self, ids: list[int]) -> None:
        """These are no longer scheduled, if they were."""
        moved = _QUEUED_NOW.run(self._execute, (), ids)
        if moved:
            for id in ids:
                self._memory.lives.drop(id)
            self._execute("UPDATE tally SET messages = messages - ? WHERE state = 0", (moved,))
            self._execute(
                "INSERT INTO tally VALUES (1, ?) ON CONFLICT (state) DO UPDATE"
                " SET messages = messages + excluded.messages",
                (moved,),
            )
            self._memory.tally[State.SCHEDULED] -= moved
            self._memory.tally[State.QUEUED] += moved

    def overdue(self, now: float, limit: int) -> list[tuple[Message, int]]:
        """See :meth:`~smsgw.interfaces.IMessageStore.overdue`. Drops remote ids whose part has ended otherwise."""
        return self._expired(now, limit) + self._expired_later(now, limit) + self._unreported(now, limit)

    def _expired(self, now: float, limit: int) -> list[tuple[Message, int]]:
        key = "q.connector, q.account, q.rank, q.message"
        start, last = self._queue, self._step("queue q", key, self._queue, limit)
        self._queue = last or _START_OF_QUEUE
        return self._messages(
            f"queue q CROSS JOIN message m ON m.id = q.message WHERE ({key}) > (?, ?, ?, ?)"
            + (f" AND ({key}) <= (?, ?, ?, ?)" if last else "")
            + " AND q.expires > 0 AND q.expires <= ?",
            (*start, *last, now),
        )

    def _expired_later(self, now: float, limit: int) -> list[tuple[Message, int]]:
        start = self._later
        last = self._execute(
            "SELECT due, message FROM later WHERE (due, message) > (?, ?) ORDER BY due, message LIMIT 1 OFFSET ?",
            (*start, limit - 1),
        ).fetchone()
        self._later = last or _START_OF_LATER
        return self._messages(
            "later l CROSS JOIN message m ON m.id = l.message WHERE (l.due, l.message) > (?, ?)"
            + (" AND (l.due, l.message) <= (?, ?)" if last else "")
            + " AND l.expires > 0 AND l.expires <= ?",
            (*start, *(last or ()), now),
        )

    def _messages(self, where: str, parameters: tuple[Any, ...]) -> list[tuple[Message, int]]:
        """Messages found there, none of whose parts in particular is meant."""
        messages = [to_message(row) for row in self._execute(f"SELECT {MESSAGE} FROM {where}", parameters)]
        with_unsent(self._connection, messages)
        return [(m, 0) for m in messages]

    def _unreported(self, now: float, limit: int) -> list[tuple[Message, int]]:
        key = "r.remote_id, r.connector, r.message, r.seq"
        start, last = self._remote, self._step("remote r", key, self._remote, limit)
        self._remote = last or _START_OF_REMOTE
        rows = self._execute(
            f"SELECT {MESSAGE}, ifnull(p.state, m.state), {key} FROM remote r"
            " LEFT JOIN message m ON m.id = r.message LEFT JOIN part p ON p.message = r.message AND p.seq = r.seq"
            f" WHERE ({key}) > (?, ?, ?, ?)"
            + (f" AND ({key}) <= (?, ?, ?, ?)" if last else "")
            + " AND r.due > 0 AND r.due <= ?",
            (*start, *last, now),
        ).fetchall()
        found = []
        stale: list[Any] = []
        for row in rows:
            state, *key_of_row = row[MESSAGE_WIDTH:]
            if row[0] is None or row[4] > State.ENROUTE or state > State.ENROUTE:
                stale += key_of_row
                self._memory.awaiting.drop((key_of_row[0], key_of_row[1]))
            else:
                found.append((to_message(row), key_of_row[3]))
        DELETE_REMOTE.run(self._execute, stale)
        return found

    def _step(self, table: str, key: str, start: tuple[Any, ...], limit: int) -> tuple[Any, ...]:
        """The key `limit` rows behind `start`; empty when there are fewer."""
        row = self._execute(
            f"SELECT {key} FROM {table} WHERE ({key}) > (?, ?, ?, ?) ORDER BY {key} LIMIT 1 OFFSET ?",
            (*start, limit - 1),
        ).fetchone()
        return row or ()

    def purge(self, before: float, events_before: float, limit: int) -> tuple[int, int]:
        """See :meth:`~smsgw.interfaces.IMessageStore.purge`."""
        events = self._give_up(events_before, limit)
        messages = self._purge_messages(before, limit)
        self._purge_incoming(before, limit)
        gone = self._execute(
            "DELETE FROM parked WHERE (remote_id, connector) IN"
            " (SELECT remote_id, connector FROM parked WHERE since < ? ORDER BY since LIMIT ?)"
            " RETURNING remote_id, connector",
            (before, limit),
        ).fetchall()
        if self._memory.parked is not None:
            self._memory.parked.difference_update(gone)
        return messages, events

    def _give_up(self, before: float, limit: int) -> int:
        """Lay aside what nobody took in time."""
        key = "e.account, e.path, e.message, e.kind"
        start, last = self._events, self._step("event e", key, self._events, limit * _PURGE_SPAN)
        rows = self._execute(
            f"SELECT {key}, e.state, e.error, e.at, e.attempts FROM event e WHERE ({key}) > (?, ?, ?, ?)"
            + (f" AND ({key}) <= (?, ?, ?, ?)" if last else "")
            + f" AND e.at < ? AND e.since < ? ORDER BY {key} LIMIT ?",
            (*start, *last, before, before, limit),
        ).fetchall()
        dead: list[Any] = []
        gone: defaultdict[tuple[str, str, int], list[int]] = defaultdict(list)
        for account, path, message, kind, *fate in rows:
            dead += (message, kind, account, path, *fate)
            gone[account, path, kind].append(message)
        _INSERT_DEAD.run(self._execute, dead)
        for where, messages in gone.items():
            DELETE_EVENTS.run(self._execute, where, messages)
        self._events = rows[-1][:4] if len(rows) == limit else last or _START_OF_EVENTS
        return len(rows)

    def _purge_messages(self, before: float, limit: int) -> int:
        execute = self._execute
        start = self._oldest
        last = execute(
            "SELECT id FROM message WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?", (start, limit * _PURGE_SPAN - 1)
        ).fetchone()
        rows = execute(
            "SELECT m.id, m.state, m.batch, m.parts FROM message m WHERE m.id > ? AND m.id <= ?"
            " AND m.state > 2 AND m.changed < ? AND NOT EXISTS (SELECT 1 FROM event e WHERE e.account = m.account"
            " AND e.path = m.path AND e.message = m.id) ORDER BY m.id LIMIT ?",
            (start, last[0] if last else MOST, before, limit),
        ).fetchall()
        self._oldest = rows[-1][0] if len(rows) == limit else last[0] if last else 0
        if not rows:
            return 0
        ids = [row[0] for row in rows]
        self._remember(max(max(row[0], row[2]) for row in rows))
        _DELETE_PARTS.run(execute, (), [row[0] for row in rows if row[3] > 1])
        _DELETE_DEAD.run(execute, (), ids)
        _DELETE_MESSAGE.run(execute, (), ids)
        for state in {row[1] for row in rows}:
            gone = sum(row[1] == state for row in rows)
            execute("UPDATE tally SET messages = messages - ? WHERE state = ?", (gone, state))
            self._memory.tally[state] -= gone
        return len(rows)

    def _purge_incoming(self, before: float, limit: int) -> None:
        execute = self._execute
        start = self._oldest_incoming
        last = execute(
            "SELECT id FROM incoming WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?", (start, limit * _PURGE_SPAN - 1)
        ).fetchone()
        rows = execute(
            "SELECT i.id FROM incoming i WHERE i.id > ? AND i.id <= ? AND i.at < ?"
            " AND NOT EXISTS (SELECT 1"
            " FROM event e WHERE e.account = i.account AND e.path = i.path AND e.message = i.id) ORDER BY i.id LIMIT ?",
            (start, last[0] if last else MOST, before, limit),
        ).fetchall()
        ids = [id for (id,) in rows]
        self._oldest_incoming = ids[-1] if len(ids) == limit else last[0] if last else 0
        if ids:
            self._remember(ids[-1])
            _DELETE_DEAD.run(execute, (), ids)
            _DELETE_INCOMING.run(execute, (), ids)

    def _remember(self, highest: int) -> None:
        """Rows up to this id go: it must not be given again after a restart."""
        self._execute(
            "UPDATE node SET counter = ? WHERE name = ? AND counter < ?", (highest, self._memory.node, highest)
        )

    def replay(self, account: str | None, ids: Sequence[int], limit: int, now: float) -> list[Event]:
        """See :meth:`~smsgw.interfaces.IMessageStore.replay`."""
        found = unheard(self._connection, account, (0, 0), limit, ids)
        rows: list[Any] = []
        keys: list[Any] = []
        for event in found:
            event.attempts = 0
            event.since = now
            m = event.message
            rows += (m.account, m.path, m.id, event.kind + 0, event.state + 0, event.error, event.at, 0, 0.0, now)
            keys += (m.id, event.kind + 0)
        _INSERT_EVENT.run(self._execute, rows)
        _DELETE_ONE_DEAD.run(self._execute, keys)
        return found

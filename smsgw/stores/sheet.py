"""What one transaction of the SQLite store is about to write: rows gathered, then written by few statements.

Every statement that moves messages is guarded, and the rows it moved are counted: should memory and tables ever
disagree, :class:`Stale` undoes the transaction, and its calls are carried out again from the tables alone.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Any, Final

from smsgw.model.changes import Committed
from smsgw.model.lifecycle import State, wants
from smsgw.model.message import Event, EventKind, Message, brief
from smsgw.stores.life import Life
from smsgw.stores.memory import Key, Memory
from smsgw.stores.rows import DELETE_REMOTE, INSERT_QUEUE, Alike, Lists, Rows

EARLY: Final = 3600
"""Seconds for which a parked receipt waits for the upstream's acceptance to be committed; of several the first
counts. An older one is left alone, and makes room for a newer one: upstreams use their ids again."""

TELLS: Final = tuple(tuple(wants(notify, state) for state in State) for notify in range(8))
"""By notify bits and state: whether the sender is told (one look-up instead of a call)."""

_INSERT_MESSAGE: Final = Alike(
    "INSERT INTO message",
    ("account", "path", "connector", "state", "priority", "owner", "attempts", "notify", "parts", "due", "error",
     "batch", "sent", "remote_id"),
    ("id", "expires", "created", "changed", "dst", "data"),
)  # fmt: skip
_ENROUTE: Final = Rows(
    "UPDATE message SET state = 2, owner = '', changed = v.column2, sent = v.column2, remote_id = v.column3"
    " FROM (VALUES ",
    "(?,?,?)",
    ") AS v WHERE message.id = v.column1 AND state = 1",
    "UPDATE message SET state = 2, owner = '', changed = ?2, sent = ?2, remote_id = ?3 WHERE id = ?1 AND state = 1",
)
_FINAL: Final = Lists("UPDATE message SET state = ?, error = ?, changed = ? WHERE id IN ({marks}) AND state = 2")
_LIFE: Final = Rows(
    "UPDATE message SET connector = v.column2, state = v.column3, owner = v.column4, attempts = v.column5,"
    " changed = v.column6, due = v.column7, error = v.column8, sent = v.column9, remote_id = v.column10"
    " FROM (VALUES ",
    "(?,?,?,?,?,?,?,?,?,?)",
    ") AS v WHERE message.id = v.column1",
    "UPDATE message SET connector = ?2, state = ?3, owner = ?4, attempts = ?5, changed = ?6, due = ?7, error = ?8,"
    " sent = ?9, remote_id = ?10 WHERE id = ?1",
)
_SET_PART: Final = Rows("INSERT OR REPLACE INTO part VALUES ", "(?,?,?,?,?)")
_INSERT_LATER: Final = Rows("INSERT INTO later VALUES ", "(?,?,?,?,?,?)")
_LEAVE_QUEUE: Final = Lists(
    "DELETE FROM queue WHERE (connector, account, rank, message) IN"
    " (SELECT connector, account, -priority, id FROM message WHERE id IN ({marks}))"
)
_LEAVE_LATER: Final = Lists(
    "DELETE FROM later WHERE (due, message) IN (SELECT due, id FROM message WHERE id IN ({marks}))"
)
_INSERT_REMOTE: Final = Alike(
    "INSERT OR REPLACE INTO remote", ("connector", "seq"), ("remote_id", "message", "due")
)
_DELETE_PLAIN_REMOTE: Final = Lists(
    # The plus sign keeps SQLite from trying every pair of the two lists. Without the second an upstream that gives the
    # same id again and again would have all those messages looked up with every receipt.
    "DELETE FROM remote WHERE connector = ? AND remote_id IN ({marks}) AND +message IN ({marks})"
)
_INSERT_EVENT: Final = Alike(
    "INSERT OR IGNORE INTO event", ("account", "path", "kind", "state", "error"), ("message", "at")
)
_PARK: Final = Rows(
    "INSERT INTO parked VALUES ",
    "(?,?,?,?,?,?,?)",
    " ON CONFLICT (remote_id, connector) DO UPDATE SET since = excluded.since, state = excluded.state,"
    f" error = excluded.error, at = excluded.at, raw = excluded.raw WHERE since < excluded.since - {EARLY}",
)
_UNPARK: Final = Lists("DELETE FROM parked WHERE connector = ? AND remote_id IN ({marks})")
_TALLY: Final = Rows(
    "INSERT INTO tally VALUES ", "(?,?)", " ON CONFLICT (state) DO UPDATE SET messages = messages + excluded.messages"
)


class Stale(Exception):
    """Memory and tables disagreed; nothing of the transaction may be kept."""


class Sheet:
    """Flat lists of parameters, by the statement they are for. :meth:`flush` empties them in place, so that whoever
    fills one may hold on to it; of those in dicts only to the dict.

    :ivar now: the time of everything that has none of its own.
    :ivar keys: the remote ids of which `memory` was told something new.
    :ivar delta: by how much the number of messages per state changes.
    :ivar messages, remotes, events: of new rows, see :class:`~smsgw.stores.rows.Alike`.
    :ivar enroute: (id, now, remote_id) of plain messages that were sent.
    :ivar finals: ids of plain messages that ended, by (state, error).
    :ivar plain_gone: their remote ids and ids, in two lists, by connector.
    :ivar lives: all other messages touched.
    """

    def __init__(self, connection: sqlite3.Connection, memory: Memory, now: float, keys: list[Key]) -> None:
        self.execute = connection.execute
        self.memory = memory
        self.now = now
        self.keys = keys
        self.delta = [0] * len(State)
        self.messages: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
        self.enroute: list[Any] = []
        self.finals: defaultdict[tuple[State, int], list[int]] = defaultdict(list)
        self.plain_gone: defaultdict[str, tuple[list[str], list[int]]] = defaultdict(lambda: ([], []))
        self.lives: dict[int, Life] = {}
        self.queue: list[Any] = []
        self.later: list[Any] = []
        self.unqueue: list[int] = []
        self.remotes: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
        self.gone: list[Any] = []
        self.events: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
        self.parked: dict[Key, tuple[Any, ...]] = {}
        self.unparked: list[Key] = []

    def tell(self, result: Committed, message: Message, kind: EventKind, state: State, error: int, at: float) -> None:
        """The sender of `message` is to hear of `state`, if it asked for that."""
        if message.path and TELLS[message.notify][state]:
            result.events.append(Event(brief(message), kind, state, error, at))
            self.events[message.account, message.path, kind + 0, state + 0, error] += (message.id, at)

    def enqueue(self, message: Message, connector: str, due: float) -> None:
        """It waits for `connector`: from now on, or (even if that is past: somebody has to be told) until `due`."""
        if due:
            self.later += (due, message.id, connector, message.account, -message.priority, message.expires)
        else:
            self.queue += (connector, message.account, -message.priority, message.id, message.expires)

    def forget(self, key: Key, id: int, seq: int) -> None:
        """No receipt is awaited under `key` any more; one that comes is a repetition."""
        self.keys.append(key)
        self.memory.awaiting.put(key, False)
        self.gone += (*key, id, seq)

    def flush(self) -> None:
        """Write what was gathered; from here on the tables answer for it.

        :raises Stale: see above.
        """
        execute = self.execute
        if self.messages:
            _INSERT_MESSAGE.run(execute, self.messages)
            self.messages.clear()
        if self.enroute:
            if _ENROUTE.run(execute, self.enroute) * 3 != len(self.enroute):
                raise Stale("a message sent was not claimed")
            self.enroute.clear()
        if self.lives:
            self._write_lives()
        if self.finals:
            self._write_finals()
        if self.unqueue:
            self.leave_queue()
        statement: Any
        parameters: Any
        for statement, parameters in (
            (INSERT_QUEUE, self.queue),
            (_INSERT_LATER, self.later),
            (_INSERT_REMOTE, self.remotes),
            (DELETE_REMOTE, self.gone),
            (_INSERT_EVENT, self.events),
        ):
            if parameters:
                statement.run(execute, parameters)
                parameters.clear()
        for connector, (remote_ids, ids) in self.plain_gone.items():
            _DELETE_PLAIN_REMOTE.run(execute, (connector,), remote_ids, ids)
        self.plain_gone.clear()
        if self.unparked or self.parked:
            self._write_parked()

    def leave_queue(self) -> int:
        """Take messages out of the queue; returns how many were in it."""
        left = _LEAVE_QUEUE.run(self.execute, (), self.unqueue)
        if left < len(self.unqueue):
            left += _LEAVE_LATER.run(self.execute, (), self.unqueue)
        self.unqueue.clear()
        return left

    def _write_finals(self) -> None:
        delta = self.delta
        for (state, error), ids in self.finals.items():
            if _FINAL.run(self.execute, (state + 0, error, self.now), ids) != len(ids):
                raise Stale("a message reported was not on its way")
            delta[State.ENROUTE] -= len(ids)
            delta[state] += len(ids)
        self.finals.clear()

    def _write_lives(self) -> None:
        memory = self.memory
        rows: list[Any] = []
        parts: list[Any] = []
        for id, life in self.lives.items():
            m = life.message
            owner = memory.node if life.claimed else ""
            rows += (id, life.connector, life.state + 0, owner, life.attempts)
            rows += (life.changed, life.due, life.error, life.sent, life.ids[0])
            if m.parts > 1:
                for part in life.touched:
                    parts += (id, part + 1, life.states[part] + 0, life.errors[part], life.ids[part])
                if not life.open:
                    memory.lives.drop(id)
            life.touched.clear()
            queued = life.queued
            if queued != life.stored_queued:
                life.stored_queued = queued
                if queued:
                    self.enqueue(m, life.connector, life.due)
                else:
                    self.unqueue.append(id)
        if _LIFE.run(self.execute, rows) != len(self.lives):
            raise Stale("a message is gone")
        _SET_PART.run(self.execute, parts)
        self.lives.clear()

    def _write_parked(self) -> None:
        for remote_id, connector in self.unparked:
            _UNPARK.run(self.execute, (connector,), [remote_id])
        self.unparked.clear()
        _PARK.run(self.execute, [value for row in self.parked.values() for value in row])
        self.parked.clear()

    def write_tally(self) -> None:
        """Once, at the end of the transaction."""
        _TALLY.run(self.execute, [value for pair in enumerate(self.delta) if pair[1] for value in pair])

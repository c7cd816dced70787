"""What the store knows without asking the disk. One process owns the file, so it can be exact or plainly absent.

Everything here can be forgotten at any time (:meth:`Memory.recall` reads back what must be exact): the tables are
the truth, this saves reading them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

import attrs

from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.stores.life import Life

K = TypeVar("K")
V = TypeVar("V")

REMEMBERED: Final = 100_000
"""Remote ids (awaited or settled) and parts of messages in several parts kept in memory."""

PARKED: Final = 100_000
"""Parked receipts whose ids are kept in memory; above, the table is asked."""

Key = tuple[str, str]
"""(remote_id, connector): what a receipt is recognised by."""


class Recent(Generic[K, V]):
    """The `limit` newest things at most, half of them at least; the oldest half is forgotten in one go."""

    __slots__ = ("_half", "_more", "old", "young")

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._half = max(limit // 2, 1)
        self._more = 0
        self.young: dict[K, V] = {}
        self.old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """What is known under `key`, if anything."""
        value = self.young.get(key)
        return self.old.get(key) if value is None else value

    def put(self, key: K, value: V, more: int = 0) -> None:
        """Know `value` under `key`; it counts as so many things more."""
        self.young[key] = value
        self._more += more

    def drop(self, key: K) -> None:
        """Know nothing under `key`."""
        self.young.pop(key, None)
        self.old.pop(key, None)

    def trim(self) -> None:
        """Forget the oldest half, if it is time to. Call after each batch."""
        if len(self.young) + self._more >= self._half:
            self.old = self.young
            self.young = {}
            self._more = 0

    def clear(self) -> None:
        """Forget everything."""
        self._more = 0
        self.young = {}
        self.old = {}


Awaiting = Message | tuple[int, int] | bool
"""What is known of a remote id: the message, if that has one part and nothing ever happened to it but being
accepted, claimed and sent; the (id, seq) of any other awaited part; False when its receipt has come."""


@attrs.define(eq=False)
class Memory:
    """What is known of the database `connection` of `node`.

    :ivar claimed: ids of all claimed messages, exact.
    :ivar awaiting: by remote id; absent: ask the table.
    :ivar lives: open messages in several parts, as the tables have them; absent: ask the tables.
    :ivar parked: ids that have a parked receipt, exact; None: too many, ask the table.
    :ivar tally: messages per state, exact.
    :ivar floor: a restart looks for claimed messages from this id on, and for those of the table of claims.
    :ivar listed: rows of that table.
    """

    connection: sqlite3.Connection
    node: str
    awaiting: Recent[Key, Awaiting] = attrs.field(factory=Recent)
    lives: Recent[int, Life] = attrs.field(factory=Recent)
    claimed: set[int] = attrs.field(factory=set, init=False)
    parked: set[Key] | None = attrs.field(factory=set, init=False)
    tally: list[int] = attrs.field(factory=lambda: [0] * len(State), init=False)
    floor: int = attrs.field(default=1, init=False)
    listed: int = attrs.field(default=0, init=False)

    def awake(self) -> int:
        """At start: read what must be exact; returns the first id that is free."""
        execute = self.connection.execute
        execute("INSERT OR IGNORE INTO node VALUES (?, 1, 0)", (self.node,))
        (counter,) = execute("SELECT max(counter) FROM node").fetchone()
        (message,) = execute("SELECT ifnull(max(id), 0) FROM message").fetchone()
        (batch,) = execute("SELECT ifnull(max(batch), 0) FROM message WHERE batch > 0").fetchone()
        (incoming,) = execute("SELECT ifnull(max(id), 0) FROM incoming").fetchone()
        (keyed,) = execute("SELECT ifnull(max(id), 0) FROM idempotency").fetchone()
        self.recall()
        return int(max(counter, message, batch, incoming, keyed)) + 1

    def recall(self, keys: Iterable[Key] = ()) -> None:
        """Read what must be exact; forget what is known of `keys` and of lives."""
        execute = self.connection.execute
        for key in keys:
            self.awaiting.drop(key)
        self.lives.clear()
        (self.floor,) = execute("SELECT floor FROM node WHERE name = ?", (self.node,)).fetchone()
        (self.listed,) = execute("SELECT count(*) FROM claim").fetchone()
        claimed = execute(
            "SELECT id FROM message WHERE id >= ? AND owner = ? UNION ALL"
            " SELECT m.id FROM claim c CROSS JOIN message m ON m.id = c.message WHERE m.owner = ?",
            (self.floor, self.node, self.node),
        )
        self.claimed = {id for (id,) in claimed}
        parked = {
            (remote_id, connector)
            for remote_id, connector in execute("SELECT remote_id, connector FROM parked LIMIT ?", (PARKED + 1,))
        }
        self.parked = parked if len(parked) <= PARKED else None
        self.tally = [0] * len(State)
        for state, messages in execute("SELECT state, messages FROM tally"):
            self.tally[state] = messages

    def count(self, delta: list[int]) -> None:
        """So many more messages, or fewer, are stored per state."""
        for state, change in enumerate(delta):
            self.tally[state] += change

    def remember_parked(self, key: Key) -> None:
        """A receipt was parked under `key`."""
        if self.parked is not None:
            self.parked.add(key)
            if len(self.parked) > PARKED:
                self.parked = None

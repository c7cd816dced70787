"""The cache of a store: data that it need not ask its engine for.

With a single node an entry is exact or absent. With several nodes an entry may be out of date, and the guards of a
write detect that. The cache is updated after a commit, so a failed commit needs no undo.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import attrs

from smsgw.model.message import Message
from smsgw.stores.progress import MessageProgress
from smsgw.stores.steps import Key

K = TypeVar("K")
V = TypeVar("V")

REMEMBERED: Final = 100_000
"""Remote ids (awaited or reported), and parts of messages in several parts, that are cached."""

PARKED: Final = 100_000
"""Parked receipts whose ids are cached; if there are more, the engine is asked."""


class Recent(Generic[K, V]):
    """A map of the newest entries: at most `limit`, at least half as many. The oldest half is dropped at once."""

    __slots__ = ("_half", "_more", "old", "young")

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._half = max(limit // 2, 1)
        self._more = 0
        self.young: dict[K, V] = {}
        self.old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value of `key`, None if there is none."""
        value = self.young.get(key)
        return self.old.get(key) if value is None else value

    def put(self, key: K, value: V, more: int = 0) -> None:
        """Set the value of `key`; it counts as `more` entries in addition."""
        self.young[key] = value
        self._more += more

    def take(self, key: K) -> V | None:
        """Remove `key`; returns its value, None if there was none."""
        value = self.young.pop(key, None)
        older = self.old.pop(key, None)
        return older if value is None else value

    def trim(self) -> None:
        """Drop the oldest half if the newest is full. Call this after each batch."""
        if len(self.young) + self._more >= self._half:
            self.old = self.young
            self.young = {}
            self._more = 0

    def clear(self) -> None:
        """Remove all entries."""
        self._more = 0
        self.young = {}
        self.old = {}


Awaiting = Message | tuple[int, int] | bool
"""The value of a remote id: the message, if it has one part and was only accepted, claimed and sent; the (id, seq) of
any other awaited part; False when its receipt has come."""


@attrs.define(eq=False)
class Cache:
    """The cache of one node.

    :ivar claimed: ids of all messages of one part that this node has claimed.
    :ivar shared: whether other nodes may change the same messages.
    :ivar doubtful: ids of messages for which a guard failed; they are loaded before the next decision on them.
    :ivar awaiting: by remote id; if absent the engine is asked.
    :ivar progress: open messages in several parts, as they are stored; if absent the engine is asked.
    :ivar claimed_parts: ids of all messages in several parts that this node has claimed.
    :ivar parked: keys of all parked receipts; None: more than `parked_limit`, the engine is asked.
    :ivar floor: a restart looks for claimed messages from this id on, and in the list of claims below it.
    :ivar listed: the length of that list.
    """

    awaiting: Recent[Key, Awaiting] = attrs.field(factory=Recent)
    progress: Recent[int, MessageProgress] = attrs.field(factory=Recent)
    parked_limit: int = PARKED
    claimed: set[int] = attrs.field(factory=set, init=False)
    claimed_parts: set[int] = attrs.field(factory=set, init=False)
    shared: bool = attrs.field(default=False, init=False)
    doubtful: set[int] = attrs.field(factory=set, init=False)
    parked: set[Key] | None = attrs.field(default=None, init=False)
    floor: int = attrs.field(default=1, init=False)
    listed: int = attrs.field(default=0, init=False)

"""What a store knows without asking its engine.

Where one node has the data alone, this is exact or plainly absent; where others change them, too, it is a guess that
the guards of a write decide about. It takes up what was written after the commit, so there is nothing to undo.
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
"""Remote ids (awaited or reported) and parts of messages in several parts kept in memory."""

PARKED: Final = 100_000
"""Parked receipts whose ids are kept in memory; above, the engine is asked."""


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

    def take(self, key: K) -> V | None:
        """What is known under `key`, which is not known any more."""
        value = self.young.pop(key, None)
        older = self.old.pop(key, None)
        return older if value is None else value

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
class Cache:
    """What one node knows.

    :ivar claimed: ids of messages of one part that this node has claimed: all that there are.
    :ivar doubtful: those of them, and others, that a guard was wrong about: they are loaded before they are decided on.
    :ivar awaiting: by remote id; absent: ask the engine.
    :ivar progress: open messages in several parts, as they are stored; absent: ask the engine.
    :ivar claimed_parts: ids of messages in several parts that this node has claimed: all that there are.
    :ivar parked: ids that have a parked receipt; None: more than `parked_limit`, ask the engine.
    :ivar floor: a restart looks for claimed messages from this id on, and for those that are listed.
    :ivar listed: how many are listed.
    """

    awaiting: Recent[Key, Awaiting] = attrs.field(factory=Recent)
    progress: Recent[int, MessageProgress] = attrs.field(factory=Recent)
    parked_limit: int = PARKED
    claimed: set[int] = attrs.field(factory=set, init=False)
    claimed_parts: set[int] = attrs.field(factory=set, init=False)
    doubtful: set[int] = attrs.field(factory=set, init=False)
    parked: set[Key] | None = attrs.field(default=None, init=False)
    floor: int = attrs.field(default=1, init=False)
    listed: int = attrs.field(default=0, init=False)

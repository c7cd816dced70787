"""The part of one account's events that is in memory, and where the rest begins in the store. Pure structure.

* *held* are the events in memory: waiting for room, under way, put off until later, or told with the commit that
  forgets them still to come. What is held is never taken from the store a second time, so nothing goes out twice
  while it is under way.
* *cursor* tells what is not held: rows above it may exist in the store and nowhere else, rows up to it are held or
  settled; None when everything is held. An event that finds no room in memory pulls the cursor down to just below
  itself. While there is a cursor, new events above it are left to the store and come with their page; new events
  below it are held at once. This is safe for the order within a message: events are ordered by (message, kind), so
  whatever an earlier event of the same message waits for, a later one waits for too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs

from smsgw.interfaces import IReturnPath
from smsgw.model.message import Event, EventKind

EVERYTHING: Final = 0
"""The cursor below every event."""

_FINAL: Final = EventKind.FINAL


def key_of(event: Event) -> int:
    """Message id and kind in one number, ordered as the store orders events."""
    return event.message.id << 2 | event.kind


@attrs.define(eq=False)
class EventQueue:
    """The events of one account on one return path.

    :ivar limit: events held at most before new ones are left to the store.
    :ivar held: what is in memory, by key. :ivar waiting: what may go out when there is room, in order.
    :ivar behind: events that wait for an earlier one of their message, by the key of the earlier.
    :ivar fresh: events above the cursor that came while a page is read: it may or may not contain them.
    :ivar missed: lowest key that came while a page is read and found no room in `fresh`.
    :ivar gone: keys forgotten while a page is read: it may still contain them.
    """

    path: IReturnPath
    account: str
    limit: int
    cursor: int | None
    held: dict[int, Event] = attrs.field(factory=dict)
    waiting: deque[Event] = attrs.field(factory=deque)
    behind: dict[int, Event] = attrs.field(factory=dict)
    pumping: bool = False
    reading: bool = False
    fresh: list[Event] = attrs.field(factory=list)
    missed: int | None = None
    gone: set[int] = attrs.field(factory=set)
    _page: tuple[int, int] = (EVERYTHING, 0)

    def arrive(self, events: Sequence[Event], memory: int) -> int:
        """Events that just happened: hold those whose turn has come, at most `memory`, and leave the rest to the store.

        :returns: how many are held more than before.
        """
        held, waiting = self.held, self.waiting
        before = len(held)
        most = min(self.limit, before + memory)
        for event in events:
            key = event.message.id << 2 | event.kind
            cursor = self.cursor
            if cursor is not None and key > cursor:
                if self.reading:
                    self._meanwhile(key, event)
            elif key not in held:
                if len(held) < most:
                    held[key] = event
                    waiting.append(event)
                else:
                    self.cursor = key - 1
        return len(held) - before

    def _meanwhile(self, key: int, event: Event) -> None:
        if len(self.fresh) < self._page[1]:
            self.fresh.append(event)
        elif self.missed is None or key < self.missed:
            self.missed = key

    def take(self, room: int) -> list[Event]:
        """The next events that may go, at most `room`; one with an earlier one of its message held waits behind it."""
        waiting, held = self.waiting, self.held
        if len(waiting) <= room:
            batch = list(waiting)
            waiting.clear()
        else:
            popleft = waiting.popleft
            batch = [popleft() for _ in range(room)]
        behind = [event for event in batch if event.kind == _FINAL and event.message.id << 2 | 1 in held]
        if behind:
            self.behind.update((event.message.id << 2 | 1, event) for event in behind)
            batch = [event for event in batch if event.kind != _FINAL or event.message.id << 2 | 1 not in held]
        return batch

    def settle(self, events: Sequence[Event]) -> int:
        """Forget events; what waited behind one of them may go.

        :returns: how many are held less than before.
        """
        held, behind = self.held, self.behind
        before = len(held)
        for event in events:
            key = event.message.id << 2 | event.kind
            held.pop(key, None)
            if self.reading:
                self.gone.add(key)
            if behind and key in behind:
                self.waiting.append(behind.pop(key))
        return before - len(held)

    def supersede(self, events: Sequence[Event]) -> int:
        """These are about to arrive anew, after they were given up: forget what is held of them.

        :returns: how many are held less than before.
        """
        gone = [self.held.pop(key, None) for key in map(key_of, events)]
        old = {id(event) for event in gone if event is not None}
        if old:
            kept = [event for event in self.waiting if id(event) not in old]
            self.waiting.clear()
            self.waiting.extend(kept)
        return len(old)

    def shed(self) -> int:
        """Leave everything that waits to the store; returns how many events that were."""
        count = len(self.waiting)
        if count:
            keys = [key_of(event) for event in self.waiting]
            self.waiting.clear()
            for key in keys:
                del self.held[key]
            lowest = min(keys) - 1
            self.cursor = lowest if self.cursor is None else min(self.cursor, lowest)
        return count

    def begin(self, limit: int) -> tuple[int, int]:
        """A page of `limit` rows is about to be read: returns the (message id, kind) above which."""
        after = self.cursor or EVERYTHING
        self.reading = True
        self._page = after, limit
        return after >> 2, after & 3

    def turn(self, events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
        """The page is here: hold what is new in it, and move the cursor.

        :returns: the new ones, held from now on, and those that came meanwhile and are to arrive now.
        """
        after, limit = self._page
        held, gone = self.held, self.gone
        new = []
        last = after
        for event in events:
            last = key_of(event)
            if last not in held and last not in gone:
                held[last] = event
                new.append(event)
        if self.cursor == after:
            self.cursor = last if len(events) >= limit else None
        if self.missed is not None and (self.cursor is None or self.missed <= self.cursor):
            self.cursor = self.missed - 1
        fresh = self.fresh
        self.fail()
        return new, fresh

    def fail(self) -> None:
        """The page is done with, or did not come: what came meanwhile is above the cursor still."""
        self.reading = False
        self.fresh = []
        self.missed = None
        self.gone = set()

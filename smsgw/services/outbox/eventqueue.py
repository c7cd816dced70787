"""The events of one account that are in memory, and the cursor behind which the store may have more. Pure, no I/O.

* *held* events are in memory: they wait for room, are under way, wait for their next attempt, or are acknowledged while
  the commit that deletes them is under way. An event that is held is not read from the store again, so it is never
  delivered twice at the same time.
* *cursor* divides the rows in the store. Rows above it may be in the store only; rows up to it are held or deleted.
  None: every row is held. An event that finds no room in memory moves the cursor down to just below itself. While there
  is a cursor, a new event above it stays in the store until its page is read, and a new event below it is held at once.
  The order within a message is kept, since events are ordered by (message, kind): if the earlier event of a message is
  above the cursor, the later one is too.
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
    """Message id and kind as one number, in the order of events in the store."""
    return event.message.id << 2 | event.kind


@attrs.define(eq=False)
class EventQueue:
    """The events of one account on one return path.

    :ivar limit: how many events are held at most; further ones stay in the store.
    :ivar held: the events in memory, by key. :ivar waiting: events to deliver when there is room, in order.
    :ivar behind: events that wait for the earlier event of their message, by the key of the earlier one.
    :ivar fresh: events above the cursor that arrived while a page was read; the page may contain them or not.
    :ivar missed: the lowest key that arrived while a page was read and found no room in `fresh`.
    :ivar removed: keys removed while a page was read; the page may still contain them.
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
    removed: set[int] = attrs.field(factory=set)
    _page: tuple[int, int] = (EVERYTHING, 0)

    def add(self, events: Sequence[Event], memory: int) -> int:
        """Hold new events that are not above the cursor, at most `memory` of them; the others stay in the store.

        :returns: by how many the number of held events grew.
        """
        held, waiting = self.held, self.waiting
        before = len(held)
        most = min(self.limit, before + memory)
        for event in events:
            key = event.message.id << 2 | event.kind
            cursor = self.cursor
            if cursor is not None and key > cursor:
                if self.reading:
                    self._add_while_reading(key, event)
            elif key not in held:
                if len(held) < most:
                    held[key] = event
                    waiting.append(event)
                else:
                    self.cursor = key - 1
        return len(held) - before

    def _add_while_reading(self, key: int, event: Event) -> None:
        if len(self.fresh) < self._page[1]:
            self.fresh.append(event)
        elif self.missed is None or key < self.missed:
            self.missed = key

    def take(self, room: int) -> list[Event]:
        """Take the next events to deliver, at most `room`. An event stays behind while the earlier event of its message
        is held."""
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

    def remove(self, events: Sequence[Event]) -> int:
        """Remove events from memory; an event that waited behind one of them may be delivered now.

        :returns: by how many the number of held events shrank.
        """
        held, behind = self.held, self.behind
        before = len(held)
        for event in events:
            key = event.message.id << 2 | event.kind
            held.pop(key, None)
            if self.reading:
                self.removed.add(key)
            if behind and key in behind:
                self.waiting.append(behind.pop(key))
        return before - len(held)

    def supersede(self, events: Sequence[Event]) -> int:
        """Remove dead letters that are about to be replayed from memory, with what waits of them.

        :returns: by how many the number of held events shrank.
        """
        held = [self.held.pop(key, None) for key in map(key_of, events)]
        old = {id(event) for event in held if event is not None}
        if old:
            kept = [event for event in self.waiting if id(event) not in old]
            self.waiting.clear()
            self.waiting.extend(kept)
        return len(old)

    def shed(self) -> int:
        """Remove all waiting events from memory; they stay in the store. Returns how many they were."""
        count = len(self.waiting)
        if count:
            keys = [key_of(event) for event in self.waiting]
            self.waiting.clear()
            for key in keys:
                del self.held[key]
            lowest = min(keys) - 1
            self.cursor = lowest if self.cursor is None else min(self.cursor, lowest)
        return count

    def begin_page(self, limit: int) -> tuple[int, int]:
        """Begin to read a page of `limit` rows; returns the (message id, kind) behind which it begins."""
        after = self.cursor or EVERYTHING
        self.reading = True
        self._page = after, limit
        return after >> 2, after & 3

    def add_page(self, events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
        """Hold the new events of the page that was read, and move the cursor behind it.

        :returns: the events that are held from now on; and those that arrived while the page was read, for :meth:`add`.
        """
        after, limit = self._page
        held, removed = self.held, self.removed
        new = []
        last = after
        for event in events:
            last = key_of(event)
            if last not in held and last not in removed:
                held[last] = event
                new.append(event)
        if self.cursor == after:
            self.cursor = last if len(events) >= limit else None
        if self.missed is not None and (self.cursor is None or self.missed <= self.cursor):
            self.cursor = self.missed - 1
        fresh = self.fresh
        self.end_page()
        return new, fresh

    def end_page(self) -> None:
        """End the reading of a page, also after a failure: events that arrived meanwhile are above the cursor."""
        self.reading = False
        self.fresh = []
        self.missed = None
        self.removed = set()

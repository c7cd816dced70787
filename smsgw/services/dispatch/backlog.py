"""The queue of one connector: its first part in memory, in lanes; all of it in the store.

Per account a cursor tells what is not in memory. Rows above it may exist in the store and nowhere else; rows up to it
are in the lanes or no longer queued. A message that finds no room pulls the cursor down to just below itself. While
there is a cursor, an arrival of a lane that has rows above it is left to the store, so that nothing of a lane
overtakes; arrivals of other lanes are kept in memory at once, so that a one-off code does not wait for a campaign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.interfaces import IMessageStore
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.message import Message
from smsgw.services.dispatch.lanes import Key, Lanes, lane_of

Place = tuple[int, int]
"""Where a row stands in the store's order: (-priority, id)."""

START: Final[Place] = (-(1 << 31), 0)
"""Before every row."""

MOST_LANES: Final = 10_000
"""Lanes per account that are remembered to have rows beyond memory; of further ones the order is not promised."""

_log = Logger()


def place_of(message: Message) -> Place:
    """Where the row of a message stands."""
    return -message.priority, message.id


@attrs.define(eq=False)
class _Beyond:
    """What is known of an account's rows that are not in memory."""

    cursor: Place
    lanes: set[Key] = attrs.field(factory=set)
    lowered: Place | None = None
    """The lowest place that the cursor was pulled down to while a page is read."""
    missed: bool = False
    """Whether something was left to the store while a page is read: the page may not contain it."""


class Backlog:
    """What waits for one connector.

    :param capacity: parts of messages kept in memory. :param page: rows read from the store at once, at most.
    :param roused: called when a page brought something.
    :param busy: ids of messages whose claim is under way; a page that still shows them is out of date.
    """

    def __init__(
        self,
        connector: str,
        store: IMessageStore,
        roused: Callable[[], None],
        busy: set[int],
        *,
        capacity: int = 20_000,
        page: int = 1_000,
    ) -> None:
        self._connector = connector
        self._store = store
        self._roused = roused
        self._busy = busy
        self._page = page
        self._lanes = Lanes(capacity)
        self._beyond: dict[str, _Beyond] = {}
        self._reading = False

    def __len__(self) -> int:
        """Messages in memory."""
        return len(self._lanes)

    @property
    def empty(self) -> bool:
        """Whether nothing waits, neither here nor in the store."""
        return not self._lanes and not self._beyond

    def add(self, messages: Iterable[Message]) -> None:
        """These are queued in the store and due: keep them in memory, or leave them to the store for now."""
        beyond = self._beyond
        push = self._lanes.push
        for message in messages:
            if message.account in beyond:
                rest = beyond[message.account]
                if place_of(message) > rest.cursor and lane_of(message) in rest.lanes:
                    rest.missed = True
                    continue
            for left in push(message):
                self._leave(left)

    def _leave(self, message: Message) -> None:
        """From now on `message` is in the store only."""
        below = (-message.priority, message.id - 1)
        rest = self._beyond.get(message.account)
        if rest is None:
            rest = self._beyond[message.account] = _Beyond(below)
        elif below < rest.cursor:
            rest.cursor = below
        rest.lowered = below if rest.lowered is None else min(rest.lowered, below)
        if len(rest.lanes) < MOST_LANES:
            rest.lanes.add(lane_of(message))

    def take(self, room: int, whole: bool = False) -> list[Message]:
        """See :meth:`~.lanes.Lanes.take`; :meth:`refill` replaces from the store what left memory."""
        return self._lanes.take(room, whole)

    def remove(self, ids: Iterable[int]) -> None:
        """Forget these; they are no longer queued."""
        self._lanes.remove(ids)

    def load(self) -> Deferred[None]:
        """At start: learn from the store what waits, and fill the memory."""

        def counted(waiting: dict[str, int]) -> Deferred[None] | None:
            for account in waiting:
                self._beyond[account] = _Beyond(START)
            return self._read_next()

        return self._store.waiting(self._connector).addCallback(counted)

    def refill(self) -> None:
        """Read a page for the account that needs it most, if any does."""
        reading = self._read_next()
        if reading is not None:
            reading.addErrback(self._unread)

    def _unread(self, failure: Failure) -> None:
        if failure.check(StoreDown, UnknownOutcome) is None:
            _log.failure("reading the queue of {connector}", failure, connector=self._connector)

    def _read_next(self) -> Deferred[None] | None:
        wanting = None if self._reading else self._neediest()
        if wanting is None:
            return None
        account, limit = wanting
        rest = self._beyond[account]
        rest.lowered = None
        rest.missed = False
        self._reading = True

        def read(rows: list[Message]) -> Deferred[None] | None:
            self._reading = False
            of_use = self._take_in(account, rest, rows, len(rows) < limit)
            self._roused()
            return self._read_next() if of_use else None

        def failed(failure: Failure) -> Failure:
            self._reading = False
            return failure

        reading = self._store.queued(self._connector, account, rest.cursor, limit)
        return reading.addCallbacks(read, failed)

    def _neediest(self) -> tuple[str, int] | None:
        """The account with the least here of those that shall have more, and of how many parts."""
        lanes = self._lanes
        if not self._beyond:
            return None
        share = lanes.capacity // len(self._beyond.keys() | set(lanes.accounts()))
        enough = min(self._page, max(1, share // 2))
        account = min(self._beyond, key=lanes.count)
        wanted = max(lanes.capacity - lanes.size, share - lanes.count(account))
        return (account, min(self._page, wanted)) if wanted >= enough else None

    def _take_in(self, account: str, rest: _Beyond, rows: Sequence[Message], last: bool) -> bool:
        """Keep a page; returns whether there is any use in reading on at once: something was kept, or missed."""
        lanes = self._lanes
        before = rest.cursor
        refused = False
        for row in rows:
            if rest.lowered is not None and rest.lowered < place_of(row):
                break  # or it would overtake what has just left its lane
            if row.id not in self._busy and row.id not in lanes:
                leaving = lanes.push(row)
                for left in leaving:
                    self._leave(left)
                refused = row in leaving
                if refused:
                    break
            rest.cursor = place_of(row)
        if rest.lowered is not None and rest.lowered < rest.cursor:
            rest.cursor = rest.lowered
        if last and not refused and rest.lowered is None and not rest.missed:
            del self._beyond[account]
            return True
        if len(rest.lanes) < MOST_LANES:
            rest.lanes.update(map(lane_of, rows))
        return rest.missed or rest.cursor > before

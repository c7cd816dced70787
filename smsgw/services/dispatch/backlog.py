"""The messages that wait for one connector: all of them in the store, the first ones also in memory, in a fair queue.

For each account a cursor divides the rows in the store. Rows above it may be in the store only; rows up to it are in
memory or no longer queued. A message that leaves memory moves the cursor down to just below itself. While an account
has a cursor, a new message of a lane with rows above it stays in the store, so that the lane keeps its order; a new
message of another lane is kept in memory at once, so that a one-off code does not wait for a campaign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.interfaces import IMessageStore
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.message import Message
from smsgw.services.dispatch.fairqueue import FairQueue, Key, lane_of

Place = tuple[int, int]
"""Where a row stands in the store's order: (-priority, id)."""

START: Final[Place] = (-(1 << 31), 0)
"""Before every row."""

MOST_LANES: Final = 10_000
"""Lanes per account that are remembered as having rows in the store only; further lanes may lose their order."""

_log = Logger()


def place_of(message: Message) -> Place:
    """The place of a message in the store's order."""
    return -message.priority, message.id


@attrs.define(eq=False)
class _Beyond:
    """The rows of one account that are in the store only."""

    cursor: Place
    lanes: set[Key] = attrs.field(factory=set)
    lowered: Place | None = None
    """The lowest place to which the cursor moved down while a page is read."""
    missed: bool = False
    """Whether a new message stayed in the store while a page was read; the page may not contain it."""


class Backlog:
    """The waiting messages of one connector.

    :param capacity: parts of messages kept in memory. :param page: rows read from the store at once, at most.
    :param filled: called after the messages of a page were added to memory.
    :param claiming: ids of messages whose claim is under way; a page may still contain them and is then out of date.
    """

    def __init__(
        self,
        connector: str,
        store: IMessageStore,
        filled: Callable[[], None],
        claiming: AbstractSet[int],
        *,
        capacity: int = 20_000,
        page: int = 1_000,
    ) -> None:
        self._connector = connector
        self._store = store
        self._filled = filled
        self._claiming = claiming
        self._page = page
        self._queue = FairQueue(capacity)
        self._beyond: dict[str, _Beyond] = {}
        self._reading = False

    def __len__(self) -> int:
        """How many messages are in memory."""
        return len(self._queue)

    @property
    def empty(self) -> bool:
        """Whether no message waits, in memory or in the store."""
        return not self._queue and not self._beyond

    def add(self, messages: Iterable[Message]) -> None:
        """Keep messages that are queued in the store and due, as many as memory has room for."""
        beyond = self._beyond
        push = self._queue.push
        for message in messages:
            if message.account in beyond:
                rest = beyond[message.account]
                if place_of(message) > rest.cursor and lane_of(message) in rest.lanes:
                    rest.missed = True
                    continue
            for left in push(message):
                self._leave(left)

    def _leave(self, message: Message) -> None:
        """Note that `message` is in the store only from now on."""
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
        """The next messages in turn, as :meth:`.FairQueue.take` chooses them. They leave memory; :meth:`refill` reads
        others."""
        return self._queue.take(room, whole)

    def remove(self, ids: Iterable[int]) -> None:
        """Remove messages that are no longer queued."""
        self._queue.remove(ids)

    def load(self) -> Deferred[None]:
        """At start: ask the store which accounts have waiting messages, and read the first pages."""

        def counted(waiting: dict[str, int]) -> Deferred[None] | None:
            for account in waiting:
                self._beyond[account] = _Beyond(START)
            return self._read_next()

        return self._store.queue_depth(self._connector).addCallback(counted)

    def refill(self) -> None:
        """Read a page for the account with the fewest parts in memory, if there is room for a page."""
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
            self._filled()
            return self._read_next() if of_use else None

        def failed(failure: Failure) -> Failure:
            self._reading = False
            return failure

        reading = self._store.queue_page(self._connector, account, rest.cursor, limit)
        return reading.addCallbacks(read, failed)

    def _neediest(self) -> tuple[str, int] | None:
        """The account with the fewest parts in memory that has rows in the store only, and how many rows to read."""
        queue = self._queue
        if not self._beyond:
            return None
        share = queue.capacity // len(self._beyond.keys() | set(queue.accounts()))
        enough = min(self._page, max(1, share // 2))
        account = min(self._beyond, key=queue.count)
        wanted = max(queue.capacity - queue.size, share - queue.count(account))
        return (account, min(self._page, wanted)) if wanted >= enough else None

    def _take_in(self, account: str, rest: _Beyond, rows: Sequence[Message], last: bool) -> bool:
        """Add a page to memory. Returns whether to read on at once: a message was added, or may have been missed."""
        queue = self._queue
        before = rest.cursor
        refused = False
        for row in rows:
            if rest.lowered is not None and rest.lowered < place_of(row):
                break  # or it would overtake the messages that just left its lane
            if row.id not in self._claiming and row.id not in queue:
                leaving = queue.push(row)
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

"""Keeps outcomes that the store did not take, in order, and has them committed again after a pause."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.model.changes import PartEnded, Requeued
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.lifecycle import State
from smsgw.model.pacing import back_off
from smsgw.services.dispatch.outcomes import Change, OutcomeBatch, batch_of
from smsgw.services.dispatch.retrypolicy import end

FIRST_PAUSE: Final = 0.1
"""Seconds before outcomes are committed again after a failure; doubled after each further failure."""

LONGEST_PAUSE: Final = 5.0
"""The longest of these pauses, in seconds."""

PATIENCE: Final = 3
"""How often a batch of outcomes may fail before each outcome is committed alone; and how often an outcome alone may
fail, while others are stored, before it is given up."""

_log = Logger()


@attrs.define(eq=False)
class Attempt:
    """A batch on its way into the store.

    :ivar successes: how many commits of the connector had succeeded when this batch was made or last failed.
    :ivar failures: how often this batch failed.
    :ivar strikes: how often it failed although another commit had succeeded since its last failure.
    """

    batch: OutcomeBatch
    successes: int
    failures: int = 0
    strikes: int = 0


class Retries:
    """The failed batches of one connector.

    After a failure new batches wait too, so that the outcomes of a message are stored in the order in which they came.

    :param retry: called when the pause is over; it commits what :meth:`take` gives.
    :ivar waiting: whether a pause is under way: new outcomes have to wait for its end. Changed here only.
    """

    def __init__(self, connector: str, clock: IReactorTime, retry: Callable[[], None]) -> None:
        self._connector = connector
        self._clock = clock
        self._retry = retry
        self._kept: list[Attempt] = []
        self.waiting = False
        self._in_a_row = 0
        self._successes = 0

    @property
    def empty(self) -> bool:
        """Whether no batch is kept."""
        return not self._kept

    def attempt(self, batch: OutcomeBatch) -> Attempt:
        """An attempt for a batch that is about to be committed for the first time."""
        return Attempt(batch, self._successes)

    def keep(self, batch: OutcomeBatch) -> None:
        """Keep a new batch until the pause is over, behind the batches that are kept already."""
        self._kept.append(self.attempt(batch))

    def stored(self) -> None:
        """A commit of the connector succeeded."""
        self._in_a_row = 0
        self._successes += 1

    def failed(self, attempt: Attempt) -> None:
        """A commit failed: keep its batch, and begin a pause if none is under way."""
        if attempt.batch.changes:
            self._kept.append(attempt)
            attempt.failures += 1
            if attempt.successes < self._successes:
                attempt.successes = self._successes
                attempt.strikes += 1
        if not self.waiting:
            self.waiting = True
            self._in_a_row += 1
            pause = back_off(self._in_a_row, FIRST_PAUSE, LONGEST_PAUSE)
            self._clock.callLater(pause, self._over)

    def _over(self) -> None:
        self.waiting = False
        self._retry()

    def take(self) -> Iterator[Attempt]:
        """The batches to be committed now, in order. A batch without changes only frees its slots."""
        kept, self._kept = self._kept, []
        for attempt in kept:
            yield from self._split(attempt)

    def _split(self, attempt: Attempt) -> Iterator[Attempt]:
        """The same batch; or each change alone, so that a change that cannot be stored does not block the others.

        A change that fails repeatedly while others are stored cannot be stored: its part ends UNKNOWN.
        """
        batch = attempt.batch
        changes, freed, unreserved = batch.changes, batch.freed, batch.unreserved
        if len(changes) > 1 and attempt.failures >= PATIENCE:
            for change in changes[:-1]:
                share = min(1, freed)
                freed -= share
                yield self.attempt(batch_of([change], share))
            yield self.attempt(batch_of([changes[-1]], freed, unreserved))
        elif len(changes) == 1 and attempt.strikes >= PATIENCE:
            yield self.attempt(batch_of(self._given_up(changes[0]), freed, unreserved))
        else:
            yield attempt

    def _given_up(self, change: Change) -> list[Change]:
        """The change that replaces one that cannot be stored: the part ends UNKNOWN; none if that cannot be stored."""
        given_up = isinstance(change, PartEnded) and change.state is State.UNKNOWN
        _log.error(
            "an outcome of {connector} for message {id} cannot be stored; its state {will}",
            connector=self._connector,
            id=change.message.id,
            will="is in doubt until the next start" if given_up else "will be unknown",
        )
        if given_up:
            return []
        seq = 0 if isinstance(change, Requeued) else change.seq
        return [*end(change.message, [seq], State.UNKNOWN, ErrorCode.NO_RECEIPT)]

"""Outcomes that the store did not take: kept in order, and committed again after a pause."""

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
"""Seconds before outcomes that the store did not take are committed again; doubled each time."""

LONGEST_PAUSE: Final = 5.0
"""Seconds that this pause never exceeds."""

PATIENCE: Final = 3
"""How often outcomes are committed together before each is tried alone; and how often one that is alone may fail while
others are stored before it is given up."""

_log = Logger()


@attrs.define(eq=False)
class Attempt:
    """A batch on its way into the store.

    :ivar successes: of all commits of the connector, counted when this batch was made or failed last.
    :ivar failures: how often this batch failed.
    :ivar strikes: how often it failed after others had been stored since the last time.
    """

    batch: OutcomeBatch
    successes: int
    failures: int = 0
    strikes: int = 0


class Retries:
    """What failed of one connector's commits.

    After a failure everything new waits too, so that outcomes of a message are stored in the order in which they came.

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
        """Whether nothing is kept."""
        return not self._kept

    def attempt(self, batch: OutcomeBatch) -> Attempt:
        """A batch that is about to be committed for the first time."""
        return Attempt(batch, self._successes)

    def keep(self, batch: OutcomeBatch) -> None:
        """Commit this too when the pause is over, behind what is kept already."""
        self._kept.append(self.attempt(batch))

    def stored(self) -> None:
        """A commit of the connector succeeded."""
        self._in_a_row = 0
        self._successes += 1

    def failed(self, attempt: Attempt) -> None:
        """A commit failed: its outcomes are kept, and a pause begins if none is under way."""
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
        """What is to be committed now, in order. A batch without changes only frees its slots."""
        kept, self._kept = self._kept, []
        for attempt in kept:
            yield from self._again(attempt)

    def _again(self, attempt: Attempt) -> Iterator[Attempt]:
        """The same; or each change alone, so that one that cannot be stored stops no others.

        A change that fails again and again while others are stored is such a one: what the upstream said cannot be
        written down, so the part ends unknown.
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
        """What is stored instead of a change that cannot be; nothing if it is that already."""
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

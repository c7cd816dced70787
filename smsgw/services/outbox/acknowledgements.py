"""Acknowledgements and retries of events, committed in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Changes, Committed, Retry
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.message import Event

EXPECTED: Final = (StoreDown, UnknownOutcome)
"""The failures that a store may report; the outbox tries again and logs no traceback."""

_log = Logger()


class Acknowledgements:
    """Commits acknowledged events together with events to be tried again; one commit at a time.

    :param stored: called with the acknowledged events of each commit that succeeded.
    :param failed: called after each commit that failed. Acknowledged events are kept for the next commit; the retries
        are dropped, and their times are then known in memory only.
    """

    def __init__(
        self, store: IMessageStore, stored: Callable[[Sequence[Event]], None], failed: Callable[[], None]
    ) -> None:
        self._store = store
        self._report_stored = stored
        self._report_failed = failed
        self._acknowledged: list[Event] = []
        self._retries: list[Retry] = []
        self._committing = False
        self._waiting = False

    @property
    def idle(self) -> bool:
        """Whether no acknowledgement waits for a commit."""
        return not (self._committing or self._acknowledged or self._retries)

    @property
    def waiting(self) -> bool:
        """Whether a commit failed; the next one begins after :meth:`try_again`."""
        return self._waiting

    def add(self, events: Sequence[Event]) -> None:
        """Delete acknowledged events from the store with the next commit."""
        self._acknowledged += events

    def retry(self, event: Event, due: float) -> None:
        """Store with the next commit that `event` is to be tried again at the absolute time `due`."""
        self._retries.append(Retry(event, due))

    def try_again(self) -> None:
        """End the pause after a failed commit."""
        self._waiting = False

    def drop(self) -> None:
        """Drop all acknowledgements: their events stay in the store and are delivered again after the next start."""
        self._acknowledged.clear()
        self._retries.clear()

    def flush(self) -> None:
        """Commit what waits; if a commit is under way, when that one ends."""
        if self._committing or not (self._acknowledged or self._retries):
            return
        acknowledged, self._acknowledged = self._acknowledged, []
        retries, self._retries = self._retries, []
        self._committing = True
        self._store.commit(Changes(acknowledged=acknowledged, retries=retries)).addCallbacks(
            self._stored, self._failed, callbackArgs=(acknowledged,), errbackArgs=(acknowledged,)
        ).addErrback(lambda failure: _log.failure("forgetting events failed", failure))

    def _stored(self, _: Committed, acknowledged: Sequence[Event]) -> None:
        self._committing = self._waiting = False
        self.flush()
        self._report_stored(acknowledged)

    def _failed(self, failure: Failure, acknowledged: list[Event]) -> None:
        self._committing = False
        self._waiting = True
        self._acknowledged[:0] = acknowledged
        if not isinstance(failure.value, EXPECTED):
            _log.failure(
                "{count} acknowledged events cannot be forgotten; tried again", failure, count=len(acknowledged)
            )
        self._report_failed()

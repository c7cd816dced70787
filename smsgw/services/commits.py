"""Commits for all services, and the only place that hands the events of a commit to the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Changes, Committed, Ending
from smsgw.model.lifecycle import State
from smsgw.model.message import Event
from smsgw.services.metrics import ServiceMetrics

_WORDS: Final = tuple(state.word for state in State)

_log = Logger()


class EventSink(Protocol):
    """Takes new events: the outbox."""

    def occurred(self, events: Sequence[Event]) -> None:
        """Take `events`, which were just committed, in the order in which they occurred."""


class EndingSink(Protocol):
    """Takes the endings of messages: the message log."""

    def ended(self, endings: Sequence[Ending]) -> None:
        """Take `endings`, which were just committed, in order. Does not block."""


@attrs.define(eq=False)
class Commits:
    """All services except the outbox commit through this object; the changes of the outbox create no events, and end no
    message.

    :ivar log: takes the endings of messages, if the store lists them; None for none.
    """

    store: IMessageStore
    outbox: EventSink
    metrics: ServiceMetrics = attrs.field(factory=ServiceMetrics)
    log: EndingSink | None = None

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """Commit `changes` as :meth:`smsgw.interfaces.IMessageStore.commit` does, then hand the events to the outbox.

        The caller's callbacks run after that. An exception of the outbox is logged and does not reach the caller:
        the events are stored, and the outbox reads them from the store later.
        """
        return self.store.commit(changes).addCallback(self._announce)

    def match_parked(self, limit: int) -> Deferred[Committed]:
        """Call :meth:`smsgw.interfaces.IMessageStore.match_parked`, then hand its events to the outbox."""
        return self.store.match_parked(limit).addCallback(self._announce)

    def _announce(self, committed: Committed) -> Committed:
        ended = self.metrics.ended
        for (account, connector, state), messages in committed.ended.items():
            ended[account, connector, _WORDS[state]] += messages
        if committed.endings and self.log is not None:
            self.log.ended(committed.endings)
        if committed.events:
            try:
                self.outbox.occurred(committed.events)
            except Exception:  # noqa: BLE001 - the events are stored; a fault of the outbox must not stop the caller
                _log.failure("the outbox did not take {count} events", count=len(committed.events))
        return committed

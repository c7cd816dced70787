"""What upstreams state about parts: stored with the event for the sender before it is acknowledged upstream."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Protocol

import attrs
from prometheus_client import Counter
from twisted.internet.defer import Deferred

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Changes, Committed, Reported
from smsgw.model.message import DeliveryReport, Event
from smsgw.telemetry import Children


class EventSink(Protocol):
    """Whoever tells the senders."""

    def occurred(self, events: Sequence[Event]) -> None:
        """These events were committed just now."""


@attrs.define(eq=False)
class Receipts:
    """Takes receipts in.

    :ivar counts: receipts by connector and result.
    """

    store: IMessageStore
    outbox: EventSink
    counts: Children[Counter]

    def receipts(self, connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """Store them: new states and events to the senders in one commit.

        :raises StoreDown: or UnknownOutcome, through the Deferred: the upstream shall repeat them.
        """

        def stored(committed: Committed) -> None:
            for result, count in collections.Counter(committed.receipts).items():
                self.counts[connector, result].inc(count)
            if committed.events:
                self.outbox.occurred(committed.events)

        reported = [Reported(connector, report) for report in reports]
        return self.store.commit(Changes(receipts=reported)).addCallback(stored)

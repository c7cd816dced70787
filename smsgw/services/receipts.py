"""Receipts of upstreams, stored together with the event for the sender before the upstream gets its answer."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred

from smsgw.model.changes import Changes, Committed, Reported
from smsgw.model.message import DeliveryReport
from smsgw.services.commits import Commits
from smsgw.telemetry import Counts


@attrs.define(eq=False)
class Receipts:
    """Stores receipts.

    :ivar counts: receipts by connector and result.
    """

    commits: Commits
    counts: Counts

    def receipts(self, connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """Store receipts: the new states and the events for the senders in one commit.

        :raises StoreDown: or UnknownOutcome, through the Deferred: the upstream shall repeat them.
        """

        def stored(committed: Committed) -> None:
            results = committed.receipts
            for result in set(results):
                self.counts[connector, result] += results.count(result)

        reported = [Reported(connector, report) for report in reports]
        return self.commits.commit(Changes(receipts=reported)).addCallback(stored)

"""Metrics of the outbox."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from smsgw.telemetry import Counts


class OutboxMetrics:
    """The metrics of one outbox.

    :param registry: exposes the metrics; None: they are counted and not exposed.
    :ivar acknowledged: by return path. :ivar retried: by return path. :ivar requeued: by return path.
    :ivar held: a gauge that reads the outbox at every scrape.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.acknowledged = Counts(
            "smsgw_events_acknowledged_total", "Events that their receiver acknowledged.", ["path"], registry=registry
        )
        self.retried = Counts(
            "smsgw_events_put_off_total", "Events that their receiver could not take.", ["path"], registry=registry
        )
        self.requeued = Counts(
            "smsgw_events_returned_total", "Events under way when their session went.", ["path"], registry=registry
        )
        self.held = Gauge("smsgw_events_held", "Events in memory, of all accounts and return paths.", registry=registry)

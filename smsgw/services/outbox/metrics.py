"""What the outbox counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from smsgw.telemetry import Children


class OutboxMetrics:
    """Of one outbox.

    :param registry: where the metrics are shown, None for nowhere.
    :ivar told: by return path. :ivar put_off: by return path. :ivar returned: by return path.
    :ivar held: read from the outbox when it is asked for.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.told = Children(
            Counter(
                "smsgw_events_told_total", "Events that their receiver acknowledged.", ["path"], registry=registry
            )
        )
        self.put_off = Children(
            Counter(
                "smsgw_events_put_off_total", "Events that their receiver could not take.", ["path"], registry=registry
            )
        )
        self.returned = Children(
            Counter(
                "smsgw_events_returned_total", "Events under way when their session went.", ["path"], registry=registry
            )
        )
        self.held = Gauge(
            "smsgw_events_held", "Events in memory, of all accounts and return paths.", registry=registry
        )

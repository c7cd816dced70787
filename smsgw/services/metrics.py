"""What the services count that are no packages of their own: accounts, incoming, sweep."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from smsgw.telemetry import Children


class ServiceMetrics:
    """Shared by these services.

    :param registry: where the metrics are shown, None for nowhere.
    :ivar logins_refused: by protocol and refusal.
    :ivar received: by connector, kind and result.
    :ivar overdue: by final state. :ivar purged: messages. :ivar given_up: events.
    :ivar sweep_failures: by step of the sweep.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.logins_refused = Children(
            Counter("smsgw_logins_refused_total", "Logins refused.", ["protocol", "refusal"], registry=registry)
        )
        self.received = Children(
            Counter(
                "smsgw_received_total",
                "What came from subscribers: messages, calls and keys, stored or refused as nobody's.",
                ["connector", "what", "result"],
                registry=registry,
            )
        )
        self.overdue = Children(
            Counter(
                "smsgw_overdue_total",
                "Messages or parts that waited too long, by the state they ended in.",
                ["state"],
                registry=registry,
            )
        )
        self.purged = Counter("smsgw_purged_total", "Messages deleted after their time.", registry=registry)
        self.given_up = Counter(
            "smsgw_events_given_up_total", "Events that nobody took within event_keep.", registry=registry
        )
        self.sweep_failures = Children(
            Counter(
                "smsgw_sweep_failures_total", "Steps of the sweep that failed, by step.", ["step"], registry=registry
            )
        )

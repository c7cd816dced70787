"""Metrics of accounts, incoming and sweep."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from smsgw.telemetry import Counts


class ServiceMetrics:
    """The metrics of these services.

    :param registry: exposes the metrics; None: they are counted and not exposed.
    :ivar logins_refused: by protocol and refusal.
    :ivar received: by connector, kind and result.
    :ivar ended: messages, by account, connector and final state.
    :ivar overdue: by final state. :ivar purged: messages. :ivar given_up: events.
    :ivar sweep_failures: by step of the sweep. :ivar clock_jump: seconds, read at export.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.logins_refused = Counts(
            "smsgw_logins_refused_total", "Logins refused.", ["protocol", "refusal"], registry=registry
        )
        self.received = Counts(
            "smsgw_received_total",
            "Messages, calls and keys from subscribers: stored, or refused because no account takes them.",
            ["connector", "what", "result"],
            registry=registry,
        )
        self.ended = Counts(
            "smsgw_messages_ended_total",
            "Messages that reached a final state (delivered, undeliverable, rejected ...).",
            ["account", "connector", "state"],
            registry=registry,
        )
        self.overdue = Counts(
            "smsgw_overdue_total",
            "Messages or parts that waited too long, by the state they ended in.",
            ["state"],
            registry=registry,
        )
        self.purged = Counts("smsgw_purged_total", "Messages deleted after their time.", registry=registry)
        self.given_up = Counts(
            "smsgw_events_given_up_total", "Events that no client took within event_keep.", registry=registry
        )
        self.sweep_failures = Counts(
            "smsgw_sweep_failures_total", "Steps of the sweep that failed, by step.", ["step"], registry=registry
        )
        self.clock_jump = Gauge(
            "smsgw_clock_jump_seconds",
            "Seconds by which the wall clock is ahead (negative: behind) since a jump that is not accepted.",
            registry=registry,
        )

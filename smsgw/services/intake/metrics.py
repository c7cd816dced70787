"""Metrics of intake."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from smsgw.telemetry import Counts


class IntakeMetrics:
    """The metrics of one intake.

    :param registry: exposes the metrics; None: they are counted and not exposed.
    :ivar accepted: messages, by account. :ivar refused: submissions, by account and refusal.
    :ivar repeated: submissions, by account.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.accepted = Counts("smsgw_accepted_total", "Messages accepted, by account.", ["account"], registry=registry)
        self.refused = Counts(
            "smsgw_refused_total",
            "Submissions refused, by account and reason.",
            ["account", "reason"],
            registry=registry,
        )
        self.repeated = Counts(
            "smsgw_repeated_total",
            "Submissions whose idempotency key was used before: answered, not sent again.",
            ["account"],
            registry=registry,
        )

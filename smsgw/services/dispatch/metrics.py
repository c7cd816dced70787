"""Metrics of dispatch."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from smsgw.telemetry import Counts, Distributions, Gauges

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class DispatchMetrics:
    """The metrics of one dispatch.

    :param registry: exposes the metrics; None: they are counted and not exposed.
    :ivar outcomes: by connector and outcome. :ivar stray_outcomes: by connector.
    :ivar ambiguous: parts, by connector. :ivar resends: parts, by connector.
    :ivar receipts: by connector and result.
    :ivar exceptions: by connector and name of the attribute or method. :ivar latency: seconds, by connector.
    :ivar up: by connector, 0 or 1; this gauge and the next four read their values at every scrape.
    :ivar paused: by connector, 0 or 1. :ivar room: parts, by connector.
    :ivar without_connector: messages, by the name of the connector that they wait for.
    :ivar waiting: messages, by connector. :ivar outstanding: parts, by connector.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.outcomes = Counts(
            "smsgw_outcomes_total",
            "Answers of upstreams to the parts sent to them.",
            ["connector", "outcome"],
            registry=registry,
        )
        self.stray_outcomes = Counts(
            "smsgw_stray_outcomes_total",
            "Outcomes that a connector gave for parts it did not have.",
            ["connector"],
            registry=registry,
        )
        self.ambiguous = Counts(
            "smsgw_ambiguous_total",
            "Parts written to an upstream, or about to be, whose answer never came.",
            ["connector"],
            registry=registry,
        )
        self.resends = Counts(
            "smsgw_ambiguous_resends_total",
            "Parts sent again although they may have been taken before.",
            ["connector"],
            registry=registry,
        )
        self.latency = Distributions(
            "smsgw_upstream_seconds",
            "Time from the sending of a part to the upstream's answer.",
            "connector",
            _SECONDS,
            registry=registry,
        )
        self.receipts = Counts(
            "smsgw_receipts_total",
            "Receipts of upstreams: matched, parked (the part is not known yet), repeated or ignored (changes "
            "nothing).",
            ["connector", "result"],
            registry=registry,
        )
        self.exceptions = Counts(
            "smsgw_connector_exceptions_total",
            "Exceptions of a connector's code, which is a fault of the connector.",
            ["connector", "method"],
            registry=registry,
        )
        self.up = Gauges(
            "smsgw_connector_up", "Whether the link of a connector is usable.", ["connector"], registry=registry
        )
        self.paused = Gauges(
            "smsgw_connector_paused", "Whether an administrator has paused a connector.", ["connector"],
            registry=registry,
        )
        self.room = Gauges(
            "smsgw_connector_room", "Parts that a connector takes now.", ["connector"], registry=registry
        )
        self.waiting = Gauges(
            "smsgw_waiting_in_memory", "Messages that wait in memory for room.", ["connector"], registry=registry
        )
        self.outstanding = Gauges(
            "smsgw_outstanding",
            "Parts a connector has and did not answer yet.",
            ["connector"],
            registry=registry,
        )
        self.without_connector = Gauges(
            "smsgw_without_connector",
            "Messages that wait for a connector that is not configured any more, and have no other route.",
            ["connector"],
            registry=registry,
        )

    def forget(self, connector: str) -> None:
        """Show no link and no queue of a connector any more; its counts stay."""
        for gauge in (self.up, self.paused, self.room, self.waiting, self.outstanding):
            gauge.forget(connector)

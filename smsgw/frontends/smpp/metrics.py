"""The metrics of the SMPP front ends."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from smsgw.telemetry import Counts, Gauges


class BindMetrics:
    """The metrics of all SMPP listeners.

    :param registry: exports the metrics; None: they are not exported.
    :ivar binds: by account. :ivar receipts_refused: by account.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.binds = Gauges("smsgw_smpp_binds", "SMPP sessions bound, by account.", ["account"], registry=registry)
        self.receipts_refused = Counts(
            "smsgw_smpp_receipts_refused_total",
            "Receipts that an ESME answered with a permanent error.",
            ["account"],
            registry=registry,
        )

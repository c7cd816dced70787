"""The metrics of the SMPP front ends."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from smsgw.telemetry import Children


class BindMetrics:
    """The metrics of all SMPP listeners.

    :param registry: exports the metrics; None: they are not exported.
    :ivar binds: by account. :ivar receipts_refused: by account.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.binds = Children(
            Gauge("smsgw_smpp_binds", "SMPP sessions bound, by account.", ["account"], registry=registry)
        )
        self.receipts_refused = Children(
            Counter(
                "smsgw_smpp_receipts_refused_total",
                "Receipts that an ESME answered with a permanent error.",
                ["account"],
                registry=registry,
            )
        )

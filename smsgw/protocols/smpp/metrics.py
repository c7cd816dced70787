"""The metrics of SMPP sessions."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from smsgw.telemetry import Counts


class SmppMetrics:
    """The metrics of all sessions that share this object.

    :param registry: where the metrics are shown, None for nowhere.
    :ivar pdus_read: PDUs read. :ivar unanswered: requests without a response in time. :ivar faults: by kind of fault.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.pdus_read = Counts(
            "smsgw_smpp_pdus_read_total", "SMPP PDUs read, good or bad, of all sessions.", registry=registry
        )
        self.unanswered = Counts(
            "smsgw_smpp_unanswered_total", "Requests to SMPP peers whose response timer ran out.", registry=registry
        )
        self.faults = Counts("smsgw_smpp_faults_total", "What SMPP peers did wrong.", ["fault"], registry=registry)

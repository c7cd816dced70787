"""The metrics of HTTP sites."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from smsgw.telemetry import Counts


class HttpMetrics:
    """The metrics of the sites that share this object.

    :param registry: exports the metrics; None: they are not exported.
    :ivar answers: responses by status, as three digits.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.answers = Counts(
            "smsgw_http_answers_total", "Responses to HTTP requests, by status.", ["status"], registry=registry
        )

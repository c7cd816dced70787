"""What HTTP sites count."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from smsgw.telemetry import Children


class HttpMetrics:
    """Of all sites that share it.

    :param registry: where the metrics are shown, None for nowhere.
    :ivar answers: by status, as three digits.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.answers = Children(
            Counter("smsgw_http_answers_total", "Answers to HTTP requests, by status.", ["status"], registry=registry)
        )

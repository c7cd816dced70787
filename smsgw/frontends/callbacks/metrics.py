"""The metrics of callbacks."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from smsgw.telemetry import Counts, Distribution

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class CallbackMetrics:
    """The metrics of one callback path.

    :param registry: exports the metrics; None: they are not exported.
    :ivar callbacks: by dialect and result. :ivar seconds: of one HTTP request.
    :ivar receivers_down: read from the callback path at export.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.callbacks = Counts(
            "smsgw_callbacks_total",
            "Callback requests, by dialect and result: 2xx, 3xx, 4xx, 5xx, no answer, refused.",
            ["dialect", "result"],
            registry=registry,
        )
        self.seconds = Distribution(
            "smsgw_callback_seconds",
            "Time from the start of a callback request to its response.",
            _SECONDS,
            registry=registry,
        )
        self.receivers_down = Gauge(
            "smsgw_callback_receivers_down",
            "Receivers of callbacks whose requests pause after failures.",
            registry=registry,
        )

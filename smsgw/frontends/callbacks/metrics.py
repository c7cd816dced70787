"""What callbacks count."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from smsgw.telemetry import Children

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class CallbackMetrics:
    """Of one callback path.

    :param registry: where the metrics are shown, None for nowhere.
    :ivar callbacks: by form and result. :ivar seconds: of one HTTP request.
    :ivar receivers_down: read from the callback path when it is asked for.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.callbacks = Children(
            Counter(
                "smsgw_callbacks_total",
                "Calls that told of an event, by form and by what came of them: 2xx, 3xx, 4xx, 5xx, no answer, "
                "refused.",
                ["form", "result"],
                registry=registry,
            )
        )
        self.seconds = Histogram(
            "smsgw_callback_seconds",
            "Time from the beginning of a call to its answer.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.receivers_down = Gauge(
            "smsgw_callback_receivers_down",
            "Receivers of callbacks that are left alone for a while.",
            registry=registry,
        )

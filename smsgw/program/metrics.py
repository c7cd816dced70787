"""What the program as a whole counts, and the registry of all metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from smsgw.telemetry import Children


def new_registry() -> CollectorRegistry:
    """A registry for one gateway, with what its process uses."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class ProgramMetrics:
    """Of one gateway.

    :param registry: where the metrics are shown, None for nowhere.
    :ivar reloads: by result, ``taken`` or ``refused``. :ivar sessions: by listener, read when it is asked for.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.reloads = Children(
            Counter(
                "smsgw_config_reloads_total",
                "Times the configuration was taken anew.",
                ["result"],
                registry=registry,
            )
        )
        self.sessions = Children(
            Gauge("smsgw_sessions", "Connections that are open, by listener.", ["listener"], registry=registry)
        )

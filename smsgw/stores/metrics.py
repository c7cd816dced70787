"""Metrics of stores."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from smsgw.telemetry import Counts, Distribution

_CALLS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)


class StoreMetrics:
    """The metrics of one store.

    :param registry: exposes the metrics; None: they are counted and not exposed.
    :ivar commits: by result, ``done`` or ``failed``. :ivar calls: calls per commit. :ivar seconds: per commit.
    :ivar disk_free: octets. :ivar disk_short: 1 while new messages are refused for that. :ivar lost_commits: at the
        last start.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.commits = Counts(
            "smsgw_store_commits_total", "Commits of the store, by how they ended.", ["result"], registry=registry
        )
        self.calls = Distribution(
            "smsgw_store_commit_calls", "Calls that shared one commit.", _CALLS, registry=registry
        )
        self.seconds = Distribution("smsgw_store_commit_seconds", "How long commits took.", _SECONDS, registry=registry)
        self.disk_free = Gauge(
            "smsgw_store_disk_free_octets", "Octets free on the disk of the store.", registry=registry
        )
        self.disk_short = Gauge(
            "smsgw_store_disk_short",
            "Whether new messages are refused because the disk is nearly full.",
            registry=registry,
        )
        self.lost_commits = Gauge(
            "smsgw_store_lost_commits",
            "Commits that the last start could not read, because the log was damaged or lost.",
            registry=registry,
        )

"""Metrics of stores."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from smsgw.telemetry import Counts, Distribution

_CALLS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)


class StoreMetrics:
    """The metrics of one store.

    :param registry: exposes the metrics; None: they are counted and not exposed.
    :ivar commits: by result, ``done`` or ``failed``. :ivar calls: calls per commit. :ivar seconds: per commit.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.commits = Counts(
            "smsgw_store_commits_total", "Commits of the store, by how they ended.", ["result"], registry=registry
        )
        self.calls = Distribution(
            "smsgw_store_commit_calls", "Calls that shared one commit.", _CALLS, registry=registry
        )
        self.seconds = Distribution("smsgw_store_commit_seconds", "How long commits took.", _SECONDS, registry=registry)

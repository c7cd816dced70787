"""The metrics of the store, measured at every scrape."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge

from smsgw.model.lifecycle import State


class StoredMetrics:
    """The metrics of one store.

    :param registry: where the metrics are shown, None for nowhere.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._up = Gauge("smsgw_store_up", "Whether the store answers.", registry=registry)
        self._messages = Gauge("smsgw_messages", "Messages that are stored, by state.", ["state"], registry=registry)

    def take(self, counts: Mapping[int, int] | None) -> None:
        """Set the numbers of messages by state; None: the store does not answer, and the numbers are removed."""
        self._up.set(counts is not None)
        self._messages.clear()
        if counts is not None:
            for state in State:
                self._messages.labels(state.word).set(counts.get(state, 0))

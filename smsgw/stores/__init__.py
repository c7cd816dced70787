"""Stores: what all engines share, pure; and the engines."""

from smsgw.stores.metrics import StoreMetrics
from smsgw.stores.store import MessageStore

__all__ = ["MessageStore", "StoreMetrics"]

"""Stores: the rules that all engines share, which are pure; and the engines."""

from smsgw.stores.metrics import StoreMetrics
from smsgw.stores.store import MessageStore

__all__ = ["MessageStore", "StoreMetrics"]

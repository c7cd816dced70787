"""Passes accepted messages to connectors, and the outcomes of connectors to the store."""

from smsgw.services.dispatch.dispatch import Dispatch

__all__ = ["Dispatch"]

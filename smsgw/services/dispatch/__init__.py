"""From accepted messages to connectors, and from their outcomes back to the store."""

from smsgw.services.dispatch.dispatch import Dispatch

__all__ = ["Dispatch"]

"""The simulated SMSC: a connector that takes every message and reports it delivered, or misbehaves as it is told to.

It is for trying the gateway without an operator, for tests and for measurements, and it keeps every rule of
:class:`~smsgw.interfaces.IConnector`.
"""

from smsgw.connectors.loopback.behaviour import LoopbackSettings
from smsgw.connectors.loopback.connector import Loopback

__all__ = ["Loopback", "LoopbackSettings"]

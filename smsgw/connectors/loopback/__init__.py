"""The simulated SMSC: a connector that takes every message and reports it delivered, or misbehaves as configured.

It serves to try the gateway without an operator, for tests and for measurements. It follows every rule of
:class:`~smsgw.interfaces.IConnector`.
"""

from smsgw.connectors.loopback.behaviour import LoopbackSettings
from smsgw.connectors.loopback.connector import Loopback

__all__ = ["Loopback", "LoopbackSettings"]

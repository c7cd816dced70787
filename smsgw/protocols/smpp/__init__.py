"""SMPP over a Twisted transport: the message centre's and the ESME's end of a session, without policy."""

from smsgw.protocols.smpp.client import Esme, SmppClient, SmppClientFactory
from smsgw.protocols.smpp.metrics import SmppMetrics
from smsgw.protocols.smpp.server import SmppServer, SmppServerFactory
from smsgw.protocols.smpp.settings import SessionSettings, SmppClientSettings, SmppServerSettings

__all__ = [
    "Esme",
    "SessionSettings",
    "SmppClient",
    "SmppClientFactory",
    "SmppClientSettings",
    "SmppMetrics",
    "SmppServer",
    "SmppServerFactory",
    "SmppServerSettings",
]

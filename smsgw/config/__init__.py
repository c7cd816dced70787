"""The configuration: from the text of gw.ini to frozen, documented settings, and back to a sample.

Nothing here reads a file or imports Twisted; the caller brings the text, its name for messages, and the settings
classes of the connectors. A connector of your own subclasses `ConnectorSettings` and declares its keys with `fields`.
"""

from __future__ import annotations

from smsgw.config import fields
from smsgw.config.configuration import Settings
from smsgw.config.dialects import PRESETS
from smsgw.config.errors import ConfigErrors, Fault, Finding, Origin, Unfit
from smsgw.config.listeners import (
    LISTEN_TYPES,
    AdminListenSettings,
    DoorSettings,
    HttpListenSettings,
    ListenSettings,
    SmppListenSettings,
    SmtpListenSettings,
)
from smsgw.config.parse import parse
from smsgw.config.sample import sample
from smsgw.config.settings import (
    DOORS,
    AccountSettings,
    ConnectorSettings,
    GatewaySettings,
    ListSettings,
    NumberSettings,
    OperatorSettings,
    RouteSettings,
    SectionSettings,
    SenderSettings,
)
from smsgw.config.values import AllowList, Globs, Secret, Way

__all__ = [
    "DOORS",
    "LISTEN_TYPES",
    "PRESETS",
    "AccountSettings",
    "AdminListenSettings",
    "AllowList",
    "ConfigErrors",
    "ConnectorSettings",
    "DoorSettings",
    "Fault",
    "Finding",
    "GatewaySettings",
    "Globs",
    "HttpListenSettings",
    "ListSettings",
    "ListenSettings",
    "NumberSettings",
    "OperatorSettings",
    "Origin",
    "RouteSettings",
    "Secret",
    "SectionSettings",
    "SenderSettings",
    "Settings",
    "SmppListenSettings",
    "SmtpListenSettings",
    "Unfit",
    "Way",
    "fields",
    "parse",
    "sample",
]

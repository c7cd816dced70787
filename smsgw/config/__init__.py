"""The configuration: from the text of gw.ini to frozen, documented settings, and back to a sample.

Nothing here reads a file or imports Twisted; the caller brings the text, its name for messages, and the settings
classes of the connectors. A connector of your own subclasses `ConnectorSettings` and declares its keys with `fields`.
"""

from __future__ import annotations

from smsgw.config import fields
from smsgw.config.configuration import Settings
from smsgw.config.dialects import PRESETS
from smsgw.config.errors import ConfigErrors, Conflict, InvalidValue, Origin, Problem
from smsgw.config.listeners import (
    LISTEN_TYPES,
    AdminListenSettings,
    ClientListenSettings,
    HttpListenSettings,
    ListenSettings,
    SmppListenSettings,
    SmtpListenSettings,
)
from smsgw.config.parse import parse
from smsgw.config.sample import sample
from smsgw.config.settings import (
    PROTOCOLS,
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
    "LISTEN_TYPES",
    "PRESETS",
    "PROTOCOLS",
    "AccountSettings",
    "AdminListenSettings",
    "AllowList",
    "ClientListenSettings",
    "ConfigErrors",
    "Conflict",
    "ConnectorSettings",
    "GatewaySettings",
    "Globs",
    "HttpListenSettings",
    "InvalidValue",
    "ListSettings",
    "ListenSettings",
    "NumberSettings",
    "OperatorSettings",
    "Origin",
    "Problem",
    "RouteSettings",
    "Secret",
    "SectionSettings",
    "SenderSettings",
    "Settings",
    "SmppListenSettings",
    "SmtpListenSettings",
    "Way",
    "fields",
    "parse",
    "sample",
]

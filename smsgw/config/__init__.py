"""The configuration: from the text of gw.ini to frozen, documented settings, and back to a sample.

The package is pure: it reads no file and does not import Twisted. The caller passes the text, the file name for
messages, the settings classes of the connectors, and the dialects. A connector of another package subclasses
`ConnectorSettings` and declares its keys with `fields`.
"""

from __future__ import annotations

from smsgw.config import fields
from smsgw.config.configuration import Settings
from smsgw.config.errors import ConfigErrors, Conflict, InvalidValue, Origin, Problem
from smsgw.config.listeners import (
    LISTEN_TYPES,
    AdminListenSettings,
    ClientListenSettings,
    ConnectionLimits,
    HttpListenSettings,
    ListenSettings,
    SessionSettings,
    SmppListenSettings,
    SmppServerSettings,
    SmtpListenSettings,
    SubmissionSettings,
    WebLimits,
)
from smsgw.config.parse import parse
from smsgw.config.reference import reference
from smsgw.config.sample import sample
from smsgw.config.settings import (
    PROTOCOLS,
    AccountSettings,
    ConnectorSettings,
    GatewaySettings,
    ListSettings,
    NumberSettings,
    OperatorSettings,
    Preset,
    RouteSettings,
    SectionSettings,
    SenderSettings,
)
from smsgw.config.values import AllowList, Globs, Secret, Way

__all__ = [
    "LISTEN_TYPES",
    "PROTOCOLS",
    "AccountSettings",
    "AdminListenSettings",
    "AllowList",
    "ClientListenSettings",
    "ConfigErrors",
    "Conflict",
    "ConnectionLimits",
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
    "Preset",
    "Problem",
    "RouteSettings",
    "Secret",
    "SectionSettings",
    "SenderSettings",
    "SessionSettings",
    "Settings",
    "SmppListenSettings",
    "SmppServerSettings",
    "SmtpListenSettings",
    "SubmissionSettings",
    "Way",
    "WebLimits",
    "fields",
    "parse",
    "reference",
    "sample",
]

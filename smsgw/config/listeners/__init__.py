"""The [listen NAME] sections: one class of settings for each protocol, chosen by `protocol =`.

The protocols take these objects as they are: a key is declared once, in the file of its protocol, for the sample file,
the checks of the configuration and the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping

from smsgw.config.listeners.common import AdminListenSettings, ClientListenSettings, ConnectionLimits, ListenSettings
from smsgw.config.listeners.http import HttpListenSettings, WebLimits
from smsgw.config.listeners.smpp import SessionSettings, SmppListenSettings, SmppServerSettings
from smsgw.config.listeners.smtp import SmtpListenSettings, SubmissionSettings

__all__ = [
    "LISTEN_TYPES",
    "AdminListenSettings",
    "ClientListenSettings",
    "ConnectionLimits",
    "HttpListenSettings",
    "ListenSettings",
    "SessionSettings",
    "SmppListenSettings",
    "SmppServerSettings",
    "SmtpListenSettings",
    "SubmissionSettings",
    "WebLimits",
]

LISTEN_TYPES: Mapping[str, type[ListenSettings]] = {
    "smpp": SmppListenSettings,
    "smtp": SmtpListenSettings,
    "http": HttpListenSettings,
    "admin": AdminListenSettings,
}
"""The settings class for each `protocol =`."""

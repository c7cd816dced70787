"""The [listen NAME] sections: one class of settings for each protocol, chosen by `protocol =`.

Each is at once what the protocol itself is made with: a key is declared in the file of its protocol, and the sample
file, the checks of the configuration and the protocol have it.
"""

from __future__ import annotations

from collections.abc import Mapping

from smsgw.config.listeners.common import AdminListenSettings, ClientListenSettings, ListenSettings
from smsgw.config.listeners.http import HttpListenSettings, WebLimits
from smsgw.config.listeners.smpp import SessionSettings, SmppListenSettings, SmppServerSettings
from smsgw.config.listeners.smtp import SmtpListenSettings, SubmissionSettings

__all__ = [
    "LISTEN_TYPES",
    "AdminListenSettings",
    "ClientListenSettings",
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

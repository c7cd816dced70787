"""Complete settings from some sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smsgw.config import (
    AccountSettings,
    ConnectorSettings,
    GatewaySettings,
    ListenSettings,
    NumberSettings,
    OperatorSettings,
    RouteSettings,
    SenderSettings,
    Settings,
)
from smsgw.config.settings import ListSettings, SectionSettings

KINDS: Mapping[str, type[SectionSettings]] = {
    "accounts": AccountSettings,
    "connectors": ConnectorSettings,
    "lists": ListSettings,
    "listeners": ListenSettings,
    "numbers": NumberSettings,
    "operators": OperatorSettings,
    "senders": SenderSettings,
}


def configured(*sections: SectionSettings, **gateway: Any) -> Settings:
    """Return the settings of these sections, and of these keys of [gateway]."""
    by_kind: dict[str, Any] = {
        kind: {one.name: one for one in sections if isinstance(one, settings)} for kind, settings in KINDS.items()
    }
    routes = tuple(one for one in sections if isinstance(one, RouteSettings))
    return Settings(gateway=GatewaySettings(**gateway), routes=routes, **by_kind)

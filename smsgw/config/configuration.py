"""A whole configuration file as one value."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from smsgw.config.errors import Problem
from smsgw.config.listeners import ListenSettings
from smsgw.config.settings import (
    AccountSettings,
    ConnectorSettings,
    GatewaySettings,
    ListSettings,
    NumberSettings,
    OperatorSettings,
    RouteSettings,
    SenderSettings,
)


@attrs.frozen(kw_only=True)
class Settings:
    """The settings of all sections of gw.ini, by free name and in file order.

    Two values are equal if all their settings are equal; places in the file and warnings are not compared.
    """

    gateway: GatewaySettings = attrs.field(factory=GatewaySettings)
    listeners: Mapping[str, ListenSettings] = attrs.field(factory=dict)
    accounts: Mapping[str, AccountSettings] = attrs.field(factory=dict)
    connectors: Mapping[str, ConnectorSettings] = attrs.field(factory=dict)
    routes: tuple[RouteSettings, ...] = ()
    senders: Mapping[str, SenderSettings] = attrs.field(factory=dict)
    operators: Mapping[str, OperatorSettings] = attrs.field(factory=dict)
    numbers: Mapping[str, NumberSettings] = attrs.field(factory=dict)
    lists: Mapping[str, ListSettings] = attrs.field(factory=dict)
    warnings: tuple[Problem, ...] = attrs.field(default=(), eq=False)

    @property
    def exposed(self) -> tuple[ListenSettings, ...]:
        """The listeners that other machines can reach."""
        return tuple(listener for listener in self.listeners.values() if not listener.on_loopback)

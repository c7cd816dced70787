"""Tells the gateway that there are connectors of type acme."""

from __future__ import annotations

from smsgw.plugins import LazyConnector

acme = LazyConnector("acme", "acmesms.connector.AcmeConnector", "acmesms.settings.AcmeSettings")

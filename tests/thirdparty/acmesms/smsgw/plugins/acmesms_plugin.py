"""Declares the connector type acme to the gateway."""

from __future__ import annotations

from smsgw.plugins import LazyConnector

acme = LazyConnector("acme", "acmesms.connector.AcmeConnector", "acmesms.settings.AcmeSettings")

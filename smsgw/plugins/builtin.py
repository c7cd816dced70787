"""The connectors that come with the gateway."""

from __future__ import annotations

from smsgw.plugins import LazyConnector

loopback = LazyConnector(
    "loopback", "smsgw.connectors.loopback.Loopback", "smsgw.connectors.loopback.LoopbackSettings"
)
http = LazyConnector(
    "http", "smsgw.connectors.http.connector.HttpConnector", "smsgw.connectors.http.settings.HttpConnectorSettings"
)
smtp = LazyConnector("smtp", "smsgw.connectors.smtp.SmtpConnector", "smsgw.connectors.smtp.SmtpConnectorSettings")

"""The connectors and dialects of smsgw."""

from __future__ import annotations

from smsgw.plugins import LazyConnector, LazyDialect

loopback = LazyConnector(
    "loopback", "smsgw.connectors.loopback.Loopback", "smsgw.connectors.loopback.LoopbackSettings"
)
http = LazyConnector(
    "http", "smsgw.connectors.http.connector.HttpConnector", "smsgw.connectors.http.settings.HttpConnectorSettings"
)
smtp = LazyConnector("smtp", "smsgw.connectors.smtp.SmtpConnector", "smsgw.connectors.smtp.SmtpConnectorSettings")

standard = LazyDialect("standard", "smsgw.dialects.standard.STANDARD")
quicktel = LazyDialect("quicktel", "smsgw.dialects.quicktel.QUICKTEL")
rostelecom = LazyDialect("rostelecom", "smsgw.dialects.rostelecom.ROSTELECOM")
smsc = LazyDialect("smsc", "smsgw.dialects.smsc.SMSC")
native = LazyDialect("native", "smsgw.dialects.native.NATIVE")

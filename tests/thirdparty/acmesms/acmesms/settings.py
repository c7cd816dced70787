"""The section of an ACME connector in gw.ini."""

from __future__ import annotations

import attrs

from smsgw.config import ConnectorSettings, Secret, fields


@attrs.frozen(kw_only=True)
class AcmeSettings(ConnectorSettings):
    """ACME's message centre, which speaks lines of text over TCP."""

    endpoint: str = fields.text("where ACME listens, as a Twisted client endpoint", "tcp:localhost:7000")
    key: Secret = fields.secret("the key that ACME gave us")
    patience: float = fields.duration("without an answer for so long the link is given up", "60s", at_least=1)

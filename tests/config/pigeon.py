"""Settings of a connector of a third party, and the sections of a small file that uses them."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from smsgw.config import Conflict, ConnectorSettings, Globs, Secret, fields
from smsgw.dialects import NATIVE, QUICKTEL, ROSTELECOM, SMSC, STANDARD


@attrs.frozen(kw_only=True)
class PigeonSettings(ConnectorSettings):
    """Pigeon post."""

    window: int = fields.integer("pigeons in the air", 3, at_least=1, at_most=9)
    loft: str = fields.text("where they live")
    rest: float = fields.duration("between two flights", "10m")
    hawks: Globs = fields.globs("numbers that none ever reaches")
    whistle: Secret | None = fields.secret("calls them back", None)

    def check(self) -> Iterator[Conflict]:
        """Yield also a rest longer than the longest retry pause."""
        yield from super().check()
        if self.rest > self.retry_limit:
            yield Conflict("rest", "longer than retry_limit", ("retry_limit",))


TYPES: dict[str, type[ConnectorSettings]] = {"pigeon": PigeonSettings}

DIALECTS = {dialect.name: dialect for dialect in (STANDARD, QUICKTEL, ROSTELECOM, SMSC, NATIVE)}

SMPP = "[listen smpp]\nprotocol = smpp\nendpoint = tcp:2775:interface=127.0.0.1\n"
ACCOUNT = "[account demo]\npassword = demo\nallow_from = any\n"
CONNECTOR = "[connector sim]\ntype = pigeon\nloft = roof\n"
ROUTE = "[route default]\nconnectors = sim\n"

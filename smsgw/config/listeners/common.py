"""What every section [listen NAME] has, and the administrator's listener."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from smsgw.config import fields, types
from smsgw.config.endpoint import ENDPOINT, take_apart
from smsgw.config.errors import Conflict
from smsgw.config.settings import Preset, SectionSettings

WORD = types.text(32, r"[a-z0-9_-]+", "a word")


@attrs.frozen(kw_only=True)
class ListenSettings(SectionSettings):
    """A place where the gateway listens."""

    protocol: str = fields.declare(WORD, "smpp, smtp, http or admin", "")
    endpoint: str = fields.declare(ENDPOINT, "where to listen, as Twisted writes it; interface= limits who can connect")

    @property
    def on_loopback(self) -> bool:
        """Tell whether only this machine can connect."""
        return take_apart(self.endpoint).on_loopback


@attrs.frozen(kw_only=True)
class AdminListenSettings(ListenSettings):
    """/health, /metrics and what `python -m smsgw` talks to. It asks for no password."""

    protocol: str = fields.declare(WORD, "smpp, smtp, http or admin", "admin")

    def check(self) -> Iterator[Conflict]:
        """Yield a fault when others than this machine could reach it."""
        if not take_apart(self.endpoint).on_loopback:
            yield Conflict("endpoint", "the admin listener has no password, so it must be on loopback; allowed: "
                           "interface=127.0.0.1 or unix:PATH")


@attrs.frozen(kw_only=True)
class ClientListenSettings(ListenSettings):
    """A listener over which accounts hand messages in."""

    dialect: str = fields.declare(WORD, "whose manner is spoken: a preset for the other keys here")
    tls: str = fields.choice("none, or implicit (from the first octet)", ("none", "implicit"), "none")
    certificate: Path | None = fields.path(
        "PEM file; empty with TLS on: a self-signed pair made in state, with a warning", None)
    key: Path | None = fields.path("PEM file of the certificate's key", None)

    @classmethod
    def presets(cls, given: Mapping[str, object], dialects: Mapping[str, Preset]) -> Mapping[str, object]:
        """Give what the dialect sets; nothing for a dialect that is not there, or not for this protocol."""
        defaults = attrs.fields_dict(cls)
        dialect = str(given.get("dialect", defaults["dialect"].default))
        if dialect not in dialects:
            return {}
        return dialects[dialect].settings(str(defaults["protocol"].default)) or {}

    def wrong_dialect(self, dialects: Mapping[str, Preset]) -> str:
        """Say what is wrong with the dialect; nothing when the protocol has it."""
        if self.dialect in dialects and dialects[self.dialect].settings(self.protocol) is not None:
            return ""
        what = f"is not available for {self.protocol}" if self.dialect in dialects else "is not a dialect"
        available = [name for name in dialects if dialects[name].settings(self.protocol) is not None]
        return f'"{self.dialect}" {what}; allowed: {", ".join(available)}'

    def check(self) -> Iterator[Conflict]:
        """Yield half a certificate."""
        if self.certificate and not self.key:
            yield Conflict("key", "certificate is given, so its key is needed", ("certificate",))
        if self.key and not self.certificate:
            yield Conflict("certificate", "key is given, so its certificate is needed", ("key",))

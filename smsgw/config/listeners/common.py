"""The keys of every section [listen NAME], and the administrator's listener."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from smsgw.config import fields
from smsgw.config.endpoint import ENDPOINT, take_apart
from smsgw.config.errors import Conflict
from smsgw.config.fields import Declared
from smsgw.config.settings import WORD, Preset, SectionSettings, find_dialect, usable_dialects


@attrs.frozen(kw_only=True, slots=False)
class ConnectionLimits:
    """Connections of a listener at once that have not authenticated. At a limit the oldest of the source that has most
    gives way to a new one.

    :ivar unauthenticated: from addresses that no account lists in ``allow_from``.
    :ivar unauthenticated_listed: from addresses that an account lists.
    :ivar unauthenticated_per_source: from one IPv4 address or 64 bits of IPv6 addresses.
    """

    unauthenticated: int = 1000
    unauthenticated_listed: int = 500
    unauthenticated_per_source: int = 200


@attrs.frozen(kw_only=True)
class ListenSettings(SectionSettings):
    """A listener: an endpoint and the protocol that it serves."""

    protocol: str = fields.declare(WORD, "smpp, smtp, http or admin", "")
    endpoint: str = fields.declare(ENDPOINT, "endpoint in Twisted's form; interface= limits which machines can connect")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return take_apart(self.endpoint).on_loopback


@attrs.frozen(kw_only=True)
class AdminListenSettings(ListenSettings):
    """/health, /metrics and the administrator's API, which `smsgw` uses. It has no password."""

    protocol: str = fields.declare(WORD, "smpp, smtp, http or admin", "admin")

    def check(self) -> Iterator[Conflict]:
        """Yield an endpoint that other machines can reach."""
        if not take_apart(self.endpoint).on_loopback:
            yield Conflict("endpoint", "the admin listener has no password, so it must be on loopback; allowed: "
                           "interface=127.0.0.1 or unix:PATH")


@attrs.frozen(kw_only=True)
class ClientListenSettings(ListenSettings):
    """A listener over which accounts submit messages."""

    dialect: str = fields.declare(WORD, "dialect of the clients, which sets defaults of other keys")
    tls: str = fields.choice("none, or implicit (from the first octet)", ("none", "implicit"), "none")
    certificate: Path | None = fields.path(
        "PEM file; empty with TLS on: a self-signed pair made in state, with a warning", None)
    key: Path | None = fields.path("PEM file of the certificate's key", None)

    @classmethod
    def presets(cls, given: Mapping[str, object], dialects: Mapping[str, Preset]) -> Mapping[str, object]:
        """Return the dialect's defaults; empty if the dialect does not exist or does not support this protocol."""
        defaults = attrs.fields_dict(cls)
        dialect = str(given.get("dialect", defaults["dialect"].default))
        found, _ = find_dialect(dialect, dialects)
        return (found.settings(str(defaults["protocol"].default)) if found is not None else None) or {}

    @classmethod
    def missing(cls, key: Declared, dialects: Mapping[str, Preset]) -> str:
        """Return the dialects for the protocol, where none is given."""
        if key.key != "dialect":
            return super().missing(key, dialects)
        return f"; allowed: {', '.join(_available(str(attrs.fields_dict(cls)['protocol'].default), dialects))}"

    def check_dialect(self, dialects: Mapping[str, Preset]) -> Iterator[Conflict]:
        """Yield a dialect that does not exist, cannot be loaded, or does not support the protocol."""
        found, why = find_dialect(self.dialect, dialects)
        if found is None or found.settings(self.protocol) is None:
            what = f"is not available for {self.protocol}" if self.dialect in dialects else "is not a dialect"
            able = usable_dialects(dialects, lambda one: one.settings(self.protocol) is not None)
            yield Conflict("dialect", why or f'"{self.dialect}" {what}; allowed: {able}')

    def check(self) -> Iterator[Conflict]:
        """Yield a certificate without a key, or a key without a certificate."""
        if self.certificate and not self.key:
            yield Conflict("key", "certificate is given, so its key is needed", ("certificate",))
        if self.key and not self.certificate:
            yield Conflict("certificate", "key is given, so its certificate is needed", ("key",))


def _available(protocol: str, dialects: Mapping[str, Preset]) -> list[str]:
    """Return the dialects that support the protocol."""
    return [name for name in dialects if dialects[name].settings(protocol) is not None]

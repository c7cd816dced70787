"""The [listen NAME] sections: one class of settings for each protocol, chosen by `protocol =`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from smsgw.config import fields, types
from smsgw.config.dialects import PRESETS, wrong_dialect
from smsgw.config.endpoint import ENDPOINT, take_apart
from smsgw.config.errors import Conflict
from smsgw.config.settings import SectionSettings

_DOMAIN = types.text(253, r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
                     "a domain in small Latin letters")
_WORD = types.text(32, r"[a-z0-9_-]+", "a word")
_SYSTEM_ID = types.text(15, r"[!-~]*", "at most 15 visible ASCII characters")


@attrs.frozen(kw_only=True)
class ListenSettings(SectionSettings):
    """A place where the gateway listens."""

    protocol: str = fields.declare(_WORD, "smpp, smtp, http or admin", "")
    endpoint: str = fields.declare(ENDPOINT, "where to listen, as Twisted writes it; interface= limits who can connect")

    @property
    def on_loopback(self) -> bool:
        """Tell whether only this machine can connect."""
        return take_apart(self.endpoint).on_loopback


@attrs.frozen(kw_only=True)
class AdminListenSettings(ListenSettings):
    """/health, /metrics and what `python -m smsgw` talks to. It asks for no password."""

    protocol: str = fields.declare(_WORD, "smpp, smtp, http or admin", "admin")

    def check(self) -> Iterator[Conflict]:
        """Yield a fault when others than this machine could reach it."""
        if not take_apart(self.endpoint).on_loopback:
            yield Conflict("endpoint", "the admin listener has no password, so it must be on loopback; allowed: "
                        "interface=127.0.0.1 or unix:PATH")


@attrs.frozen(kw_only=True)
class ClientListenSettings(ListenSettings):
    """A listener over which accounts hand messages in."""

    dialect: str = fields.declare(_WORD, "whose manner is spoken: a preset for the other keys here")
    tls: str = fields.choice("none, or implicit (from the first octet)", ("none", "implicit"), "none")
    certificate: Path | None = fields.path(
        "PEM file; empty with TLS on: a self-signed pair made in state, with a warning", None)
    key: Path | None = fields.path("PEM file of the certificate's key", None)

    @classmethod
    def presets(cls, given: Mapping[str, object]) -> Mapping[str, object]:
        """Give what the dialect sets."""
        defaults = attrs.fields_dict(cls)
        protocol, dialect = (given.get(name, defaults[name].default) for name in ("protocol", "dialect"))
        return PRESETS.get(str(protocol), {}).get(str(dialect), {})

    def check(self) -> Iterator[Conflict]:
        """Yield a dialect that the protocol does not have, and half a certificate."""
        if wrong := wrong_dialect(self.protocol, self.dialect):
            yield Conflict("dialect", wrong, ("protocol",))
        if self.certificate and not self.key:
            yield Conflict("key", "certificate is given, so its key is needed", ("certificate",))
        if self.key and not self.certificate:
            yield Conflict("certificate", "key is given, so its certificate is needed", ("key",))


@attrs.frozen(kw_only=True)
class SmppListenSettings(ClientListenSettings):
    """Where ESMEs bind."""

    protocol: str = fields.declare(_WORD, "smpp, smtp, http or admin", "smpp")
    dialect: str = fields.declare(_WORD, "whose manner is spoken: a preset for the other keys here", "standard")
    system_id: str = fields.declare(_SYSTEM_ID, "answered in bind_resp", "smsgw")
    connections: int = fields.integer("binds of one account at once", 10, at_least=1)
    deliver_window: int = fields.integer("deliver_sm of a session sent and not yet answered, at most", 100, at_least=1,
                                         at_most=10_000)
    session_init: float = fields.duration("time to bind after connecting", "10s", at_least=0.1)
    enquire_link: float = fields.duration("an enquire_link of our own after so long without a PDU; 0 = none", "45s")
    inactivity: float = fields.duration("a session without any PDU for so long is closed; 0 = never", "2m")
    response: float = fields.duration("time for the answer to a request of ours", "30s", at_least=0.1)
    window: int = fields.integer("requests of a session under way before reading stops", 2000, at_least=1)
    pdu_limit: int = fields.octets("the longest PDU; a longer one closes the session", "128K", at_least=1024,
                                   at_most=16 << 20)

    def check(self) -> Iterator[Conflict]:
        """Yield also timers of which one would never run."""
        yield from super().check()
        if 0 < self.inactivity <= self.enquire_link:
            yield Conflict("enquire_link", "must be shorter than inactivity, or 0", ("inactivity",))


@attrs.frozen(kw_only=True)
class SmtpListenSettings(ClientListenSettings):
    """Where mail programs hand messages in."""

    protocol: str = fields.declare(_WORD, "smpp, smtp, http or admin", "smtp")
    tls: str = fields.choice("none, optional (STARTTLS), demanded (STARTTLS before AUTH) or implicit",
                             ("none", "optional", "demanded", "implicit"), "none")
    domains: tuple[str, ...] = fields.texts("NUMBER@ these domains is a recipient", entry=_DOMAIN, at_least=1)
    auth_without_tls: bool = fields.flag("passwords may come in clear; empty: the dialect's (quicktel yes)", False)
    full_stop: bool = fields.flag('the acceptance line ends with a full stop: "250 33 message accepted."', False)
    text_limit: int = fields.integer("the longest text in characters; empty: the dialect's (quicktel 480)", 480,
                                     at_least=1)
    auth_tries: int = fields.integer("failed logins before the session is closed", 3, at_least=1)
    recipients: int = fields.integer("recipients of one message", 100, at_least=1, at_most=10_000)
    messages: int = fields.integer("messages in one session", 10_000, at_least=1)
    mail_limit: int = fields.octets("the longest mail", "1M", at_least=1024, at_most=64 << 20)
    inactivity: float = fields.duration("time for the next command", "1m", at_least=1)
    data_time: float = fields.duration("time for a whole mail to arrive after DATA", "2m", at_least=1)

    def check(self) -> Iterator[Conflict]:
        """Yield also a listener over which no client could log in."""
        yield from super().check()
        if self.tls == "none" and not self.auth_without_tls:
            yield Conflict("auth_without_tls", "nobody could log in: with tls = none it must be yes", ("tls",))


@attrs.frozen(kw_only=True)
class HttpListenSettings(ClientListenSettings):
    """Where programs hand messages in as JSON."""

    protocol: str = fields.declare(_WORD, "smpp, smtp, http or admin", "http")
    body_limit: int = fields.octets("the longest request body", "64K", at_least=1024, at_most=16 << 20)
    header_time: float = fields.duration("time for the head of a request", "10s", at_least=0.1)
    body_time: float = fields.duration("time for the body of a request", "30s", at_least=0.1)
    inactivity: float = fields.duration("a connection without a request for so long is closed", "30s", at_least=1)
    requests: int = fields.integer("requests on one connection", 10_000, at_least=1)


LISTEN_TYPES: Mapping[str, type[ListenSettings]] = {
    "smpp": SmppListenSettings,
    "smtp": SmtpListenSettings,
    "http": HttpListenSettings,
    "admin": AdminListenSettings,
}
"""The settings class for each `protocol =`."""

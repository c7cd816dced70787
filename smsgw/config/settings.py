"""The sections of gw.ini except listeners as frozen settings; each key is documented at its declaration."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Protocol

import attrs

from smsgw.config import fields, types
from smsgw.config.errors import Conflict, InvalidValue, Origin, Problem
from smsgw.config.fields import Declared
from smsgw.config.types import Kind
from smsgw.config.values import AllowList, Globs, Secret, Way

PROTOCOLS = ("smpp", "smtp", "http")
"""The protocols over which an account may submit messages."""

WORD = types.text(32, r"[a-z0-9_-]+", "a word")
"""Allowed words for a protocol or a dialect."""

NAME = types.text(64, r"[A-Za-z0-9][A-Za-z0-9._-]*", "a name of Latin letters, digits, points, dashes and underscores")
"""Allowed names of a listener, a connector, a route, an operator or a node."""

LOGIN = types.text(64, r"[!-9;-~]+", "a login of visible ASCII characters without a colon")
"""Allowed account names. The name is the login over every protocol: HTTP Basic excludes the colon, the providers
allow ASCII only."""

_SENDER = r"\+?[0-9]{1,15}|(?! )[ -+.-~-]{1,11}(?<! )"
_SENDER_WORDS = "a number of at most 15 digits or a name of at most 11 ASCII characters without a comma"

SENDER = types.text(16, _SENDER, f"a sender: {_SENDER_WORDS}")
"""A sender's number or name."""

OURS = types.text(15, r"[1-9][0-9]{2,14}", "3 to 15 digits in international form, without a plus")
"""A number of an account: a full number or a short code."""

_CONTACT = types.text(30, r"[0-9+() -]+", "a phone number")
_OWNER = types.text(64, r"[!-9;-~]*", "the name of an account")
_URL = types.text(2048, r"(https?://[!-~]+)?", "a URL that begins with http:// or https://")
_HOST = types.text(253, r"[A-Za-z0-9.:\[\]-]+", "a host name or address")

_AGREED = types.text(16, rf"\*|{_SENDER}", f"* or a sender: {_SENDER_WORDS}")
_MAIL_ADDRESS = types.text(254, r"[!-+.-~-]+@[A-Za-z0-9.-]+", "an e-mail address")
_PASSWORD_HASH = types.secret_like(
    r"scrypt\$[0-9]+\$[0-9]+\$[0-9]+\$[A-Za-z0-9+/=_-]+\$[A-Za-z0-9+/=_-]+",
    "a hash as printed by smsgw hash-password",
)
_KEY_HASH = types.secret_like(r"[0-9a-f]{64}", "64 hexadecimal digits as printed by smsgw make-key")


def _store(value: str) -> str:
    if value != "sqlite:":
        scheme = value.partition(":")[0]
        raise InvalidValue(f"{scheme}: is not a store that is available; allowed: sqlite:")
    return value


_STORE = Kind("sqlite:", _store, str, "")


class CallbackCheck(Protocol):
    """The part of a dialect's callbacks that the configuration uses (:class:`smsgw.dialects.CallbackManner`)."""

    @property
    def check(self) -> Callable[[str], object]:
        """A function that raises ValueError for a URL that cannot be used."""


class Preset(Protocol):
    """The part of a dialect that the configuration uses (:class:`smsgw.dialects.Dialect`)."""

    @property
    def callback(self) -> CallbackCheck | None:
        """How the dialect sends callbacks; None if it does not."""

    def settings(self, protocol: str) -> Mapping[str, object] | None:
        """Return defaults for a listener of `protocol`, by attribute, which replace those declared here; None if the
        dialect does not support the protocol."""


def find_dialect(name: str, dialects: Mapping[str, Preset]) -> tuple[Preset | None, str]:
    """Return the dialect of this name, None if there is none or it cannot be loaded; and the reason of the latter."""
    try:
        return dialects.get(name), ""
    except InvalidValue as error:
        return None, str(error)


def usable_dialects(dialects: Mapping[str, Preset], suits: Callable[[Preset], bool]) -> str:
    """Return the names of the dialects that can be loaded and for which `suits` is true, with commas between."""
    found = {name: find_dialect(name, dialects)[0] for name in dialects}
    return ", ".join(name for name, one in found.items() if one is not None and suits(one))


@attrs.frozen(kw_only=True)
class SectionSettings:
    """What the settings of every section share: the free name in the brackets and the place in the file."""

    NAMED: ClassVar[Kind[str]] = NAME

    name: str = ""
    origin: Origin = attrs.field(factory=Origin, eq=False, repr=False)

    @classmethod
    def presets(cls, given: Mapping[str, object], dialects: Mapping[str, Preset]) -> Mapping[str, object]:
        """Return defaults, by attribute, that depend on the given keys and replace the declared ones."""
        return {}

    @classmethod
    def missing(cls, key: Declared, dialects: Mapping[str, Preset]) -> str:
        """Return what a required key may be, to follow the words that a value is needed."""
        return f": {key.kind.allowed}"

    def check(self) -> Iterator[Conflict]:
        """Yield the contradictions between keys of this section. Subclasses add their own."""
        return iter(())

    def check_dialect(self, dialects: Mapping[str, Preset]) -> Iterator[Conflict]:
        """Yield the contradictions between this section and the dialect that it names."""
        return iter(())

    def problem(self, key: str, what: str) -> Problem:
        """Return a problem of a key of this section, at its line in the file."""
        return self.origin.problem(key, what)


@attrs.frozen(kw_only=True)
class GatewaySettings(SectionSettings):
    """The gateway as a whole."""

    state: Path = fields.path("directory of the store, keys and lock; made at start", "var")
    store: str = fields.declare(_STORE, "where messages are stored; sqlite: is a database in the state directory",
                                "sqlite:")
    node: str = fields.declare(NAME, "the name of this node", "gw1")
    log: str = fields.choice("how log lines are written: text or json", ("text", "json"), "text")
    message_log: Path | None = fields.path(
        "a file that gets one line of JSON for each message that reached a final state; empty: none", None)
    message_log_private: bool = fields.flag("yes: its lines have the texts and whole numbers of the messages", False)
    country: str = fields.choice("how national numbers are read: 8XXXXXXXXXX -> 7XXXXXXXXXX", ("ru",), "ru")
    timezone: zoneinfo.ZoneInfo = fields.timezone("the zone of dates in receipts", "Europe/Moscow")
    keep: float = fields.duration("final messages are deleted after this, in small batches", "30d", at_least=1)
    event_keep: float = fields.duration(
        "an event that no client took in this time becomes a dead letter, which smsgw replay sends again", "7d",
        at_least=1)
    idempotency: float = fields.duration("how long an idempotency key is remembered", "24h",
                                         at_least=1)
    report_timeout: float = fields.duration(
        "a message without a receipt (DLR) for this time after sending becomes unknown", "24h", at_least=1)
    drain: float = fields.duration("how long a stop waits for outstanding answers", "15s", at_most=20)


@attrs.frozen(kw_only=True)
class AccountSettings(SectionSettings):
    """An account, which may submit messages. The free name is the login."""

    NAMED: ClassVar[Kind[str]] = LOGIN

    password: Secret | None = fields.secret("password in clear text; password_hash is safer", None)
    password_hash: Secret | None = fields.secret(
        "scrypt hash of the password, printed by smsgw hash-password; replaces password", None, kind=_PASSWORD_HASH)
    smpp_password: Secret | None = fields.secret("a separate password for SMPP", None)
    api_key_hash: Secret | None = fields.secret(
        "hash of an API key, both made by smsgw make-key; the client sends an empty login and the key as password",
        None, kind=_KEY_HASH)
    enabled: bool = fields.flag("whether the account may log in", True)
    protocols: tuple[str, ...] = fields.choices("protocols that it may use", PROTOCOLS, "smpp, smtp, http")
    senders: tuple[str, ...] = fields.texts("allowed sender names and numbers; * = any valid one", "", entry=_AGREED)
    default_sender: str = fields.declare(SENDER, "sender of messages that have none", "")
    aliases: Mapping[str, str] = fields.pairs("e-mail sender:sender name", left=_MAIL_ADDRESS, right=SENDER)
    allow_from: AllowList = fields.networks("IP addresses and networks of the clients, or any; empty refuses all")
    rate: float = fields.number("parts per second over all protocols; 0 = unlimited", 0)
    connections: int | None = fields.integer("simultaneous SMPP sessions; empty: the listener's", None, at_least=1)
    validity: float = fields.duration("validity period of a message that has none", "24h", at_least=1)
    callback: str = fields.declare(_URL, "URL for reports and incoming messages; empty: none", "")
    callback_dialect: str = fields.declare(
        WORD, "rostelecom (GET, never repeated); smsc (POST) and native (JSON, signed) are repeated until they succeed",
        "rostelecom")
    callback_key: Secret | None = fields.secret(
        "key to sign native callbacks (HMAC-SHA256); during a change of keys two, separated by a comma", None)
    callback_hosts: tuple[str, ...] = fields.texts(
        "hosts allowed for callback URLs in messages; empty: only that of callback", "", entry=_HOST)

    def check(self) -> Iterator[Conflict]:
        """Yield the mistakes that prevent the account from logging in or from using its senders."""
        common = self.password or self.password_hash or self.api_key_hash
        if self.password and self.password_hash:
            yield Conflict("password_hash", "password is given too; only one of them is allowed", ("password",))
        if not common and (not self.smpp_password or self.protocols != ("smpp",)):
            yield Conflict(
                "password",
                "no credentials; one of password, password_hash and api_key_hash is needed",
                ("password_hash", "smpp_password", "api_key_hash", "protocols"),
            )
        allowed = f"; allowed: {', '.join(self.senders) or 'none, as senders is empty'}"
        if "*" not in self.senders:
            if self.default_sender and self.default_sender not in self.senders:
                yield Conflict("default_sender", f'"{self.default_sender}" is not among senders{allowed}', ("senders",))
            for sender in self.aliases.values():
                if sender not in self.senders:
                    yield Conflict("aliases", f'"{sender}" is not among senders{allowed}', ("senders",))

    def check_dialect(self, dialects: Mapping[str, Preset]) -> Iterator[Conflict]:
        """Yield a dialect that does not exist, cannot be loaded or has no callbacks, or a URL that it cannot use."""
        named = self.callback_dialect
        found, why = find_dialect(named, dialects)
        manner = found.callback if found is not None else None
        if manner is None:
            what = "has no callbacks" if named in dialects else "is not a dialect"
            able = usable_dialects(dialects, lambda one: one.callback is not None)
            yield Conflict("callback_dialect", why or f'"{named}" {what}; allowed: {able}')
        elif self.callback:
            try:
                manner.check(self.callback)
            except ValueError as error:
                yield Conflict("callback", str(error), ("callback_dialect",))


@attrs.frozen(kw_only=True)
class ConnectorSettings(SectionSettings):
    """A connector to an upstream. These keys are common to all types; the settings class of its `type` adds others.

    :cvar EXAMPLE: values of keys, in the form of the file, with which ``smsgw sample --all`` shows the section.
    """

    EXAMPLE: ClassVar[Mapping[str, str]] = {}

    type: str = fields.declare(NAME, "type of the connector; plugins add types", "")
    window: int = fields.integer("highest number of parts sent and not yet answered", 100, at_least=1, at_most=100_000)
    rate: float = fields.number("parts per second; 0 = unlimited", 0)
    on_unknown: str = fields.choice(
        "a part without a response is sent again (resend), kept until it expires (hold) or ends as unknown (fail)",
        ("resend", "hold", "fail"), "resend")
    refuse_after: float | None = fields.duration_or_never(
        "new messages are refused when the connector is down for this time; or never", "never")
    retry_first: float = fields.duration("pause before the second try of a busy or lost part, then doubled", "5s",
                                         at_least=0.1)
    retry_limit: float = fields.duration("the longest pause between tries", "10m", at_least=0.1)

    @property
    def parts_form(self) -> str:
        """The form in which it sends a message in several parts. The unsent parts of a message may move to another
        connector of the same form only; empty: it sends whole messages, so to none and from none."""
        return "parts"

    def check(self) -> Iterator[Conflict]:
        """Yield a longest retry pause that is shorter than the first."""
        if self.retry_limit < self.retry_first:
            yield Conflict("retry_limit", "the longest pause is shorter than retry_first", ("retry_first",))


@attrs.frozen(kw_only=True)
class RouteSettings(SectionSettings):
    """Selects the connectors for a message. Routes are tried in file order; the first match is used.

    A message matches if every given key has a matching pattern; an empty `Globs` means "not given".
    """

    to: Globs = fields.globs("the recipient, digits in international form")
    sender: Globs = fields.globs("the sender", key="from")
    account: Globs = fields.globs("the login of the sending account")
    text: Globs = fields.globs("the text; a pattern with a comma is not possible")
    connectors: tuple[Way, ...] = fields.ways(
        'failover in order; "mts:3, other:1" spreads by weight and fails over to the rest', name=NAME)


@attrs.frozen(kw_only=True)
class SenderSettings(SectionSettings):
    """The operators that allow a sender name. The free name is the sender."""

    NAMED: ClassVar[Kind[str]] = SENDER

    operators: tuple[str, ...] = fields.texts("operators that allow this sender; empty: all", "", entry=NAME)


@attrs.frozen(kw_only=True)
class NumberSettings(SectionSettings):
    """A number for incoming messages and calls. The free name is the number, digits in international form."""

    NAMED: ClassVar[Kind[str]] = OURS

    account: str = fields.declare(
        _OWNER, "account that gets incoming messages; empty: only calls, each for the account that waits for it", "")
    calls: bool = fields.flag("accounts may wait for calls to it, to confirm the number of the caller", False)

    def check(self) -> Iterator[Conflict]:
        """Yield a number with neither an account nor calls."""
        if not self.account and not self.calls:
            yield Conflict("account", "a value is needed if calls = no: no account gets messages to this number",
                        ("calls",))


@attrs.frozen(kw_only=True)
class ListSettings(SectionSettings):
    """A contact list: mail to list_NAME at a domain of the gateway goes to all its numbers.

    The free name is ACCOUNT NAME."""

    NAMED: ClassVar[Kind[str]] = types.text(
        129, r"[!-9;-~]+ [A-Za-z0-9_.-]{1,64}", "the login of an account and the name of a list, with a space between")

    numbers: tuple[str, ...] = fields.texts("numbers of the list", "", entry=_CONTACT)
    file: Path | None = fields.path(
        "CSV file with more numbers: first column, or the one named phone, number or msisdn", None)
    sender: str = fields.declare(SENDER, "sender of messages to the list; empty: the account's default", "")

    @property
    def account(self) -> str:
        """The account that owns the list."""
        return self.name.partition(" ")[0]

    @property
    def title(self) -> str:
        """The part of the mail address after ``list_``, in lower case."""
        return self.name.partition(" ")[2].lower()

    def check(self) -> Iterator[Conflict]:
        """Yield a list without numbers and file."""
        if not self.numbers and self.file is None:
            yield Conflict("numbers", "numbers or file is needed", ("file",))


@attrs.frozen(kw_only=True)
class OperatorSettings(SectionSettings):
    """The numbers of one operator."""

    numbers: Globs = fields.globs("patterns of its numbers in international form")

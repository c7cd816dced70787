"""The sample configuration, generated from the declarations of the settings."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping

import attrs

from smsgw.config.fields import Declared, declared
from smsgw.config.ini import quote
from smsgw.config.listeners import LISTEN_TYPES
from smsgw.config.settings import (
    AccountSettings,
    ConnectorSettings,
    GatewaySettings,
    ListSettings,
    NumberSettings,
    OperatorSettings,
    Preset,
    RouteSettings,
    SectionSettings,
    SenderSettings,
)

_COLUMN = 42
_WIDTH = 118

_HEAD = """\
; Sample configuration of smsgw. Start it with: twistd -n --pidfile= smsgw -c etc/gw.ini
; Check a file with: smsgw check etc/gw.ini
;
; A comment starts a line with ; or #, or follows a value after a blank as " ;". A value that contains " ;" goes in
; double quotes. Lists are comma-separated. Durations: 10, 30s, 10m, 24h, 7d. Sizes: 500, 64K, 1M. A key that is left
; out or has no value means its default; the lines below that are commented out show the defaults. The word after
; "listen", "account", "connector" or "route" is a free name. SIGHUP reads the file again, unless it has a mistake.
; docs/settings.rst lists all sections and keys; python -m smsgw sample --all prints this file with all of them.
"""


@attrs.frozen
class _Shown:
    """A section of the sample: its header, its settings class, and the keys that have values in it. A section that is
    not usable is commented out."""

    title: str
    settings: type[SectionSettings]
    given: Mapping[str, str]
    usable: bool = True


def _sections(connector_types: Mapping[str, type[ConnectorSettings]]) -> list[_Shown]:
    ways_in = {
        "smpp": {"protocol": "smpp", "endpoint": "tcp:2775:interface=127.0.0.1", "dialect": "standard", "tls": "none",
                 "system_id": "smsgw"},
        "mail": {"protocol": "smtp", "endpoint": "tcp:2525:interface=127.0.0.1", "dialect": "quicktel",
                 "tls": "optional", "domains": "sms.qtelecom.ru"},
        "api": {"protocol": "http", "endpoint": "tcp:8080:interface=127.0.0.1", "dialect": "rostelecom"},
        "admin": {"protocol": "admin", "endpoint": "tcp:8081:interface=127.0.0.1"},
    }
    account = {"password": "demo", "senders": "DEMO, AVARIA", "default_sender": "DEMO",
               "aliases": "boss@corp.example:DEMO", "allow_from": "127.0.0.0/8, ::1", "rate": "30"}
    gateway = {"state": "var", "store": "sqlite:", "node": "gw1", "log": "text", "timezone": "Europe/Moscow"}
    return [
        _Shown("gateway", GatewaySettings, gateway),
        *(_Shown(f"listen {name}", LISTEN_TYPES[given["protocol"]], given) for name, given in ways_in.items()),
        _Shown("account demo", AccountSettings, account),
        _Shown("connector sim", connector_types["loopback"], {"type": "loopback", "delay": "0.1", "rate": "1000"}),
        _Shown("route default", RouteSettings, {"to": "7*", "connectors": "sim"}),
        _Shown("number 4455", NumberSettings, {"account": "demo", "calls": "yes"}),
        _Shown("list demo friends", ListSettings, {"numbers": "79161234567, 79161234568"}),
    ]


def _others(connector_types: Mapping[str, type[ConnectorSettings]]) -> list[_Shown]:
    """Return the sections that only the complete sample has: the other connectors, a route, a sender, an operator.

    A connector whose example lacks a required key is commented out.
    """
    others = {kind: settings for kind, settings in sorted(connector_types.items()) if kind != "loopback"}
    usable = [kind for kind, settings in others.items() if not _lacking(settings)]
    route = {"to": "888*", "connectors": ", ".join(usable)}
    return [
        *(_Shown(f"connector {kind}", settings, {"type": kind, **settings.EXAMPLE}, kind in usable)
          for kind, settings in others.items()),
        *([_Shown("route others", RouteSettings, route)] if usable else []),
        _Shown("sender AVARIA", SenderSettings, {"operators": "mts"}),
        _Shown("operator mts", OperatorSettings, {"numbers": "7910*, 7911*"}),
    ]


def _lacking(settings: type[ConnectorSettings]) -> set[str]:
    return {one.key for one in declared(settings) if one.needed} - settings.EXAMPLE.keys()


def sample(connector_types: Mapping[str, type[ConnectorSettings]], dialects: Mapping[str, Preset],
           every: bool = False) -> str:
    """Return etc/gw.ini: three listeners on loopback, one account, and the simulated SMSC as the only connector.

    `connector_types` must contain `loopback`, `dialects` those of the gateway. A key is explained at its first line.

    :param every: with all kinds of sections and all keys, each explained with its values wherever it stands.
    """
    explained: set[tuple[str, str]] = set()
    lines = _HEAD.splitlines()
    for shown in _sections(connector_types) + (_others(connector_types) if every else []):
        about = summary(shown.settings)
        lines += ["", *textwrap.wrap(about, _WIDTH, initial_indent="; ", subsequent_indent="; ")]
        section = [f"[{shown.title}]"]
        presets = shown.settings.presets(shown.given, dialects)
        for one in declared(shown.settings):
            default = one.show(presets.get(one.attribute, one.default))
            explanation = one.doc if every or (one.key, one.doc) not in explained else ""
            if every:
                explanation += f" ({one.kind.allowed})"
            section += _key_lines(one, shown.given.get(one.key), default, explanation)
            explained.add((one.key, one.doc))
        lines += section if shown.usable else [f";{line}" for line in section]
    return "\n".join(lines) + "\n"


def summary(settings: type[SectionSettings]) -> str:
    """Return the first paragraph of the documentation of a section, in one line."""
    return " ".join((inspect.getdoc(settings) or "").partition("\n\n")[0].split())


def _key_lines(one: Declared, given: str | None, default: str, explanation: str) -> Iterator[str]:
    """Return the lines of a key; a key without a value in the sample is commented out and shows its default."""
    if given is None and not explanation:
        return
    written = quote(default if given is None else given)
    line = f"{'' if given is not None else ';'}{one.key} = {written}".rstrip()
    notes = textwrap.wrap(explanation, _WIDTH - _COLUMN - 2)
    if notes and len(line) < _COLUMN:
        line = f"{line:{_COLUMN}}; {notes.pop(0)}"
    yield line
    yield from (f"{'':{_COLUMN}}; {note}" for note in notes)

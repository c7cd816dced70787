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
    Preset,
    RouteSettings,
    SectionSettings,
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
; "listen", "account", "connector" or "route" is a free name. SIGHUP reads the file again: all of it or nothing.
"""


@attrs.frozen
class _Shown:
    """A section of the sample: its header, its settings class, and the keys that have values in it."""

    title: str
    settings: type[SectionSettings]
    given: Mapping[str, str]


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


def sample(connector_types: Mapping[str, type[ConnectorSettings]], dialects: Mapping[str, Preset]) -> str:
    """Return etc/gw.ini: three listeners on loopback, one account, and the simulated SMSC as the only connector.

    `connector_types` must contain `loopback`, `dialects` those of the gateway. A key is explained at its first line.
    """
    explained: set[tuple[str, str]] = set()
    lines = _HEAD.splitlines()
    for shown in _sections(connector_types):
        about = " ".join((inspect.getdoc(shown.settings) or "").partition("\n\n")[0].split())
        lines += ["", *textwrap.wrap(about, _WIDTH, initial_indent="; ", subsequent_indent="; "), f"[{shown.title}]"]
        presets = shown.settings.presets(shown.given, dialects)
        for one in declared(shown.settings):
            default = one.show(presets.get(one.attribute, one.default))
            lines += _key_lines(one, shown.given.get(one.key), default, (one.key, one.doc) not in explained)
            explained.add((one.key, one.doc))
    return "\n".join(lines) + "\n"


def _key_lines(one: Declared, given: str | None, default: str, explain: bool) -> Iterator[str]:
    """Return the lines of a key; a key without a value in the sample is commented out and shows its default."""
    if given is None and (not explain or one.needed):
        return
    written = quote(default if given is None else given)
    line = f"{'' if given is not None else ';'}{one.key} = {written}".rstrip()
    if not explain:
        yield line
        return
    first, *rest = textwrap.wrap(one.doc, _WIDTH - _COLUMN - 2)
    yield f"{line:{_COLUMN}}; {first}" if len(line) < _COLUMN else f"{line} ; {first}"
    yield from (f"{'':{_COLUMN}}; {more}" for more in rest)

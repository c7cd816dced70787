"""The reference of all sections and keys (docs/settings.rst), generated from the declarations of the settings."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from smsgw.config.fields import Declared, declared
from smsgw.config.listeners import LISTEN_TYPES
from smsgw.config.sample import summary
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

_WIDTH: Final = 118
_SPECIAL: Final = re.compile(r"([*`|\\]|_(?!\w))")
"""Characters that begin or end markup in reStructuredText."""

_HEAD: Final = """\
All settings
============

All sections and keys of ``gw.ini``, with meaning, values and default. ``python -m smsgw sample --all`` prints the same
as a configuration file, and ``smsgw check FILE`` finds every mistake in a file. ``make sample`` writes this page from
the declarations of the settings.

* A section begins with its kind and its name in brackets. One section of a kind and name is allowed; ``[gateway]`` has
  no name and may be left out.
* A key that is left out or has no value has its default. A key without a default is required.
* A duration is a number of seconds, or a number with ``s``, ``m``, ``h`` or ``d`` (seconds, minutes, hours, days). A
  size is a number of octets, or a number with ``K`` or ``M`` (1,024 and 1,048,576 octets). Lists are separated by
  commas. In patterns ``*`` stands for any characters and ``?`` for one.
* A comment begins a line with ``;`` or ``#``, or follows a value after a blank as ``;``. A value that contains a blank
  and ``;`` goes in double quotes.
* SIGHUP reads the file again: the whole file is applied, or, if it has a mistake, nothing.
"""


@attrs.frozen
class _Described:
    """A section of the page.

    :ivar title: the header in the file. :ivar settings: its class. :ivar fixed: keys that select the class, with their
    values. :ivar shared: keys that another section of the page explains.
    """

    title: str
    settings: type[SectionSettings]
    fixed: Mapping[str, str] = attrs.field(factory=dict)
    shared: Sequence[Declared] = ()


def _sections(connector_types: Mapping[str, type[ConnectorSettings]]) -> Iterator[_Described]:
    yield _Described("[gateway]", GatewaySettings)
    for protocol, listener in LISTEN_TYPES.items():
        yield _Described("[listen NAME]", listener, {"protocol": protocol})
    yield _Described("[account NAME]", AccountSettings)
    yield _Described("[connector NAME]", ConnectorSettings)
    common = declared(ConnectorSettings)
    for kind, connector in sorted(connector_types.items()):
        yield _Described("[connector NAME]", connector, {"type": kind}, common)
    yield _Described("[route NAME]", RouteSettings)
    yield _Described("[sender SENDER]", SenderSettings)
    yield _Described("[operator NAME]", OperatorSettings)
    yield _Described("[number NUMBER]", NumberSettings)
    yield _Described("[list ACCOUNT NAME]", ListSettings)


def reference(connector_types: Mapping[str, type[ConnectorSettings]], dialects: Mapping[str, Preset]) -> str:
    """Return docs/settings.rst for these types of connectors and these dialects."""
    lines = _HEAD.splitlines()
    for one in _sections(connector_types):
        title = ", ".join([one.title, *(f"{key} = {value}" for key, value in one.fixed.items())])
        lines += ["", title, "-" * len(title), "", *_paragraph(_escaped(summary(one.settings)))]
        if one.settings is not GatewaySettings:
            word = one.title.strip("[]").partition(" ")[2]
            lines += ["", *_paragraph(f"{word}: {_escaped(one.settings.NAMED.allowed)}.")]
        if one.shared:
            lines += ["", *_paragraph("All keys of ``[connector NAME]`` above, and:")]
        presets = _presets(one, dialects)
        words = {"type": sorted(connector_types), "dialect": sorted(presets)}
        for key in declared(one.settings):
            if key not in one.shared and key.key not in one.fixed:
                choices = words.get(key.key, ())
                allowed = f"one of {', '.join(choices)}" if choices else key.kind.allowed
                lines += ["", f"``{key.key}``", *_paragraph(_described(key, allowed, presets), "    ")]
    return "\n".join(lines) + "\n"


def _presets(one: _Described, dialects: Mapping[str, Preset]) -> Mapping[str, Mapping[str, object]]:
    """Return the defaults that each dialect gives to the keys of a section, by dialect and attribute."""
    found = {name: dialect.settings(one.fixed.get("protocol", "")) for name, dialect in dialects.items()}
    return {name: preset for name, preset in found.items() if preset}


def _described(key: Declared, allowed: str, presets: Mapping[str, Mapping[str, object]]) -> str:
    """Return meaning, values and default of a key."""
    default = key.show(key.default)
    if key.needed:
        defaults = ["required"]
    else:
        defaults = [f"default: ``{default}``" if default else "default: empty"]
        for name, preset in presets.items():
            shown = key.show(preset.get(key.attribute, key.default))
            if shown != default:
                defaults.append(f"in the dialect {name} ``{shown}``")
    return f"{_escaped(key.doc)}. Values: {_escaped(allowed)}; {', '.join(defaults)}."


def _paragraph(text: str, indent: str = "") -> Sequence[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)

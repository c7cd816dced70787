"""From the text of gw.ini to settings. All mistakes are found before a setting is used."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from smsgw.config import ini
from smsgw.config.checks import mistakes, warnings
from smsgw.config.configuration import Settings
from smsgw.config.errors import ConfigErrors, InvalidValue, Origin, Problem
from smsgw.config.fields import Declared, declared
from smsgw.config.listeners import LISTEN_TYPES, ListenSettings
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

S = TypeVar("S", bound=SectionSettings)

_PLAIN: Mapping[str, type[SectionSettings]] = {
    "gateway": GatewaySettings,
    "account": AccountSettings,
    "route": RouteSettings,
    "sender": SenderSettings,
    "operator": OperatorSettings,
    "number": NumberSettings,
    "list": ListSettings,
}
_ALLOWED = (
    "[gateway], [listen NAME], [account NAME], [connector NAME], [route NAME], [sender NAME], [operator NAME], "
    "[number DIGITS], [list ACCOUNT NAME]"
)


def parse(text: str, filename: str, connector_types: Mapping[str, type[ConnectorSettings]],
          dialects: Mapping[str, Preset]) -> Settings:
    """Parse a whole file. Only the connector types and dialects that the file names are looked up. A lookup raises
    InvalidValue, with a text for the administrator, if what it finds cannot be used.

    `Settings.warnings` has the warnings to log at the start.

    :raises ConfigErrors: with all mistakes of the file.
    """
    sections, problems = ini.read(text, filename)
    found: list[SectionSettings] = [
        one for section in sections
        if (one := _section(section, filename, connector_types, dialects, problems)) is not None
    ]
    gateway = next(iter(_only(GatewaySettings, found)), None)
    settings = Settings(
        gateway=gateway or GatewaySettings(origin=Origin(filename, "gateway", 1)),
        listeners=_by_name(ListenSettings, found),
        accounts=_by_name(AccountSettings, found),
        connectors=_by_name(ConnectorSettings, found),
        routes=tuple(_only(RouteSettings, found)),
        senders=_by_name(SenderSettings, found),
        operators=_by_name(OperatorSettings, found),
        numbers=_by_name(NumberSettings, found),
        lists=_by_name(ListSettings, found),
    )
    problems += mistakes(settings)
    if problems:
        raise ConfigErrors(problems)
    return attrs.evolve(settings, warnings=tuple(sorted(warnings(settings), key=lambda warning: warning.line)))


def _only(kind: type[S], found: Iterable[SectionSettings]) -> list[S]:
    return [settings for settings in found if isinstance(settings, kind)]


def _by_name(kind: type[S], found: Iterable[SectionSettings]) -> Mapping[str, S]:
    return {settings.name: settings for settings in _only(kind, found)}


def _section(section: ini.Section, filename: str, connector_types: Mapping[str, type[ConnectorSettings]],
             dialects: Mapping[str, Preset], problems: list[Problem]) -> SectionSettings | None:
    """Read one section with the settings class that its first word selects, in some kinds together with a key."""
    if section.kind in _PLAIN:
        return fill(_PLAIN[section.kind], section, filename, problems, dialects=dialects)
    if section.kind == "listen":
        return _chosen("protocol", ListenSettings, LISTEN_TYPES, section, filename, problems, dialects)
    if section.kind == "connector":
        return _chosen("type", ConnectorSettings, connector_types, section, filename, problems)
    problems.append(Problem(filename, section.line, section.title, "", f"unknown section; allowed: {_ALLOWED}"))
    return None


def _chosen(key: str, common: type[S], types: Mapping[str, type[S]], section: ini.Section, filename: str,
            problems: list[Problem], dialects: Mapping[str, Preset] = MappingProxyType({})) -> S:
    """Read a section whose class a key selects. If the key selects none, the keys common to all classes are checked."""
    line, value = next(((one.line, one.value) for one in section.entries if one.key == key), (section.line, ""))
    what = f'"{value}" is not available' if value else "a value is needed"
    why = f"{what}; allowed: {', '.join(types)}"
    if value in types:
        try:
            chosen = types[value]
        except InvalidValue as error:
            why = str(error)
        else:
            return fill(chosen, section, filename, problems, dialects=dialects)
    if key not in section.unread:
        problems.append(Problem(filename, line, section.title, key, why))
    return fill(common, section, filename, problems, undecided=key)


def fill(settings: type[S], section: ini.Section, filename: str, problems: list[Problem], undecided: str = "",
         dialects: Mapping[str, Preset] = MappingProxyType({})) -> S:
    """Make settings from a section's entries; each entry that is not allowed becomes a problem.

    A key that is missing or has no value gets its preset or default. `undecided` is the key that should select a class
    but selects none; with it, unknown keys are accepted. The result is usable only if there is no problem.
    """
    lines = {entry.key: entry.line for entry in section.entries}
    faulty = {undecided, *section.unread}

    def add_problem(key: str, what: str) -> None:
        faulty.add(key)
        problems.append(Problem(filename, lines.get(key, section.line), section.title, key, what))

    _check_name(settings, section, add_problem)
    keys = {one.key: one for one in declared(settings)}
    given: dict[str, Any] = {}
    for entry in section.entries:
        one = keys.get(entry.key)
        if one is None:
            if not undecided:
                add_problem(entry.key, _unknown(entry.key, keys))
        elif entry.value or one.kind.listed:
            try:
                given[one.attribute] = one.kind.take(entry.value)
            except InvalidValue as why:
                add_problem(entry.key, str(why))
                given[one.attribute] = one.kind.blank
    given = {**settings.presets(given, dialects), **given}
    for one in keys.values():
        if one.needed and one.attribute not in given:
            if one.key not in faulty:
                add_problem(one.key, f"a value is needed{settings.missing(one, dialects)}")
            given[one.attribute] = one.kind.blank
    result = settings(name=section.name, origin=Origin(filename, section.title, section.line, lines, frozenset(faulty)),
                      **given)
    problems += (
        result.problem(fault.key, fault.what)
        for fault in (*result.check(), *result.check_dialect(dialects))
        if not faulty.intersection((fault.key, *fault.also))
    )
    return result


def _check_name(settings: type[SectionSettings], section: ini.Section, add_problem: Callable[[str, str], None]) -> None:
    if settings is GatewaySettings:
        if section.name:
            add_problem("", "this section has no name; allowed: [gateway]")
    elif not section.name:
        add_problem("", f"a name is needed, as in [{section.kind} NAME]")
    else:
        try:
            settings.NAMED.take(section.name)
        except InvalidValue as why:
            add_problem("", str(why))


def _unknown(key: str, keys: Mapping[str, Declared]) -> str:
    close = difflib.get_close_matches(key, keys, 1)
    hint = f' (did you mean "{close[0]}"?)' if close else ""
    return f"unknown key{hint}; allowed: {', '.join(keys)}"

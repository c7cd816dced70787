"""The configuration in the running gateway: its warnings, and the reload (SIGHUP).

First everything is read and made that may have a mistake: settings, certificates, connectors. Then the new
configuration is applied. Only a port that is taken is found later; its listener stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from twisted.logger import Logger

from smsgw.config import ClientListenSettings, ConfigErrors, ListenSettings, Problem, Settings
from smsgw.interfaces import IConnector
from smsgw.program import configfile, tls
from smsgw.program.connectors import make_connectors
from smsgw.program.listeners import make_listener
from smsgw.program.parts import Parts
from smsgw.program.ports import Listener
from smsgw.program.tls import ListenerTls, Pair

log = Logger()


def warn(settings: Settings, source: Path) -> None:
    """Log the warnings about the configuration and its file, before the start."""
    for warning in settings.warnings:
        log.warn("{problem}", problem=str(warning))
    for doubt in (configfile.too_open(source), configfile.as_root()):
        if doubt is not None:
            log.warn("{doubt}", doubt=str(doubt))


async def reload(parts: Parts, source: Path) -> None:
    """Apply the configuration of the file `source`; if it has a mistake, log it and change nothing."""
    try:
        new = configfile.read(source, parts.dialects)
        pairs, made = _prepare(parts, new)
        for part in parts.configured:
            part.apply(new)
    except ConfigErrors as errors:
        parts.note_reload("refused")
        for line in str(errors).splitlines():
            log.error("{line}", line=line)
        log.error("the configuration is refused; the previous one stays in force")
        return
    parts.dispatch.apply(new, made)
    refused = await _change_listeners(parts, new, pairs)
    parts.settings = attrs.evolve(new, listeners=_in_force(parts.settings, new, refused))
    parts.expiry.look()
    parts.note_reload("partly" if refused else "taken")
    for warning in new.warnings:
        log.warn("{problem}", problem=str(warning))
    if refused:
        names = ", ".join(f"[listen {name}]" for name in refused)
        log.error("the configuration is taken from {path}, except {names}", path=str(source), names=names)
    else:
        log.info("the configuration is taken from {path}", path=str(source))


def _prepare(parts: Parts, new: Settings) -> tuple[Mapping[str, Pair], Mapping[str, IConnector]]:
    """Load the certificates of all listeners, and make a connector for each section that is new or has changed.

    :raises ConfigErrors: with every mistake.
    """
    problems: list[Problem] = []
    if new.gateway != parts.settings.gateway:
        problems.append(new.gateway.problem("", "has changed, which needs a restart"))
    pairs: dict[str, Pair] = {}
    for own in new.listeners.values():
        if not isinstance(own, ClientListenSettings):
            continue
        try:
            pair = tls.load(own, parts.settings.gateway.state)
            before = parts.ports.listeners.get(own.name)
            if pair is not None and before is not None and before.tls is not None:
                before.tls.check_renewal(own, pair)
        except ConfigErrors as errors:
            problems += errors.problems
        else:
            pairs.update({} if pair is None else {own.name: pair})
    changed = [own for name, own in new.connectors.items() if parts.settings.connectors.get(name) != own]
    made: Mapping[str, IConnector] = {}
    try:
        made = make_connectors(changed, parts.reactor)
    except ConfigErrors as errors:
        problems += errors.problems
    if problems:
        raise ConfigErrors(problems)
    return pairs, made


async def _change_listeners(parts: Parts, new: Settings, pairs: Mapping[str, Pair]) -> Sequence[str]:
    """Open, change and close listeners; returns the names of those that stay as they were."""
    ports = parts.ports
    made: list[Listener] = []
    for name, listener in ports.listeners.items():
        if listener.tls is not None and name in pairs:
            listener.tls.renew(name, pairs[name])
    for name, own in new.listeners.items():
        before = ports.listeners.get(name)
        if before is None or before.settings != own:
            context: ListenerTls | None = None
            if name in pairs:
                context = before.tls if before is not None else None
                context = context or ListenerTls(pairs[name])
            made.append(make_listener(parts, own, context))
    removed = [name for name in ports.listeners if name not in new.listeners]
    refused = await ports.change(made, removed, new.gateway.drain)
    for listener in ports.listeners.values():
        if listener.front is not None:
            listener.front.apply(new)
    return refused


def _in_force(before: Settings, new: Settings, refused: Sequence[str]) -> Mapping[str, ListenSettings]:
    """The sections of the listeners that there are."""
    kept = {name: before.listeners[name] for name in refused if name in before.listeners}
    return {name: own for name, own in new.listeners.items() if name not in refused} | kept

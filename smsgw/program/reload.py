"""The configuration in the running gateway: what is doubtful about it, and taking it anew (SIGHUP)."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

from smsgw.config import ConfigErrors, Settings
from smsgw.program import configfile
from smsgw.program.parts import Parts

log = Logger()


def warn(settings: Settings, source: Path) -> None:
    """Log what is doubtful about the configuration and its file before anything starts."""
    for warning in settings.warnings:
        log.warn("{problem}", problem=str(warning))
    for doubt in (configfile.too_open(source), configfile.as_root()):
        if doubt is not None:
            log.warn("{doubt}", doubt=str(doubt))


def reload(parts: Parts, source: Path) -> None:
    """Take the configuration of the file `source`: all of it, or nothing and the reasons in the log."""
    try:
        new = configfile.read(source)
        _check_unchanged(parts.settings, new)
        for part in parts.configured:
            part.apply(new)
    except ConfigErrors as errors:
        parts.metrics.program.reloads["refused"].inc()
        for line in str(errors).splitlines():
            log.error("{line}", line=line)
        log.error("the configuration is refused, the one from before stays in force")
        return
    parts.settings = new
    parts.metrics.program.reloads["taken"].inc()
    for warning in new.warnings:
        log.warn("{problem}", problem=str(warning))
    log.info("the configuration is taken from {path}", path=str(source))


def _check_unchanged(before: Settings, new: Settings) -> None:
    """Refuse what only a start can change, naming each section.

    :raises ConfigErrors: with one problem per such section.
    """
    problems = []
    if new.gateway != before.gateway:
        problems.append(new.gateway.problem("", "is changed: that needs a restart"))
    for kind in ("listeners", "connectors"):
        old, sections = getattr(before, kind), getattr(new, kind)
        problems += [
            own.problem("", "is new or changed: that needs a restart")
            for name, own in sections.items()
            if old.get(name) != own
        ]
        problems += [
            own.problem("", "is gone: that needs a restart") for name, own in old.items() if name not in sections
        ]
    if problems:
        raise ConfigErrors(problems)

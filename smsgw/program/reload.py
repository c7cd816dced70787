"""The configuration in the running gateway: its warnings, and the reload (SIGHUP)."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

from smsgw.config import ConfigErrors, Settings
from smsgw.program import configfile
from smsgw.program.parts import Parts

log = Logger()


def warn(settings: Settings, source: Path) -> None:
    """Log the warnings about the configuration and its file, before the start."""
    for warning in settings.warnings:
        log.warn("{problem}", problem=str(warning))
    for doubt in (configfile.too_open(source), configfile.as_root()):
        if doubt is not None:
            log.warn("{doubt}", doubt=str(doubt))


def reload(parts: Parts, source: Path) -> None:
    """Apply the configuration of the file `source`; if it has a mistake, log it and change nothing."""
    try:
        new = configfile.read(source)
        _check_unchanged(parts.settings, new)
        for part in parts.configured:
            part.apply(new)
    except ConfigErrors as errors:
        parts.metrics.program.reloads["refused"] += 1
        for line in str(errors).splitlines():
            log.error("{line}", line=line)
        log.error("the configuration is refused; the previous one stays in force")
        return
    parts.settings = new
    parts.metrics.program.reloads["taken"] += 1
    for warning in new.warnings:
        log.warn("{problem}", problem=str(warning))
    log.info("the configuration is taken from {path}", path=str(source))


def _check_unchanged(before: Settings, new: Settings) -> None:
    """Check that no section has changed that needs a restart.

    :raises ConfigErrors: with one problem for each such section.
    """
    problems = []
    if new.gateway != before.gateway:
        problems.append(new.gateway.problem("", "has changed, which needs a restart"))
    for kind in ("listeners", "connectors"):
        old, sections = getattr(before, kind), getattr(new, kind)
        problems += [
            own.problem("", "is new or has changed, which needs a restart")
            for name, own in sections.items()
            if old.get(name) != own
        ]
        problems += [
            own.problem("", "was removed, which needs a restart") for name, own in old.items() if name not in sections
        ]
    if problems:
        raise ConfigErrors(problems)

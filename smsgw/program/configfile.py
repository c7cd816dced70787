"""Reads the configuration file with the keys of every installed connector, and checks its permissions.

It imports little, because the command line reads configurations without loading the gateway.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from smsgw.config import ConfigErrors, Problem, Settings, parse, reference, sample
from smsgw.plugins import connector_factories, dialects


def connector_types() -> dict[str, type]:
    """Return the settings class of every installed type of connector."""
    return {kind: factory.settings() for kind, factory in connector_factories().items()}


def sample_config(every: bool = False) -> str:
    """Return the text of etc/gw.ini; with `every` one of all kinds of sections and all keys."""
    return sample(connector_types(), dialects(), every)


def settings_page() -> str:
    """Return the text of docs/settings.rst, with the installed connectors and dialects."""
    return reference(connector_types(), dialects())


def read(path: Path) -> Settings:
    """Read the configuration in a file.

    :raises ConfigErrors: with every mistake of the file; if it cannot be read; if other users can read its passwords
    while other machines can connect to the gateway.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigErrors([_of_file(path, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        what = f"is not UTF-8: the octet 0x{error.object[error.start]:02X} is no letter there"
        raise ConfigErrors([Problem(str(path), line, "", "", what)]) from error
    settings = parse(text, str(path), connector_types(), dialects())
    if settings.exposed:
        openness = too_open(path)
        if openness is not None:
            raise ConfigErrors([openness])
    return settings


def too_open(path: Path) -> Problem | None:
    """Return the problem of a file that other users of the machine can read, or None."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return _of_file(path, f"holds passwords and can be read by other users: chmod 600 {path}")
    return None


def as_root() -> str | None:
    """Return the warning for a gateway that runs as root, or None."""
    return "running as root, which is not needed: use an account of its own" if os.geteuid() == 0 else None


def _of_file(path: Path, what: str) -> Problem:
    return Problem(str(path), 0, "", "", what)

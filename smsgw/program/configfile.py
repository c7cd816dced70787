"""The configuration as a file: reading it with every installed connector's keys, and whom it is open to.

Light on purpose: the command line reads configurations without loading what the gateway runs on.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from smsgw.config import ConfigErrors, Problem, Settings, parse, sample
from smsgw.plugins import connector_factories, dialects


def connector_types() -> dict[str, type]:
    """The settings class of every type of connector that is installed."""
    return {kind: factory.settings() for kind, factory in connector_factories().items()}


def sample_config() -> str:
    """The text of etc/gw.ini."""
    return sample(connector_types(), dialects())


def read(path: Path) -> Settings:
    """The configuration in a file.

    :raises ConfigErrors: with every mistake of the file; or that it cannot be read; or that others can read the
        passwords in it although the gateway can be reached from other machines.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigErrors([_of_file(path, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigErrors([_of_file(path, f"is not UTF-8 (octet {error.start})")]) from error
    settings = parse(text, str(path), connector_types(), dialects())
    if settings.exposed:
        openness = too_open(path)
        if openness is not None:
            raise ConfigErrors([openness])
    return settings


def too_open(path: Path) -> Problem | None:
    """What to say of a file that other users of the machine can read."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return _of_file(path, f"holds passwords and can be read by other users: chmod 600 {path}")
    return None


def as_root() -> str | None:
    """What to say of a gateway that runs as root."""
    return "running as root, which is not needed: use an account of its own" if os.geteuid() == 0 else None


def _of_file(path: Path, what: str) -> Problem:
    return Problem(str(path), 0, "", "", what)

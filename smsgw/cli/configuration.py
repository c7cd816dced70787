"""``check`` and ``sample``: checks a configuration, prints the sample one."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from smsgw.cli.console import CONFIGURATION, DONE, counted
from smsgw.config import ClientListenSettings, ConfigErrors, InvalidValue, Problem, Settings
from smsgw.plugins import connectors
from smsgw.program import certificates, configfile


def check(options: argparse.Namespace) -> int:
    """Print every mistake and warning of a file, or a summary of it if it can be used."""
    try:
        settings = configfile.read(Path(options.config))
        expiring: list[Problem] = []
        mistakes = [*_certificates(settings, expiring), *_connectors(settings), *_directories(settings)]
        if mistakes:
            raise ConfigErrors(mistakes)
    except ConfigErrors as errors:
        print(errors)
        print(f"{options.config} cannot be used: {counted(len(errors.problems), 'mistake')}")
        return CONFIGURATION
    openness = configfile.too_open(Path(options.config))
    for warning in (*settings.warnings, *expiring, *([openness] if openness else [])):
        print(f"{warning} (warning)")
    kinds = ("listener", "account", "connector", "route")
    print(f"{options.config} is good: {', '.join(counted(len(getattr(settings, kind + 's')), kind) for kind in kinds)}")
    return DONE


def _certificates(settings: Settings, expiring: list[Problem]) -> Iterator[Problem]:
    """Yield a problem for each certificate or key of a listener that cannot be used; add those that expire soon to
    `expiring`."""
    at = datetime.now(UTC)
    for own in settings.listeners.values():
        if isinstance(own, ClientListenSettings) and own.tls != "none" and own.certificate and own.key:
            try:
                certificates.options(own.certificate, own.key)
                expires, _ = certificates.expiry(own.certificate)
            except certificates.CertificateError as error:
                yield own.problem("certificate", str(error))
            else:
                if expires - at < certificates.SOON:
                    what = f"{own.certificate}: expire{'s' if expires > at else 'd'} at {expires:%Y-%m-%d %H:%M} UTC"
                    expiring.append(own.problem("certificate", what))


def _connectors(settings: Settings) -> Iterator[Problem]:
    """Yield a problem for each connector whose class cannot be imported."""
    classes = connectors()
    for own in settings.connectors.values():
        try:
            classes[own.type]
        except InvalidValue as error:
            yield own.problem("type", str(error))


def _directories(settings: Settings) -> Iterator[Problem]:
    """Yield a problem for the state directory and the message log if they cannot be made or written here."""
    gateway = settings.gateway
    wanted = [("state", gateway.state)]
    if gateway.message_log is not None:
        wanted.append(("message_log", gateway.message_log.parent))
        if gateway.message_log.is_dir():
            yield gateway.problem("message_log", f"{gateway.message_log} is a directory")
    for key, directory in wanted:
        there = next(one for one in (directory.absolute(), *directory.absolute().parents) if os.path.lexists(one))
        if not there.is_dir():
            yield gateway.problem(key, f"{there} is not a directory")
        elif not os.access(there, os.W_OK | os.X_OK):
            done = "written" if there == directory.absolute() else f"made, because {there} cannot be written"
            yield gateway.problem(key, f"the directory {directory} cannot be {done}")


def sample(options: argparse.Namespace) -> int:
    """Print the sample configuration, or the page that explains all keys; name the plugins that are left out."""
    for fault in configfile.plugin_faults() if options.all or options.page else ():
        print(fault, file=sys.stderr)
    print(configfile.settings_page() if options.page else configfile.sample_config(options.all), end="")
    return DONE

"""``twistd smsgw``: options, log format, exit codes. The only module that uses the global reactor."""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, Final, TextIO

from prometheus_client import disable_created_metrics
from twisted.application.service import IService
from twisted.logger import ILogObserver
from twisted.python import usage

from smsgw.config import ConfigErrors, Settings
from smsgw.program import configfile, logs, wiring

EX_UNAVAILABLE = 69
EX_CONFIG = 78

MOST_FILES: Final = 65_536
"""Open files that are asked of the system."""

OBJECTS_BETWEEN_LOOKS: Final = 50_000
"""New objects, less those that went, after which Python looks for cycles among them."""


class Options(usage.Options):
    """Options of ``twistd smsgw``; reads the configuration, so that its mistakes are told before anything starts."""

    synopsis = "[-c FILE]"
    longdesc = "An SMS gateway: SMPP, SMTP and HTTP in, pluggable upstream SMSC connectors out."
    optParameters = [("config", "c", "etc/gw.ini", "The configuration file.")]
    settings: Settings

    def postOptions(self) -> None:
        """Read the configuration; exit with status 78 and every mistake of the file if it has any."""
        path = Path(self["config"])
        try:
            self.settings = configfile.read(path)
        except ConfigErrors as errors:
            print(errors, file=sys.stderr)
            raise SystemExit(EX_CONFIG) from None
        parent = self.parent
        if parent is not None and not parent.get("logger") and not parent.get("syslog"):
            _LOGGING.update(kind=self.settings.gateway.log, logfile=parent.get("logfile") or "-")
            parent["logger"] = f"{__name__}.{log_observer.__name__}"


_LOGGING: dict[str, str] = {"kind": "text", "logfile": "-"}
"""What the options said of the log: twistd takes an observer only by its dotted name, without arguments."""


def log_observer() -> ILogObserver:
    """What twistd calls once it begins to log: an observer on standard output or on ``--logfile``."""
    stream: TextIO = sys.stdout
    if _LOGGING["logfile"] != "-":
        stream = open(_LOGGING["logfile"], "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - as long as the process
    return logs.observer(_LOGGING["kind"], stream)


def makeService(options: Options) -> IService:
    """The whole gateway as one service."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    # Twisted's timers run on the wall clock: a step of it would fire every timer at once, or none for an hour.
    reactor.seconds = time.monotonic
    ending = False

    def end(status: int) -> None:
        """Leave with `status` once everything has stopped: twistd itself always ends with 0."""
        nonlocal ending

        def leave() -> None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

        if status:
            reactor.addSystemEventTrigger("after", "shutdown", leave)
        if not ending:
            ending = True
            # A start may fail before the reactor runs, which then cannot be stopped yet.
            reactor.callWhenRunning(reactor.stop)

    _open_more_files()
    _collect_less_often()
    disable_created_metrics()  # when each counter began would be a second time series beside it
    try:
        return wiring.build(options.settings, reactor, source=Path(options["config"]), end=end)
    except ConfigErrors as errors:  # what only shows when parts are made: certificates, hashes
        print(errors, file=sys.stderr)
        raise SystemExit(EX_CONFIG) from None


def _open_more_files() -> None:
    """As many open files as the system grants at all: each connection is one, and strangers must not use them up
    where the usual 1,024 are fewer than the connections that the listeners allow."""
    granted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    if granted != resource.RLIM_INFINITY and granted < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _collect_less_often() -> None:
    """Let Python look for cycles once in many messages: a message on its way is a dozen objects and no cycle, and the
    looks that find all of them alive took a sixteenth of the processor's time. What is loaded by now never goes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS, *gc.get_threshold()[1:])

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

EX_CONFIG = 78

MOST_FILES: Final = 65_536
"""The limit of open files to request from the system."""

OBJECTS_BETWEEN_LOOKS: Final = 50_000
"""Net new objects between two runs of the garbage collector."""


class Options(usage.Options):
    """Options of ``twistd smsgw``. They read the configuration, so that its mistakes are reported before the start."""

    synopsis = "[-c FILE]"
    longdesc = "An SMS gateway: SMPP, SMTP and HTTP in, pluggable upstream SMSC connectors out."
    optParameters = [("config", "c", "etc/gw.ini", "The configuration file.")]
    settings: Settings

    def postOptions(self) -> None:
        """Read the configuration; if it has mistakes, print all of them and exit with status 78."""
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
"""Arguments of :func:`log_observer`, set by the options: twistd calls it by its dotted name without arguments."""


def log_observer() -> ILogObserver:
    """Return an observer on standard output or on ``--logfile``; twistd calls this when it starts to log."""
    stream: TextIO = sys.stdout
    if _LOGGING["logfile"] != "-":
        stream = open(_LOGGING["logfile"], "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - open for ever
    return logs.observer(_LOGGING["kind"], stream)


def makeService(options: Options) -> IService:
    """Build the gateway as one service; the entry point of the twistd plugin."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    # By default Twisted's timers use the wall clock: when it is set forward all timers fire, when back none does.
    reactor.seconds = time.monotonic
    ending = False

    def end(status: int) -> None:
        """Stop the reactor and exit with `status`, because twistd itself always exits with 0."""
        nonlocal ending

        def leave() -> None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

        if status:
            reactor.addSystemEventTrigger("after", "shutdown", leave)
        if not ending:
            ending = True
            # A start may fail before the reactor runs; until then it cannot be stopped.
            reactor.callWhenRunning(reactor.stop)

    _open_more_files()
    _collect_less_often()
    disable_created_metrics()  # otherwise each counter has a second time series with its start
    try:
        return wiring.build(options.settings, reactor, source=Path(options["config"]), end=end)
    except ConfigErrors as errors:  # mistakes found only when parts are made: certificates, hashes
        print(errors, file=sys.stderr)
        raise SystemExit(EX_CONFIG) from None


def _open_more_files() -> None:
    """Raise the limit of open files, because each connection needs one: the usual 1,024 are fewer than the connections
    that the listeners allow, and unauthenticated clients must not use them up."""
    granted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    if granted != resource.RLIM_INFINITY and granted < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _collect_less_often() -> None:
    """Run the garbage collector rarely. A message is a dozen objects without cycles; collections with the default
    thresholds took a sixteenth of the processor's time. Objects loaded at start are frozen out of garbage
    collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS, *gc.get_threshold()[1:])

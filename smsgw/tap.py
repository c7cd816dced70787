"""``twistd smsgw``: options, log format, exit codes. The only module that uses the global reactor."""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, Final

import attrs
from prometheus_client import disable_created_metrics
from twisted.application.service import IService
from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from smsgw.config import ConfigErrors, Settings
from smsgw.program import configfile, logs, signals, wiring

log = Logger()

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
            _LOGGING.kind = self.settings.gateway.log
            _LOGGING.path = parent.get("logfile") or "-"
            parent["logger"] = f"{__name__}.{log_observer.__name__}"


@attrs.define
class _Logging:
    """What :func:`log_observer` needs: twistd calls it by its dotted name, without arguments.

    :ivar kind: the value of ``log =``. :ivar path: the value of ``--logfile``; ``-`` is standard output.
    :ivar file: the open file.
    """

    kind: str = "text"
    path: str = "-"
    file: logs.LogFile | None = None


_LOGGING = _Logging()


def log_observer() -> ILogObserver:
    """Return an observer on standard output or on ``--logfile``; twistd calls this when it starts to log."""
    if _LOGGING.path == "-":
        return logs.observer(_LOGGING.kind, sys.stdout)
    _LOGGING.file = logs.LogFile(_LOGGING.path)
    return logs.observer(_LOGGING.kind, _LOGGING.file.stream)


def _reopen_log() -> None:
    """Open the log file again, after it was renamed."""
    file = _LOGGING.file
    if file is None:
        log.info("SIGUSR1: there is no log file to open again")
        return
    try:
        file.reopen()
    except OSError as error:
        log.error(
            "{path} cannot be opened again: {why}; lines go on to the former file", path=file.path, why=error.strerror
        )
    else:
        log.info("SIGUSR1: the log file {path} was opened again", path=file.path)


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

        if status:
            reactor.addSystemEventTrigger("after", "shutdown", _leave, status)
        if not ending:
            ending = True
            # A start may fail before the reactor runs; until then it cannot be stopped.
            reactor.callWhenRunning(reactor.stop)

    def leave_quietly() -> None:
        """Exit with 0 if a signal stopped the reactor before our handlers replaced the reactor's, which twistd would
        raise again."""
        if not ending:
            _leave(0)

    def reopen() -> None:
        _reopen_log()
        gateway.reopen()

    _open_more_files()
    _collect_less_often()
    disable_created_metrics()  # otherwise each counter has a second time series with its start
    try:
        gateway = wiring.build(options.settings, reactor, source=Path(options["config"]), end=end)
    except ConfigErrors as errors:  # mistakes found only when parts are made: certificates, hashes
        print(errors, file=sys.stderr)
        raise SystemExit(EX_CONFIG) from None
    handlers = signals.Signals(reactor, gateway.stop_program, gateway.reload, reopen)
    handlers.install()
    reactor.callWhenRunning(handlers.install)  # again, because the reactor installs its own when it starts to run
    reactor.addSystemEventTrigger("after", "shutdown", leave_quietly)
    return gateway


def _leave(status: int) -> None:
    """End the process with this status."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


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

"""The metrics of a gateway: those of the program itself, and those of all packages in one registry."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from smsgw.frontends.callbacks.metrics import CallbackMetrics
from smsgw.frontends.smpp.metrics import BindMetrics
from smsgw.protocols.http.metrics import HttpMetrics
from smsgw.protocols.overload import OverloadMetrics
from smsgw.protocols.smpp.metrics import SmppMetrics
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.services.intake.metrics import IntakeMetrics
from smsgw.services.metrics import ServiceMetrics
from smsgw.services.outbox.metrics import OutboxMetrics
from smsgw.stores.metrics import StoreMetrics
from smsgw.telemetry import Counts, Gauges


class ProgramMetrics:
    """The metrics of one program.

    :param registry: exports the metrics; None: they are not exported.
    :ivar message_log: lines of the message log, by result, ``written`` or ``lost``.
    :ivar reloads: by result, ``taken``, ``partly`` or ``refused``. :ivar reloaded: 1 if the last one was taken.
    :ivar sessions: by listener, read at export. :ivar expiry: by listener with TLS, in seconds since 1970.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.reloads = Counts(
            "smsgw_config_reloads_total",
            "Reloads of the configuration, by result; partly: without listeners whose port is taken.",
            ["result"],
            registry=registry,
        )
        self.message_log = Counts(
            "smsgw_message_log_lines_total",
            "Lines of the message log: written, or lost because the disk failed or was too slow.",
            ["result"],
            registry=registry,
        )
        self.reloaded = Gauge(
            "smsgw_config_last_reload_success",
            "Whether the configuration was taken as a whole when it was last read: 1 or 0.",
            registry=registry,
        )
        self.reloaded.set(1)
        self.expiry = Gauges(
            "smsgw_certificate_expiry_timestamp_seconds",
            "When the certificate of a listener expires, in seconds since 1970.",
            ["listener"],
            registry=registry,
        )
        self.sessions = Gauges("smsgw_sessions", "Open connections, by listener.", ["listener"], registry=registry)


class Metrics:
    """The metrics of all packages for one gateway. A second gateway in the process has its own registry.

    :ivar registry: the metrics on /metrics: all of these, and those of the process.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.program = ProgramMetrics(registry)
        self.store = StoreMetrics(registry)
        self.services = ServiceMetrics(registry)
        self.intake = IntakeMetrics(registry)
        self.dispatch = DispatchMetrics(registry)
        self.outbox = OutboxMetrics(registry)
        self.smpp = SmppMetrics(registry)
        self.binds = BindMetrics(registry)
        self.http = HttpMetrics(registry)
        self.callbacks = CallbackMetrics(registry)
        self.overloads = OverloadMetrics(registry)

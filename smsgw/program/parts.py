"""The parts of the program as one value, for the modules of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from smsgw.config import Settings
from smsgw.dialects import Dialect
from smsgw.frontends.admin.frontend import AdminFrontend
from smsgw.frontends.callbacks.path import CallbackPath
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.interfaces import IConnector, IMessageStore
from smsgw.program.configured import Configured
from smsgw.program.messagelog import MessageLog
from smsgw.program.metrics import Metrics
from smsgw.program.ports import Ports
from smsgw.program.tls import ExpiryWatch
from smsgw.protocols.overload import Overloads
from smsgw.services.accounts import Accounts
from smsgw.services.cancel import Cancellation
from smsgw.services.clock import CheckedClock
from smsgw.services.contacts import Contacts
from smsgw.services.dispatch import Dispatch
from smsgw.services.fairworkers import FairWorkers
from smsgw.services.incoming import IncomingRouter
from smsgw.services.intake.intake import Intake
from smsgw.services.outbox.outbox import Outbox
from smsgw.services.passwords import WorkerPool
from smsgw.services.routing import Router
from smsgw.services.senders import Senders
from smsgw.services.sweep import Sweep
from smsgw.services.watch import Watch


@attrs.define(eq=False, kw_only=True)
class Parts:
    """All parts of the program except listeners.

    :ivar settings: the current configuration.
    :ivar configured: all parts that use it, except dispatch and the listeners' front ends, in the order in which
        a reload applies a new one; only the first, the accounts, may refuse it.
    :ivar reloaded: the result of the last reload: ``taken``, ``partly`` (but for listeners whose port is taken) or
        ``refused``. :ivar reactor: with monotonic ``seconds``. :ivar dialects: by name.
    :ivar password_checks, mail_reading: worker threads for slow functions. :ivar mail_workers: shares the latter.
    :ivar overloads: the limits that clients exceed now.
    :ivar connectors: the connectors by name; dispatch keeps them up to date.
    """

    settings: Settings
    configured: list[Configured]
    reactor: Any
    metrics: Metrics
    dialects: Mapping[str, Dialect]
    store: IMessageStore
    time: CheckedClock
    watch: Watch
    message_log: MessageLog | None
    password_checks: WorkerPool
    mail_reading: WorkerPool
    mail_workers: FairWorkers
    overloads: Overloads
    accounts: Accounts
    senders: Senders
    router: Router
    outbox: Outbox
    connectors: dict[str, IConnector]
    incoming: IncomingRouter
    dispatch: Dispatch
    intake: Intake
    contacts: Contacts
    cancelling: Cancellation
    sweep: Sweep
    smpp_receipts: SmppReceipts
    callbacks: CallbackPath
    ports: Ports
    expiry: ExpiryWatch
    admin: AdminFrontend | None = None
    reloaded: str = "taken"

    def note_reload(self, result: str) -> None:
        """Count a reload."""
        self.reloaded = result
        self.metrics.program.reloads[result] += 1
        self.metrics.program.reloaded.set(result == "taken")

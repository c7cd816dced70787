"""The parts of the program as one value, for the modules of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from smsgw.config import Settings
from smsgw.dialects import Dialect
from smsgw.frontends.callbacks.path import CallbackPath
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.interfaces import IConnector, IMessageStore
from smsgw.program.messagelog import MessageLog
from smsgw.program.metrics import Metrics
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


class Configured(Protocol):
    """A part that uses the configuration."""

    def apply(self, settings: Settings) -> None:
        """Use `settings` from now on, or raise ConfigErrors and change nothing."""


@attrs.define(eq=False, kw_only=True)
class Parts:
    """All parts of the program except listeners.

    :ivar settings: the current configuration.
    :ivar configured: all parts that use it, in the order in which a reload applies a new one; only the first, the
        accounts, may refuse it. :ivar reactor: with monotonic ``seconds``. :ivar dialects: by name.
    :ivar password_checks, mail_reading: worker threads for slow functions. :ivar mail_workers: shares the latter.
    :ivar overloads: the limits that clients exceed now.
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
    connectors: Mapping[str, IConnector]
    incoming: IncomingRouter
    dispatch: Dispatch
    intake: Intake
    contacts: Contacts
    cancelling: Cancellation
    sweep: Sweep
    smpp_receipts: SmppReceipts
    callbacks: CallbackPath

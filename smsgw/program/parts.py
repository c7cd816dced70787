"""The parts that the program is made of, as the modules of this package hand them to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from smsgw.config import Settings
from smsgw.frontends.callbacks.path import CallbackPath
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.interfaces import IConnector, IMessageStore
from smsgw.program.metrics import Metrics
from smsgw.services.accounts import Accounts
from smsgw.services.cancel import Cancellation
from smsgw.services.contacts import Contacts
from smsgw.services.dispatch import Dispatch
from smsgw.services.incoming import IncomingRouter
from smsgw.services.intake.intake import Intake
from smsgw.services.outbox.outbox import Outbox
from smsgw.services.passwords import WorkerPool
from smsgw.services.routing import Router
from smsgw.services.senders import Senders
from smsgw.services.sweep import Sweep


class Configured(Protocol):
    """A part that keeps something of the configuration."""

    def apply(self, settings: Settings) -> None:
        """Go by `settings` from now on, or raise and go on as before."""


@attrs.define(eq=False, kw_only=True)
class Parts:
    """Everything that runs, but for what listens.

    :ivar settings: the configuration in force.
    :ivar configured: all parts that keep something of it, in the order in which they take another one; only the first,
        the accounts, may refuse it. :ivar reactor: with monotonic ``seconds``.
    :ivar password_checks, mail_reading: worker threads for what takes long.
    """

    settings: Settings
    configured: list[Configured]
    reactor: Any
    metrics: Metrics
    store: IMessageStore
    password_checks: WorkerPool
    mail_reading: WorkerPool
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

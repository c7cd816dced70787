"""The parts that the program is made of, as the modules of this package hand them to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from smsgw.config import Settings
from smsgw.frontends.callbacks.path import CallbackPath
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.interfaces import IConnector, IMessageStore
from smsgw.program.metrics import Metrics
from smsgw.services.accounts import Accounts
from smsgw.services.cancel import Cancellation
from smsgw.services.contacts import Contacts
from smsgw.services.dispatch.dispatch import Dispatch
from smsgw.services.incoming import IncomingRouter
from smsgw.services.intake.intake import Intake
from smsgw.services.outbox.outbox import Outbox
from smsgw.services.passwords import WorkerPool
from smsgw.services.routing import Router
from smsgw.services.senders import Senders
from smsgw.services.sweep import Sweep


@attrs.define(eq=False, kw_only=True)
class Parts:
    """Everything that runs, but for what listens.

    :ivar settings: the configuration in force. :ivar reactor: with monotonic ``seconds``.
    :ivar password_checks, mail_reading: worker threads for what takes long.
    """

    settings: Settings
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

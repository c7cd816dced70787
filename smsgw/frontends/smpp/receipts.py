"""Receipts to ESMEs: over all sessions of an account that receive, by turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from twisted.logger import Logger
from zope.interface import implementer

from smsgw.config import Settings
from smsgw.frontends.smpp.binds import Binds
from smsgw.frontends.smpp.metrics import BindMetrics
from smsgw.frontends.smpp.status import AGAIN
from smsgw.interfaces import IReturnPath, IReturnSink, ISmppSession
from smsgw.model.message import Event
from smsgw.protocols.smpp.mapping import PATH, ReceiptWriter
from smsgw.smpp.consts import describe
from smsgw.smpp.pdus import Pdu

_log = Logger()


@implementer(IReturnPath)
class SmppReceipts:
    """Tells ESMEs what became of their messages, on any bind of the account that receives.

    :param binds: who is bound.
    """

    path = PATH

    def __init__(self, settings: Settings, binds: Binds, metrics: BindMetrics | None = None) -> None:
        self.binds = binds
        self._metrics = metrics or BindMetrics()
        self._sink: IReturnSink | None = None
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Write dates in the zone that is configured now, and unbind accounts that are gone or disabled."""
        self._write = ReceiptWriter(settings.gateway.timezone).write
        self.binds.expel_others({account.name for account in settings.accounts.values() if account.enabled})

    def attach(self, sink: IReturnSink) -> None:
        self._sink = sink

    def bound(self, session: ISmppSession) -> None:
        """`session` is bound; from now on it is told, if it receives."""
        self.binds.receive(session)
        self.ready(session)

    def ready(self, session: ISmppSession) -> None:
        """`session` has room again."""
        assert self._sink is not None
        if session.receives:
            self._sink.ready(session.bound.account)

    def room(self, account: str) -> int:
        return self.binds.room(account)

    def deliver(self, events: Sequence[Event]) -> None:
        """All events are of one account; its sessions take them by turns."""
        at = 0
        for session in self.binds.by_turns(events[0].message.account):
            room = session.room()
            if room > 0:
                session.send(self._written(events[at : at + room], session.version))
                at += room
                if at >= len(events):
                    return
        assert self._sink is not None
        self._sink.requeue(events[at:])

    def _written(self, events: Sequence[Event], version: int) -> list[tuple[object, Pdu]]:
        """The receipts of these events; one that cannot be written is put off alone and does not stop the others."""
        write = self._write
        try:
            return [(event, write(event, version)) for event in events]
        except Exception:  # noqa: BLE001 - found out and logged below, event by event
            return [pair for event in events for pair in self._written_alone(event, version)]

    def _written_alone(self, event: Event, version: int) -> list[tuple[object, Pdu]]:
        try:
            return [(event, self._write(event, version))]
        except Exception:  # noqa: BLE001 - a poisoned event must not stop the others; it is logged each time
            _log.failure("the receipt of message {id} cannot be written", id=event.message.id)
            assert self._sink is not None
            self._sink.retry([event], None)
            return []

    def answers(self, session: ISmppSession, answers: Sequence[tuple[object, int, Pdu | None]]) -> None:
        """The tokens are events."""
        account = session.bound.account
        sink = self._sink
        assert sink is not None
        told = [token for token, status, _ in answers if not status]
        if len(told) < len(answers):
            again = [token for token, status, _ in answers if status in AGAIN]
            lost = [token for token, status, _ in answers if status < 0]
            refused = [
                (token, status) for token, status, _ in answers if status > 0 and status not in AGAIN
            ]
            if refused:
                self._refused(account, refused[0][1], len(refused))
                told += [token for token, _ in refused]
            sink.retry(cast(list[Event], again), None)
            sink.requeue(cast(list[Event], lost))
        sink.acknowledged(cast(list[Event], told))
        sink.ready(account)

    def _refused(self, account: str, status: int, count: int) -> None:
        self._metrics.receipts_refused[account].inc(count)
        _log.info(
            "{account} refused {count} receipts, the first with {status}",
            account=account, count=count, status=describe(status),
        )

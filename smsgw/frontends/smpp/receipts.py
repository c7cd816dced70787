"""Who is bound, and the way back to them: receipts over whatever sessions of an account can receive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import Final, cast

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from smsgw.frontends.smpp.status import AGAIN
from smsgw.interfaces import IReturnPath, IReturnSink, ISmppSession
from smsgw.model.message import Event
from smsgw.protocols.smpp.mapping import PATH, ReceiptWriter
from smsgw.smpp.consts import describe
from smsgw.smpp.pdus import Pdu
from smsgw.telemetry import Counter, Gauge

BINDS: Final = Gauge("smsgw_smpp_binds", "SMPP sessions bound, by account.", ("account",))
REFUSED: Final = Counter(
    "smsgw_smpp_receipts_refused_total", "Receipts that an ESME answered with a permanent error.", ("account",)
)
_log = Logger()


@attrs.define(eq=False)
class _Binds:
    """The sessions of one account; in `receivers`, by turns, those that may be sent receipts if they take any."""

    sessions: list[ISmppSession] = attrs.field(factory=list)
    receivers: deque[ISmppSession] = attrs.field(factory=deque)


@implementer(IReturnPath)
class SmppReceipts:
    """Tells ESMEs what became of their messages, on any bind of the account that receives.

    One for all SMPP listeners: an account may submit through one and receive through another.

    :param zone: of the dates in receipts.
    """

    path = PATH

    def __init__(self, zone: tzinfo) -> None:
        self._write = ReceiptWriter(zone).write
        self._binds: dict[str, _Binds] = {}
        self._sink: IReturnSink | None = None

    def attach(self, sink: IReturnSink) -> None:
        """See :meth:`smsgw.interfaces.IReturnPath.attach`."""
        self._sink = sink

    def bound(self, account: str) -> int:
        """How many sessions the account has."""
        binds = self._binds.get(account)
        return 0 if binds is None else len(binds.sessions)

    def enter(self, session: ISmppSession, account: str) -> None:
        """`session` is bound for `account`; it gets receipts from its first ``answers`` on."""
        binds = self._binds.setdefault(account, _Binds())
        binds.sessions.append(session)
        BINDS.set(len(binds.sessions), account)

    def leave(self, session: ISmppSession) -> None:
        """`session` is gone."""
        account = session.bound.account
        binds = self._binds.get(account)
        if binds is None or session not in binds.sessions:
            return
        binds.sessions.remove(session)
        if session in binds.receivers:
            binds.receivers.remove(session)
        BINDS.set(len(binds.sessions), account)
        if not binds.sessions:
            del self._binds[account]

    def expel(self, accounts: Iterable[str]) -> None:
        """Unbind all sessions of these accounts, which are gone or disabled."""
        for account in accounts:
            binds = self._binds.get(account)
            for session in list(binds.sessions) if binds is not None else ():
                session.close()

    def room(self, account: str) -> int:
        """See :meth:`smsgw.interfaces.IReturnPath.room`."""
        binds = self._binds.get(account)
        return 0 if binds is None else sum([session.room() for session in binds.receivers])

    def deliver(self, events: Sequence[Event]) -> None:
        """See :meth:`smsgw.interfaces.IReturnPath.deliver`: all of one account, by turns over its sessions."""
        binds = self._binds.get(events[0].message.account)
        at = 0
        if binds is not None:
            binds.receivers.rotate(-1)
            for session in list(binds.receivers):
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
        """See :meth:`smsgw.interfaces.ISmppDelegate.answers`; the tokens are events."""
        account = session.bound.account
        binds = self._binds.get(account)
        if binds is not None and session in binds.sessions and session not in binds.receivers:
            binds.receivers.append(session)
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

    @staticmethod
    def _refused(account: str, status: int, count: int) -> None:
        REFUSED.add(count, account)
        _log.info(
            "{account} refused {count} receipts, the first with {status}",
            account=account, count=count, status=describe(status),
        )

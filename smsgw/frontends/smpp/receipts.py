"""The return path to ESMEs: receipts over the session that submitted, else over the account's others in turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, cast

from twisted.logger import Logger
from zope.interface import implementer

from smsgw.config import Settings
from smsgw.dialects import SmppManner
from smsgw.frontends.smpp.binds import Binds
from smsgw.frontends.smpp.metrics import BindMetrics
from smsgw.frontends.smpp.origins import Origin
from smsgw.interfaces import IReturnPath, IReturnSink, ISmppSession
from smsgw.model.message import Event
from smsgw.protocols.smpp.mapping import PATH
from smsgw.protocols.smpp.receipts import ReceiptWriter
from smsgw.smpp.consts import Status, describe
from smsgw.smpp.pdus import Pdu

AGAIN: Final = frozenset(
    {Status.ESME_RSYSERR, Status.ESME_RMSGQFUL, Status.ESME_RTHROTTLED, Status.ESME_RX_T_APPN}
)
"""Statuses of deliver_sm_resp after which the receipt is sent again later (5.0 section 4.7.6)."""

MOST_HELD: Final = 1_000
"""The most receipts of an account that wait for the sessions they belong to; further ones go to any session."""

Write = Callable[[Event, int], Pdu]
"""Returns the deliver_sm of an event for a version."""

_log = Logger()


@implementer(IReturnPath)
class SmppReceipts:
    """The return path ``smpp``: sends receipts over receiving sessions of the account.

    Several programs may use one account, so a receipt goes to the session that :meth:`Binds.nearest` prefers. It waits
    for that session while its window is full, unless too many wait. A receipt has the form of the listener that
    accepted its message.

    :param binds: the bound sessions.
    """

    path = PATH

    def __init__(self, settings: Settings, binds: Binds, metrics: BindMetrics | None = None) -> None:
        self.binds = binds
        self._metrics = metrics or BindMetrics()
        self._manners: dict[str, SmppManner] = {}
        self._sink: IReturnSink | None = None
        self._held: dict[str, dict[Origin, deque[Event]]] = {}
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Take the time zone of the settings; unbind the sessions of removed and disabled accounts."""
        self._zone = settings.gateway.timezone
        self._writers: dict[str, Write] = {}
        for name, manner in self._manners.items():
            self.add_listener(name, manner)
        self.binds.expel_others({account.name for account in settings.accounts.values() if account.enabled})

    def add_listener(self, name: str, manner: SmppManner) -> None:
        """Set the form of receipts for messages accepted by the listener `name`."""
        self._manners[name] = manner
        self._writers[name] = ReceiptWriter(manner, self._zone).write

    def attach(self, sink: IReturnSink) -> None:
        self._sink = sink

    def bound(self, session: ISmppSession) -> None:
        """Allow receipts over `session`, which was bound, if it receives."""
        self.binds.receive(session)
        self.ready(session)

    def ready(self, session: ISmppSession) -> None:
        """Send what waits for `session`, and report to the outbox that it has room."""
        assert self._sink is not None
        if session.receives:
            self._send_held(session)
            self._sink.ready(session.bound.account)

    def closed(self, session: ISmppSession) -> None:
        """Take a session out that has ended; what waits for it, or for another of the account, is distributed anew."""
        self.binds.leave(session)
        held = self._held.pop(session.bound.account, None)
        if held is not None:
            assert self._sink is not None
            for waiting in held.values():
                self._sink.requeue(waiting)

    def room(self, account: str) -> int:
        return self.binds.room(account)

    def deliver(self, events: Sequence[Event]) -> None:
        """Send receipts of one account, each over the sessions that its origin prefers, in turns."""
        account = events[0].message.account
        receivers = self.binds.by_turns(account)
        if len(receivers) > 1:
            events = self._send_to_nearest(account, events, receivers)
        rest = self._send(events, receivers)
        if rest:
            assert self._sink is not None
            self._sink.requeue(rest)

    def _send_to_nearest(
        self, account: str, events: Sequence[Event], receivers: Sequence[ISmppSession]
    ) -> Sequence[Event]:
        """Send receipts whose origin prefers some of the `receivers`, or hold them; return the others."""
        others: list[Event] = []
        for origin, own in self.binds.by_origin(account, events):
            nearest = self.binds.nearest(account, origin) if origin is not None else receivers
            if origin is None or len(nearest) == len(receivers):
                others += own
                continue
            if len(nearest) > 1:
                nearest = [session for session in receivers if session in nearest]
            others += self._hold(account, origin, self._send(own, nearest))
        return others

    def _send(self, events: Sequence[Event], sessions: Sequence[ISmppSession]) -> Sequence[Event]:
        """Send receipts over the sessions, each up to its room; return those for which there is none."""
        at = 0
        for session in sessions:
            room = session.room()
            if room > 0 and at < len(events):
                session.send(self._written(events[at : at + room], session))
                at += room
        return events[at:]

    def _hold(self, account: str, origin: Origin, events: Sequence[Event]) -> Sequence[Event]:
        """Have events wait for the sessions of their origin; return those that are too many."""
        if not events:
            return events
        held = self._held.setdefault(account, {})
        free = MOST_HELD - sum(map(len, held.values()))
        held.setdefault(origin, deque()).extend(events[:free])
        return events[free:]

    def _send_held(self, session: ISmppSession) -> None:
        """Send what waits for `session`, up to its room."""
        account = session.bound.account
        held = self._held.get(account)
        if held is None:
            return
        for origin, waiting in list(held.items()):
            if session in self.binds.nearest(account, origin):
                while waiting and (room := session.room()) > 0:
                    events = [waiting.popleft() for _ in range(min(room, len(waiting)))]
                    session.send(self._written(events, session))
                if not waiting:
                    held.pop(origin, None)
        if not held:
            self._held.pop(account, None)

    def _written(self, events: Sequence[Event], session: ISmppSession) -> list[tuple[object, Pdu]]:
        """Return the receipts of events; an event whose receipt cannot be written is retried later.

        If the listener of a message does not exist any more, the receipt has the form of the session's listener.
        """
        version = session.version
        writer, own = self._writers.get, self._writers[session.bound.listener]
        try:
            return [(event, writer(event.message.listener, own)(event, version)) for event in events]
        except Exception:  # noqa: BLE001 - found out and logged below, event by event
            return [pair for event in events for pair in self._written_alone(event, own, version)]

    def _written_alone(self, event: Event, own: Write, version: int) -> list[tuple[object, Pdu]]:
        try:
            return [(event, self._writers.get(event.message.listener, own)(event, version))]
        except Exception:  # noqa: BLE001 - a poisoned event must not stop the others; it is logged each time
            _log.failure("the receipt of message {id} cannot be written", id=event.message.id)
            assert self._sink is not None
            self._sink.retry([event], None)
            return []

    def answers(self, session: ISmppSession, answers: Sequence[tuple[object, int, Pdu | None]]) -> None:
        """Report the answers to receipts to the outbox; the tokens are events."""
        account = session.bound.account
        sink = self._sink
        assert sink is not None
        acknowledged = [token for token, status, _ in answers if not status]
        if len(acknowledged) < len(answers):
            again = [token for token, status, _ in answers if status in AGAIN]
            lost = [token for token, status, _ in answers if status < 0]
            refused = [
                (token, status) for token, status, _ in answers if status > 0 and status not in AGAIN
            ]
            if refused:
                self._refused(account, refused[0][1], len(refused))
                acknowledged += [token for token, _ in refused]
            if lost and session.room():  # it is bound, but does not answer: another one of the account may
                self.binds.forget(account, cast(list[Event], lost))
            sink.retry(cast(list[Event], again), None)
            sink.requeue(cast(list[Event], lost))
        sink.acknowledged(cast(list[Event], acknowledged))
        self._send_held(session)
        sink.ready(account)

    def _refused(self, account: str, status: int, count: int) -> None:
        self._metrics.receipts_refused[account] += count
        _log.info(
            "{account} refused {count} receipts, the first with {status}",
            account=account, count=count, status=describe(status),
        )

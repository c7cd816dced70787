"""The bound sessions of each account over all SMPP listeners, those that receive, and who submitted which messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence

import attrs

from smsgw.frontends.smpp.metrics import BindMetrics
from smsgw.frontends.smpp.origins import Origin, Origins
from smsgw.interfaces import ISmppSession
from smsgw.model.message import Event


@attrs.define(eq=False)
class _OfAccount:
    """The sessions of one account.

    :ivar origins: of what each session submits, once its bind was answered.
    :ivar receivers: the sessions that receive, in the order of their turns.
    :ivar nearest: the receivers that each origin prefers; emptied whenever `receivers` changes.
    """

    sessions: list[ISmppSession] = attrs.field(factory=list)
    origins: dict[ISmppSession, Origin] = attrs.field(factory=dict)
    receivers: deque[ISmppSession] = attrs.field(factory=deque)
    nearest: dict[Origin, Sequence[ISmppSession]] = attrs.field(factory=dict)

    def find_nearest(self, origin: Origin) -> Sequence[ISmppSession]:
        """Return the receivers that `origin` prefers, see :meth:`Binds.nearest`."""
        known = self.nearest.get(origin)
        if known is None:
            alike = [one for one in self.receivers if one.bound.system_type == origin.system_type]
            itself = [one for one in alike if one is origin.session]
            known = itself or [one for one in alike if one.peer == origin.peer] or alike or list(self.receivers)
            self.nearest[origin] = known
        return known


class Binds:
    """The bound sessions of all SMPP listeners: an account may submit over one listener and receive over another."""

    def __init__(self, metrics: BindMetrics | None = None) -> None:
        self._metrics = metrics or BindMetrics()
        self._accounts: dict[str, _OfAccount] = {}
        self._submitted: dict[str, Origins] = {}

    def count(self, account: str) -> int:
        """Return the number of sessions of the account."""
        own = self._accounts.get(account)
        return 0 if own is None else len(own.sessions)

    def enter(self, session: ISmppSession, account: str) -> None:
        """Add `session` to `account`, before its bind is answered."""
        own = self._accounts.setdefault(account, _OfAccount())
        own.sessions.append(session)
        self._metrics.binds[account].set(len(own.sessions))

    def receive(self, session: ISmppSession) -> None:
        """Allow receipts over `session` if it receives; its bind response was written."""
        own = self._accounts.get(session.bound.account)
        if own is None or session not in own.sessions or session in own.origins:
            return
        own.origins[session] = Origin(session, session.bound.system_type, session.peer)
        if session.receives:
            own.receivers.append(session)
            own.nearest.clear()

    def leave(self, session: ISmppSession) -> None:
        """Remove `session`."""
        account = session.bound.account
        own = self._accounts.get(account)
        if own is None or session not in own.sessions:
            return
        own.sessions.remove(session)
        origin = own.origins.pop(session, None)
        if origin is not None:
            origin.session = None
            own.nearest.clear()
        if session in own.receivers:
            own.receivers.remove(session)
        self._metrics.binds[account].set(len(own.sessions))
        if not own.sessions:
            del self._accounts[account]

    def expel_others(self, accounts: Collection[str]) -> None:
        """Unbind the sessions of all other accounts, and forget what they submitted."""
        self._submitted = {name: origins for name, origins in self._submitted.items() if name in accounts}
        gone = [own for name, own in self._accounts.items() if name not in accounts]
        for session in [session for own in gone for session in own.sessions]:
            session.close()

    def unbind_excess(self, account: str, allowed: int) -> None:
        """Unbind the oldest sessions of the account until `allowed` remain."""
        own = self._accounts.get(account)
        for session in own.sessions[:-allowed] if own is not None else ():
            self.leave(session)
            session.close()

    def room(self, account: str) -> int:
        """Return how many requests may be sent over the receiving sessions of the account now."""
        own = self._accounts.get(account)
        return 0 if own is None else sum([session.room() for session in own.receivers])

    def by_turns(self, account: str) -> list[ISmppSession]:
        """Return the receiving sessions of the account; each call begins with the next one."""
        own = self._accounts.get(account)
        if own is None:
            return []
        own.receivers.rotate(-1)
        return list(own.receivers)

    def submitted(self, session: ISmppSession, first: int, last: int) -> None:
        """Remember that `session` submitted the messages with the ids from `first` to `last` of its account."""
        account = session.bound.account
        own = self._accounts.get(account)
        origin = own.origins.get(session) if own is not None else None
        if origin is not None:
            origins = self._submitted.get(account)
            if origins is None:
                origins = self._submitted[account] = Origins()
            origins.record(first, last, origin)

    def forget(self, account: str, events: Iterable[Event]) -> None:
        """Prefer no session for the receipts of these messages any more."""
        origins = self._submitted.get(account)
        if origins is not None:
            for event in events:
                origins.record(event.message.id, event.message.id, None)

    def by_origin(self, account: str, events: Sequence[Event]) -> Iterable[tuple[Origin | None, Sequence[Event]]]:
        """Return the events by the session that submitted their messages; None: nothing is known of it."""
        origins = self._submitted.get(account)
        return [(None, events)] if origins is None else origins.split(events).items()

    def nearest(self, account: str, origin: Origin) -> Sequence[ISmppSession]:
        """Return the receiving sessions that `origin` prefers: the submitting one while it is bound; else those of the
        same system_type, if possible from the same address; else all of the account."""
        own = self._accounts.get(account)
        return () if own is None else own.find_nearest(origin)

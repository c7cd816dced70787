"""Who is bound: the sessions of each account over all SMPP listeners, and which of them may be sent receipts."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

import attrs

from smsgw.frontends.smpp.metrics import BindMetrics
from smsgw.interfaces import ISmppSession


@attrs.define(eq=False)
class _OfAccount:
    """The sessions of one account; in `receivers`, by turns, those that may be sent receipts."""

    sessions: list[ISmppSession] = attrs.field(factory=list)
    receivers: deque[ISmppSession] = attrs.field(factory=deque)


class Binds:
    """One for all SMPP listeners: an account may submit over one and receive over another."""

    def __init__(self, metrics: BindMetrics | None = None) -> None:
        self._metrics = metrics or BindMetrics()
        self._accounts: dict[str, _OfAccount] = {}

    def count(self, account: str) -> int:
        """How many sessions the account has."""
        own = self._accounts.get(account)
        return 0 if own is None else len(own.sessions)

    def enter(self, session: ISmppSession, account: str) -> None:
        """Count `session` for `account`: its bind is about to be answered."""
        own = self._accounts.setdefault(account, _OfAccount())
        own.sessions.append(session)
        self._metrics.binds[account].set(len(own.sessions))

    def receive(self, session: ISmppSession) -> None:
        """`session` is bound: if it receives, receipts may go there from now on."""
        own = self._accounts.get(session.bound.account)
        if session.receives and own is not None and session in own.sessions and session not in own.receivers:
            own.receivers.append(session)

    def leave(self, session: ISmppSession) -> None:
        """`session` is gone."""
        account = session.bound.account
        own = self._accounts.get(account)
        if own is None or session not in own.sessions:
            return
        own.sessions.remove(session)
        if session in own.receivers:
            own.receivers.remove(session)
        self._metrics.binds[account].set(len(own.sessions))
        if not own.sessions:
            del self._accounts[account]

    def expel_others(self, accounts: Collection[str]) -> None:
        """Unbind all sessions but those of these accounts."""
        gone = [own for name, own in self._accounts.items() if name not in accounts]
        for session in [session for own in gone for session in own.sessions]:
            session.close()

    def unbind_excess(self, account: str, allowed: int) -> None:
        """Unbind the oldest sessions of the account, so that as many stay as are `allowed`."""
        own = self._accounts.get(account)
        for session in own.sessions[:-allowed] if own is not None else ():
            self.leave(session)
            session.close()

    def room(self, account: str) -> int:
        """How many requests of ours the receiving sessions of the account take now."""
        own = self._accounts.get(account)
        return 0 if own is None else sum([session.room() for session in own.receivers])

    def by_turns(self, account: str) -> Iterator[ISmppSession]:
        """The receiving sessions of the account; each call begins with the next one."""
        own = self._accounts.get(account)
        if own is None:
            return iter(())
        own.receivers.rotate(-1)
        return iter(list(own.receivers))

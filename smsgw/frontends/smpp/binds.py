"""The bound sessions of each account over all SMPP listeners, and those that receive."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

import attrs

from smsgw.frontends.smpp.metrics import BindMetrics
from smsgw.interfaces import ISmppSession


@attrs.define(eq=False)
class _OfAccount:
    """The sessions of one account; `receivers` has those that receive, in the order of their turns."""

    sessions: list[ISmppSession] = attrs.field(factory=list)
    receivers: deque[ISmppSession] = attrs.field(factory=deque)


class Binds:
    """The bound sessions of all SMPP listeners: an account may submit over one listener and receive over another."""

    def __init__(self, metrics: BindMetrics | None = None) -> None:
        self._metrics = metrics or BindMetrics()
        self._accounts: dict[str, _OfAccount] = {}

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
        if session.receives and own is not None and session in own.sessions and session not in own.receivers:
            own.receivers.append(session)

    def leave(self, session: ISmppSession) -> None:
        """Remove `session`."""
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
        """Unbind the sessions of all other accounts."""
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

    def by_turns(self, account: str) -> Iterator[ISmppSession]:
        """Return the receiving sessions of the account; each call begins with the next one."""
        own = self._accounts.get(account)
        if own is None:
            return iter(())
        own.receivers.rotate(-1)
        return iter(list(own.receivers))

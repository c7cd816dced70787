"""All sessions of one factory: looked at once a second, counted, and ended together."""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

_SWEEP: Final = 1.0
"""Seconds between two looks at what has taken too long: the precision of all timers here."""

log: Final = Logger()


class Swept(Protocol):
    """What is looked at."""

    peer: str

    def sweep(self, now: float) -> None:
        """Do what is due."""

    def close(self, why: str) -> None:
        """Take leave in good order."""

    def abort(self, why: str) -> None:
        """Go at once."""


class Sessions:
    """The connections that there are, and those of them that are not bound yet.

    One timer serves them all, and none runs while there is nobody.

    :ivar draining: :meth:`shut_down` has been called.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.all: set[Swept] = set()
        self.unbound: set[Swept] = set()
        self.draining = False
        self._next: IDelayedCall | None = None
        self._cut_off: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []

    def add(self, session: Swept) -> None:
        """It has connected."""
        self.all.add(session)
        self.unbound.add(session)
        if self._next is None:
            self._next = self.clock.callLater(_SWEEP, self._sweep)

    def discard(self, session: Swept) -> None:
        """It is gone."""
        self.all.discard(session)
        self.unbound.discard(session)
        if not self.all:
            self._stop()

    def unbound_from(self, peer: str) -> int:
        """How many connections of one address have not bound."""
        return sum(session.peer == peer for session in self.unbound)

    def shut_down(self, within: float | None) -> Deferred[None]:
        """Take leave of everybody; the Deferred fires when nobody is left.

        :param within: seconds after which whoever is left is cut off; None: only the sessions' own patience ends it.
        """
        self.draining = True
        if not self.all:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._waiting.append(gone)
        if within is not None and self._cut_off is None:
            self._cut_off = self.clock.callLater(within, self._abort_all)
        for session in list(self.all):
            session.close("we are shutting down")
        return gone

    def _abort_all(self) -> None:
        self._cut_off = None
        for session in list(self.all):
            session.abort("it did not take leave in time")

    def _sweep(self) -> None:
        self._next = self.clock.callLater(_SWEEP, self._sweep)
        now = self.clock.seconds()
        for session in list(self.all):
            try:
                session.sweep(now)
            except Exception:  # noqa: BLE001 - one session's fault must not stop the timers of the others
                log.failure("timers of the SMPP session with {peer}", peer=session.peer)
                session.abort("an internal error")

    def _stop(self) -> None:
        for call in (self._next, self._cut_off):
            if call is not None and call.active():
                call.cancel()
        self._next = self._cut_off = None
        waiting, self._waiting = self._waiting, []
        for gone in waiting:
            gone.callback(None)

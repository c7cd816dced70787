"""The end of connectors that a reload removes or replaces, while the gateway runs.

A pump that leaves claims and sends nothing more. Its connector is stopped, which waits for outstanding outcomes; parts
without one after the time for a stop are lost, and the connector's ``on_unknown`` decides about them. The pump has left
when the store has all that it knows.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.services.dispatch.pump import Pump

_log: Final = Logger()


class Departures:
    """The pumps that leave.

    :ivar leaving: each with the Deferred that its coroutine waits for, None while its connector stops.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.leaving: dict[Pump, Deferred[None] | None] = {}
        self._waiting: list[tuple[str, Deferred[None]]] = []

    def __contains__(self, name: object) -> bool:
        """Whether a pump of this name is leaving."""
        return any(pump.name == name for pump in self.leaving)

    async def leave(self, pump: Pump, within: float) -> None:
        """Let a pump leave; its connector may take so many seconds to stop."""
        self.leaving[pump] = None
        pump.depart()
        if pump.started:
            stopping: Deferred[object] = maybeDeferred(pump.connector.stop)
            try:
                await stopping.addTimeout(within, self._clock)
            except TooLate:
                _log.warn(
                    "{connector} was not waited for any longer; {count} parts are in doubt",
                    connector=pump.name,
                    count=len(pump.inflight),
                )
            except Exception:  # noqa: BLE001 - a fault of a connector must not keep its messages
                _log.failure("connector {connector} did not stop in order", connector=pump.name)
        pump.abandon()
        settled: Deferred[None] = Deferred()
        self.leaving[pump] = settled
        self.check()
        await settled
        del self.leaving[pump]
        self._tell()

    def check(self) -> None:
        """A commit has ended: pumps may have left."""
        for pump, settled in list(self.leaving.items()):
            if settled is not None and not settled.called and pump.settled:
                settled.callback(None)

    def gone(self, name: str = "") -> Deferred[None]:
        """Return a Deferred that fires when no pump of this name (empty: no pump) is leaving any more."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((name, waiting))
        self._tell()
        return waiting

    def _tell(self) -> None:
        for entry in list(self._waiting):
            name, waiting = entry
            if name not in self if name else not self.leaving:
                self._waiting.remove(entry)
                if not waiting.called:
                    waiting.callback(None)

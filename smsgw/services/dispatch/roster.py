"""The connectors with their pumps, by name. A reload adds, replaces and removes them without touching the others."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from smsgw.config import Settings
from smsgw.interfaces import IConnector, IConnectorSink
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.services.dispatch import recovery
from smsgw.services.dispatch.context import Context
from smsgw.services.dispatch.departures import Departures
from smsgw.services.dispatch.pump import Pump
from smsgw.services.dispatch.stranded import Stranded

AGAIN: Final = 1.0
"""Seconds after which what waits for a new connector is read again, if the store failed."""

_log = Logger()


class Roster:
    """The pumps of one dispatch.

    :param connectors: all connectors by name; this object keeps the dict up to date.
    :param sink: returns what the connector of a pump reports to.
    :ivar pumps: those that take messages, by name. :ivar departures: those that leave.
    :ivar stranded: the waiting messages of connectors that are not configured.
    :ivar closed: whether the gateway stops: no connector is started any more.
    """

    def __init__(
        self,
        settings: Settings,
        connectors: dict[str, IConnector],
        context: Context,
        sink: Callable[[Pump], IConnectorSink],
    ) -> None:
        self._connectors = connectors
        self._context = context
        self._sink = sink
        self.closed = False
        self.pumps = {name: self._pump(name, connector, settings) for name, connector in connectors.items()}
        self.departures = Departures(context.clock)
        self.stranded = Stranded(context, self.pumps, self.departures)

    def _pump(self, name: str, connector: IConnector, settings: Settings) -> Pump:
        return Pump(connector, settings.connectors[name], settings.gateway.report_timeout, self._context)

    def start(self, pump: Pump) -> None:
        """Start the connector of a pump."""
        pump.start(self._sink(pump))

    def apply(self, settings: Settings, made: Mapping[str, IConnector]) -> None:
        """Use new settings; see :meth:`.Dispatch.apply`."""
        new = {
            name: self._pump(name, connector, settings)
            for name, connector in made.items()
            if name not in self.pumps or not self.pumps[name].adjust(settings.connectors[name])
        }
        gone = [pump for name, pump in self.pumps.items() if name not in settings.connectors or name in new]
        for pump in gone:
            del self.pumps[pump.name]
        for name, pump in self.pumps.items():
            pump.apply(settings.connectors[name], settings.gateway.report_timeout)
        # A new pump queues the messages that come from now on; it sends them when the former one has left.
        self.pumps.update(new)
        for pump in gone:
            self._in_background(self._leave(pump, settings.gateway.drain), pump.name)
        for pump in new.values():
            self._in_background(self._enter(pump), pump.name)
        self.stranded.look()

    async def _leave(self, pump: Pump, within: float) -> None:
        await self.departures.leave(pump, within)
        if pump.name not in self.pumps and pump.name not in self.departures:
            self._connectors.pop(pump.name, None)
            self._context.metrics.forget(pump.name)
            self._context.paused.discard(pump.name)
            await self._log_removed(pump.name)
            self.stranded.look()

    async def _log_removed(self, name: str) -> None:
        try:
            awaited = len(await self._context.store.awaited_receipts(name, (0, 0), recovery.PAGE))
        except (StoreDown, UnknownOutcome):
            awaited = 0
        if not awaited:
            _log.info("connector {connector} is removed", connector=name)
            return
        _log.warn(
            "connector {connector} is removed; receipts of {count} parts {more}are awaited from it: without it these"
            " parts become unknown after report_timeout",
            connector=name,
            count=awaited,
            more="or more " if awaited == recovery.PAGE else "",
        )

    async def _enter(self, pump: Pump) -> None:
        """Start a connector while the gateway runs, when the one that it replaces has stopped."""
        await self.departures.gone(pump.name)
        if not self._is_current(pump):
            return
        self._connectors[pump.name] = pump.connector
        self.start(pump)
        _log.info("connector {connector} is started", connector=pump.name)
        while self._is_current(pump):
            try:
                await recovery.resume(self._context.store, pump)
            except (StoreDown, UnknownOutcome):
                await deferLater(self._context.clock, AGAIN)
            else:
                pump.open()
                return

    def _is_current(self, pump: Pump) -> bool:
        return self.pumps.get(pump.name) is pump and not self.closed

    @staticmethod
    def _in_background(work: Coroutine[Any, Any, None], connector: str) -> None:
        Deferred.fromCoroutine(work).addErrback(
            lambda failure: _log.failure("connector {connector} was not changed", failure, connector=connector)
        )

"""The way of an accepted message to its connector, and of the connector's answers into the store.

One rule carries it: a message is claimed in the store before it is offered, and its slot of the window is free when
the outcome is committed. Messages that find room are claimed with their acceptance; the others wait in a
:class:`~smsgw.services.dispatch.backlog.Backlog` and are claimed in the same commit that frees slots for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import ConnectorSettings
from smsgw.interfaces import IConnector, IConnectorSink, IMessageStore
from smsgw.model.errors import Refused
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import DeliveryReport, Incoming, Message, Part
from smsgw.model.outcome import Outcome
from smsgw.services.dispatch import recovery
from smsgw.services.dispatch.backlog import Backlog
from smsgw.services.dispatch.links import Links
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.services.dispatch.settlement import Settlement
from smsgw.services.dispatch.upstream import Upstream
from smsgw.services.dispatch.verdicts import Verdicts
from smsgw.services.incoming import IncomingSink
from smsgw.services.receipts import EventSink, Receipts

_QUEUED: Final = State.QUEUED
_log = Logger()


@implementer(IConnectorSink)
class Dispatch:
    """Implements :class:`~smsgw.interfaces.IConnectorSink`, and what intake, cancelling and the sweep need.

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param wall: absolute seconds since 1970.
    :param links: the connectors with the settings of their sections.
    :param reroute: the connector that a message shall take now: its own while that is up, else another of its route.
    :param inbound: takes what comes from subscribers.
    :param report_timeout: seconds after which a part without a receipt is given up.
    :param memory: waiting messages kept in memory per connector.
    :param down: names of connectors whose link is down; kept true in place.
    :param refusing: names of those that have been down for longer than their ``refuse_after``; kept true in place.
    """

    def __init__(
        self,
        store: IMessageStore,
        outbox: EventSink,
        clock: IReactorTime,
        wall: Callable[[], float],
        links: Iterable[tuple[IConnector, ConnectorSettings]],
        reroute: Callable[[Message], str],
        *,
        inbound: IncomingSink,
        report_timeout: float,
        memory: int = 20_000,
        down: set[str] | None = None,
        refusing: set[str] | None = None,
        metrics: DispatchMetrics | None = None,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._inbound = inbound
        self._wall = wall
        self._reroute = reroute
        self._metrics = metrics = metrics or DispatchMetrics()
        self._receipts = Receipts(store, outbox, metrics.receipts)
        self._upstreams: dict[str, Upstream] = {}
        self._links = Links(clock, set() if down is None else down, set() if refusing is None else refusing)
        self._settlement = Settlement(store, outbox, clock, wall, self._upstreams, self._links)
        for connector, settings in links:
            self._upstreams[settings.name] = self._upstream(connector, settings, report_timeout, memory)

    def _upstream(
        self, connector: IConnector, settings: ConnectorSettings, report_timeout: float, memory: int
    ) -> Upstream:
        name, metrics = settings.name, self._metrics
        busy: set[int] = set()
        backlog = Backlog(name, self._store, partial(self._roused, name), busy, capacity=memory)
        upstream = Upstream(
            connector, settings, backlog, Verdicts(settings, self._reroute, metrics), report_timeout, busy, metrics
        )
        metrics.up[name].set_function(lambda: connector.up)
        metrics.room[name].set_function(connector.room)
        metrics.waiting[name].set_function(lambda: len(backlog))
        metrics.outstanding[name].set_function(lambda: upstream.outstanding)
        return upstream

    # What intake, cancelling and the gateway call.

    def reserve(self, messages: Sequence[Message]) -> None:
        """Before the commit that accepts `messages`: mark as claimed those that can be offered right after it.

        Then exactly one of :meth:`stored` and :meth:`unstored` follows, with the same list.
        """
        name = None
        room = 0
        for message in messages:
            if message.state is not _QUEUED:
                continue
            if message.connector != name:
                name = message.connector
                upstream = self._upstreams[name]
                room = upstream.free_for_new()
            parts = message.parts
            if parts <= room or (room > 0 and upstream.idle):
                message.claimed = True
                room -= parts
                upstream.reserved += parts
            else:
                room = 0
                upstream.coming += 1

    def stored(self, messages: Sequence[Message]) -> None:
        """After the commit that accepted `messages`: offer what was claimed, queue the rest."""
        if not messages:
            return
        name = messages[0].connector
        claimed = [Part(one, 1) for one in messages if one.claimed and one.parts == 1 and one.connector == name]
        if len(claimed) == len(messages):
            self._settlement.send(self._upstreams[name], claimed)
            return
        offers: dict[Upstream, list[Part]] = {}
        waiting: dict[Upstream, list[Message]] = {}
        for message in messages:
            if message.state is _QUEUED:
                upstream = self._upstreams[message.connector]
                if message.claimed:
                    offers.setdefault(upstream, []).extend(upstream.parts(message))
                else:
                    upstream.coming -= 1
                    waiting.setdefault(upstream, []).append(message)
        for upstream, parts in offers.items():
            self._settlement.send(upstream, parts)
        for upstream, queued in waiting.items():
            upstream.backlog.add(queued)
            self._settlement.pump(upstream)

    def unstored(self, messages: Sequence[Message]) -> None:
        """The commit failed: give back what was reserved."""
        for message in messages:
            if message.state is not _QUEUED:
                continue
            upstream = self._upstreams[message.connector]
            if message.claimed:
                message.claimed = False
                upstream.reserved -= message.parts
            else:
                upstream.coming -= 1

    def cancelled(self, messages: Sequence[Message]) -> None:
        """These are no longer queued."""
        self.release(messages)

    def release(self, messages: Sequence[Message]) -> list[Message]:
        """Take queued messages out of memory; returns those of them whose claim is not under way just now."""
        released = []
        leaving: dict[str, list[int]] = {}
        for message in messages:
            upstream = self._upstreams.get(message.connector)
            if upstream is None or message.id not in upstream.busy:
                released.append(message)
                leaving.setdefault(message.connector, []).append(message.id)
        for name, ids in leaving.items():
            if name in self._upstreams:
                self._upstreams[name].forget(ids)
        return released

    def promoted(self, found: Sequence[tuple[str, str, int]]) -> Deferred[None]:
        """(connector, account, id) of queued messages whose time came: they join those that wait."""
        return ensureDeferred(self._promoted([id for _, _, id in found]))

    async def _promoted(self, ids: Sequence[int]) -> None:
        messages = [message for same in await self._store.find(None, ids) for message in same]
        waiting = [message for message in messages if not message.claimed and message.state not in FINAL]
        homeless = [message for message in waiting if message.connector not in self._upstreams]
        if homeless:
            await recovery.move(self._store, homeless, self._upstreams, self._reroute)
        arrived: dict[str, list[Message]] = {}
        for message in waiting:
            upstream = self._upstreams.get(message.connector)
            if upstream and message.id not in upstream.busy:
                arrived.setdefault(message.connector, []).append(message)
        for name, own in arrived.items():
            self._upstreams[name].backlog.add(own)
            self._settlement.pump(self._upstreams[name])

    def start(self) -> Deferred[None]:
        """Settle what the last run left, start the connectors, begin to offer.

        :raises StoreDown: or UnknownOutcome, through the Deferred.
        """
        return ensureDeferred(self._start())

    async def _start(self) -> None:
        upstreams = self._upstreams
        await recovery.reclaim(self._store, self._outbox, upstreams, self._reroute, self._wall, self._metrics)
        await recovery.rehome(self._store, upstreams, self._reroute)
        for upstream in upstreams.values():
            upstream.connector.start(self)
            self._links.watch(upstream)
        for upstream in upstreams.values():
            await recovery.resume(self._store, upstream)
            upstream.opened = True
            self._settlement.pump(upstream)

    def drain(self) -> Deferred[None]:
        """Offer nothing more; fires when every outcome is committed and every connector has stopped.

        What was not offered goes back to the queue. Cancellation this cancels the stop of each connector, and does not
        wait for answers any longer.
        """
        self._links.closing = True
        for upstream in self._upstreams.values():
            upstream.opened = False
            self._settlement.recall(upstream)
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        """The waits behind :meth:`drain`. A DeferredList that has fired would not pass a cancellation on."""
        stopping: list[Deferred[object]] = [
            maybeDeferred(upstream.connector.stop) for upstream in self._upstreams.values()
        ]
        results: Sequence[tuple[bool, object]] = await DeferredList(stopping, consumeErrors=True)
        cut_short = False
        for (_, result), upstream in zip(results, self._upstreams.values(), strict=True):
            if isinstance(result, Failure):
                if result.check(CancelledError):
                    cut_short = True
                    _log.warn(
                        "{connector} was not waited for any longer; {count} parts are in doubt",
                        connector=upstream.name,
                        count=upstream.outstanding,
                    )
                else:
                    _log.failure("connector {connector} did not stop in order", result, connector=upstream.name)
        if not cut_short:
            await self._settlement.when_quiet()

    def tick(self) -> None:
        """Once a second: notice links that went, move what waits for them, fetch what has room."""
        for upstream in self._upstreams.values():
            self._links.watch(upstream)
            if upstream.down_since is not None:
                self._settlement.recall(upstream)
                self._settlement.move(upstream)
            upstream.backlog.refill()
            self._settlement.pump(upstream)

    # What connectors call.

    def outcomes(self, connector: str, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        """See :meth:`smsgw.interfaces.IConnectorSink.outcomes`."""
        upstream = self._upstreams[connector]
        upstream.answers += outcomes
        if upstream.connector.up == (upstream.down_since is not None):
            self._links.watch(upstream)
        self._settlement.settle(upstream)
        if upstream.down_since is not None:
            self._settlement.recall(upstream)

    def receipts(self, connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """See :meth:`smsgw.interfaces.IConnectorSink.receipts`."""
        return self._receipts.receipts(connector, reports)

    def incoming(self, connector: str, incoming: Sequence[Incoming]) -> Deferred[list[Refused | None]]:
        """See :meth:`smsgw.interfaces.IConnectorSink.incoming`."""
        return self._inbound.incoming(connector, incoming)

    def ready(self, connector: str) -> None:
        """See :meth:`smsgw.interfaces.IConnectorSink.ready`."""
        upstream = self._upstreams[connector]
        self._links.watch(upstream)
        self._settlement.pump(upstream)

    def _roused(self, connector: str) -> None:
        self._settlement.pump(self._upstreams[connector])

"""Moves messages from their acceptance to their connector, and the outcomes of the connector into the store.

The rule is: a message is claimed in the store before it is sent, and its slot of the window is free after its outcome
is committed. Messages that find room are claimed in the commit that accepts them; the others wait in a
:class:`~smsgw.services.dispatch.backlog.Backlog` and are claimed in the same commit that frees slots for them.

A message passes here three times: :meth:`Dispatch.accept`, and :meth:`.Sink.outcomes` and :meth:`.Sink.receipts`, to
which its connector reports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.config import Settings
from smsgw.interfaces import IConnector, IMessageStore
from smsgw.model.changes import Changes, Committed, Conditional
from smsgw.model.errors import GatewayError
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import Message
from smsgw.services.clock import CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.dispatch import recovery
from smsgw.services.dispatch.context import Context
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.services.dispatch.pump import Pump, Reservation
from smsgw.services.dispatch.roster import Roster
from smsgw.services.dispatch.sink import Sink
from smsgw.services.incoming import IncomingSink
from smsgw.services.receipts import Receipts

_QUEUED: Final = State.QUEUED
_log = Logger()


class Dispatch:
    """Sends messages over connectors. Intake, cancelling and the sweep call it; connectors report to a
    :class:`~smsgw.services.dispatch.sink.Sink` each.

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param connectors: all of them by name, the name of their section; this object keeps the dict up to date when
        a reload changes the connectors.
    :param reroute: returns the connector for a message now: its own while that is up, else another of its route.
    :param incoming: takes messages, calls and keys of subscribers.
    :param memory: parts of waiting messages kept in memory per connector.
    :param down: names of connectors whose link is down; this object updates the set.
    :param refusing: names of connectors that have been down for longer than their ``refuse_after``; likewise.
    :param paused: names of connectors that an administrator has paused; likewise.
    """

    def __init__(
        self,
        settings: Settings,
        store: IMessageStore,
        commits: Commits,
        clock: IReactorTime,
        time: CheckedClock,
        connectors: dict[str, IConnector],
        reroute: Callable[[Message], str],
        *,
        incoming: IncomingSink,
        memory: int = 20_000,
        down: set[str] | None = None,
        refusing: set[str] | None = None,
        paused: set[str] | None = None,
        metrics: DispatchMetrics | None = None,
    ) -> None:
        self._store = store
        self._commits = commits
        self._incoming = incoming
        self._time = time
        self._reroute = reroute
        self._metrics = metrics = metrics or DispatchMetrics()
        self._receipts = Receipts(commits, metrics.receipts)
        self._quiet: Deferred[None] | None = None
        context = Context(
            store=store,
            commits=commits,
            clock=clock,
            time=time,
            reroute=reroute,
            memory=memory,
            down=set() if down is None else down,
            refusing=set() if refusing is None else refusing,
            paused=set() if paused is None else paused,
            requeued=self._enqueue,
            finished=self._check_quiet,
            metrics=metrics,
        )
        self._roster = roster = Roster(
            settings, connectors, context, lambda pump: Sink(pump, self._receipts, self._incoming)
        )
        self._pumps, self._departures, self._stranded = roster.pumps, roster.departures, roster.stranded

    @property
    def without_connector(self) -> Mapping[str, int]:
        """How many messages wait for a connector that is not configured any more, by its name."""
        return self._stranded.counts

    def apply(self, settings: Settings, made: Mapping[str, IConnector]) -> None:
        """Use new settings for each connector, and the new ``report_timeout``.

        A connector that is removed or replaced takes no further messages from now on, and is stopped
        in order (:mod:`smsgw.services.dispatch.departures`). The messages that wait for a removed connector take
        another route, or wait if there is none.

        :param made: connectors, not started, for sections that are new or have changed. They are started at once, or
            when the one that they replace has stopped; not if that one can take the changed settings itself.
        """
        self._roster.apply(settings, made)

    # What intake, cancelling and the sweep call.

    def accept(self, messages: list[Message], conditions: Sequence[Conditional] = ()) -> Deferred[Committed]:
        """Store new messages, send those for which there is room, and queue the others.

        Messages that are not QUEUED are stored as they are. A message whose condition does not hold is not stored, or
        stored in a final state.

        :return: fires with the result of the synced commit; or fails as
            :meth:`smsgw.interfaces.IMessageStore.commit` does, and nothing is sent.
        """
        reservations = self._reserve(messages)
        committing = self._commits.commit(Changes(accepts=messages, conditions=list(conditions)))
        return committing.addCallbacks(
            self._accepted,
            self._not_accepted,
            callbackArgs=(reservations, conditions),
            errbackArgs=(reservations,),
        )

    def _reserve(self, messages: Sequence[Message]) -> list[tuple[Pump, Reservation]]:
        """Reserve slots for messages, for each connector; nearly always there is one connector."""
        if not messages:
            return []
        name = messages[0].connector
        own = [message for message in messages if message.connector == name and message.state is _QUEUED]
        if len(own) == len(messages):
            pump = self._pumps[name]
            return [(pump, pump.reserve(messages))]
        by_name: dict[str, list[Message]] = {}
        for message in messages:
            if message.state is _QUEUED:
                by_name.setdefault(message.connector, []).append(message)
        return [(self._pumps[name], self._pumps[name].reserve(own)) for name, own in by_name.items()]

    def _accepted(
        self, committed: Committed, reservations: Sequence[tuple[Pump, Reservation]], conditions: Sequence[Conditional]
    ) -> Committed:
        if conditions:
            unmet = [one for one, why in zip(conditions, committed.conditions, strict=True) if why is not None]
            reservations = _without({message.id for one in unmet for message in one.messages}, reservations)
        for pump, reservation in reservations:
            pump.accepted(reservation)
        if self._departures.leaving:
            self._departures.check()
        return committed

    def _not_accepted(self, failure: Failure, reservations: Sequence[tuple[Pump, Reservation]]) -> Failure:
        for pump, reservation in reservations:
            pump.undo(reservation)
        if self._departures.leaving:
            self._departures.check()
        return failure

    def withdraw(self, messages: Sequence[Message]) -> list[Message]:
        """Remove queued messages from memory; returns those whose claim is not under way."""
        withdrawn: list[Message] = []
        for name, own in _by_connector(messages).items():
            withdrawn += self._pumps[name].withdraw(own) if name in self._pumps else own
        return withdrawn

    def promoted(self, found: Sequence[tuple[str, str, int]]) -> Deferred[None]:
        """Add queued messages that are due now, as (connector, account, id), to the waiting messages."""
        return Deferred.fromCoroutine(self._promoted([id for _, _, id in found]))

    async def _promoted(self, ids: Sequence[int]) -> None:
        messages = [message for same in await self._store.find(None, ids) for message in same]
        waiting = [message for message in messages if not message.claimed and message.state not in FINAL]
        homeless = [message for message in waiting if message.connector not in self._pumps]
        if homeless:
            await self._stranded.move(homeless)
            self._stranded.add([message for message in homeless if message.connector not in self._pumps])
        self._enqueue(
            [
                message
                for message in waiting
                if message.connector in self._pumps
                and message.id not in self._pumps[message.connector].inflight.claiming
            ]
        )

    def _enqueue(self, messages: Sequence[Message]) -> None:
        """Add messages that are queued in the store and due to the waiting messages of their connectors."""
        for name, own in _by_connector(messages).items():
            if name in self._pumps:
                self._pumps[name].enqueue(own)

    # What an administrator asks for.

    def __contains__(self, connector: str) -> bool:
        """Whether there is a connector of this name."""
        return connector in self._pumps

    def pause(self, connector: str) -> None:
        """Send nothing more over a connector until :meth:`resume`; its messages wait. Parts that it has are finished,
        and its receipts are taken."""
        self._pumps[connector].pause()

    def resume(self, connector: str) -> None:
        """End the pause of a connector."""
        self._pumps[connector].resume()

    async def requeue(self, messages: Sequence[Message], connector: str) -> list[Message]:
        """Queue waiting or deferred messages for `connector`, due now; returns those that were still waiting.

        :raises StoreDown: or UnknownOutcome; then the messages wait as before.
        """
        free = self.withdraw(messages)
        try:
            moved = await self._stranded.move(free, lambda _: connector)
        except GatewayError:
            now = self._time.now()
            self._enqueue([message for message in free if message.due <= now])
            raise
        await self._promoted([message.id for message in moved])
        return moved

    # What the gateway calls.

    def start(self) -> Deferred[None]:
        """Recover the messages that the last run had claimed, start the connectors, begin to send.

        :raises StoreDown: or UnknownOutcome, through the Deferred.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        await recovery.recover(
            self._store, self._commits, self._pumps, self._reroute, self._time.earliest, self._metrics
        )
        await self._stranded.rehome()
        for pump in self._pumps.values():
            self._roster.start(pump)
        for pump in self._pumps.values():
            await recovery.resume(self._store, pump)
            pump.open()

    def drain(self) -> Deferred[None]:
        """Stop sending; fires when every outcome is committed and every connector has stopped.

        Claimed messages that were not sent go back to the queue. Cancelling the Deferred cancels the stop of each
        connector and the wait for outcomes.
        """
        self._roster.closed = True
        for pump in self._pumps.values():
            pump.close()
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        """Wait for connectors and outcomes one after the other, because a DeferredList passes no cancellation on."""
        pumps = [pump for pump in self._pumps.values() if pump.started]
        stopping: list[Deferred[object]] = [maybeDeferred(pump.connector.stop) for pump in pumps]
        results: Sequence[tuple[bool, object]] = await DeferredList(stopping, consumeErrors=True)
        cut_short = False
        for (_, result), pump in zip(results, pumps, strict=True):
            if isinstance(result, Failure):
                if result.check(CancelledError):
                    cut_short = True
                    _log.warn(
                        "{connector} was not waited for any longer; {count} parts are in doubt",
                        connector=pump.name,
                        count=len(pump.inflight),
                    )
                else:
                    _log.failure("connector {connector} did not stop in order", result, connector=pump.name)
        if not cut_short:
            self._quiet = Deferred()
            self._check_quiet()
            await self._quiet
            await self._departures.gone()

    def _check_quiet(self) -> None:
        if self._departures.leaving:
            self._departures.check()
        quiet = self._quiet
        if quiet is not None and not quiet.called and all(pump.quiet for pump in self._pumps.values()):
            quiet.callback(None)

    def tick(self) -> None:
        """Once a second: notice links that went down, move the messages that wait for them, refill the memory."""
        for pump in self._pumps.values():
            pump.tick()
        self._stranded.tick()

    def health(self) -> Mapping[str, Mapping[str, Any]]:
        """The state of each connector, by name: ``up``, ``room``, ``paused``, and ``failing``, the types of the
        exceptions that its code raised when it was last called, by the name of the attribute or method."""
        return {pump.name: pump.health() for pump in (*self._departures.leaving, *self._pumps.values())}


def _by_connector(messages: Sequence[Message]) -> dict[str, list[Message]]:
    found: dict[str, list[Message]] = {}
    for message in messages:
        found.setdefault(message.connector, []).append(message)
    return found


def _without(
    ids: set[int], reservations: Sequence[tuple[Pump, Reservation]]
) -> Sequence[tuple[Pump, Reservation]]:
    """Undo the reservations of the messages with these ids; returns the other reservations."""
    if not ids:
        return reservations
    kept = []
    for pump, reservation in reservations:
        gone, rest = reservation.split(ids)
        pump.undo(gone)
        kept.append((pump, rest))
    return kept

"""Moves messages from their acceptance to their connector, and the outcomes of the connector into the store.

The rule is: a message is claimed in the store before it is sent, and its slot of the window is free after its outcome
is committed. Messages that find room are claimed in the commit that accepts them; the others wait in a
:class:`~smsgw.services.dispatch.backlog.Backlog` and are claimed in the same commit that frees slots for them.

A message passes here three times: :meth:`Dispatch.accept`, :meth:`Dispatch.outcomes` and :meth:`Dispatch.receipts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import Settings
from smsgw.interfaces import IConnector, IConnectorSink, IMessageStore
from smsgw.model.changes import Changes, Committed, Conditional
from smsgw.model.errors import GatewayError, Refused, StoreDown
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import DeliveryReport, Incoming, Message, Part
from smsgw.model.outcome import Outcome
from smsgw.services.clock import CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.dispatch import recovery
from smsgw.services.dispatch.context import Context
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.services.dispatch.pump import Pump, Reservation
from smsgw.services.incoming import IncomingSink
from smsgw.services.receipts import Receipts

_QUEUED: Final = State.QUEUED
_log = Logger()


@implementer(IConnectorSink)
class Dispatch:
    """Sends messages over connectors. Intake, cancelling, the sweep and the connectors call it.

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param connectors: all of them by name, the name of their section.
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
        connectors: Mapping[str, IConnector],
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
        timeout = settings.gateway.report_timeout
        self._pumps = {
            name: Pump(connector, settings.connectors[name], timeout, context) for name, connector in connectors.items()
        }

    def apply(self, settings: Settings) -> None:
        """Use the new settings of dispatch for each connector, and the new ``report_timeout``. The connectors
        themselves stay: a connector that is added, changed or removed needs a restart."""
        for name, pump in self._pumps.items():
            pump.apply(settings.connectors[name], settings.gateway.report_timeout)

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
        return committed

    def _not_accepted(self, failure: Failure, reservations: Sequence[tuple[Pump, Reservation]]) -> Failure:
        for pump, reservation in reservations:
            pump.undo(reservation)
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
            await recovery.move(self._commits, homeless, self._pumps, self._reroute)
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
            moved = await recovery.move(self._commits, free, self._pumps, lambda _: connector)
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
        await recovery.rehome(self._store, self._commits, self._pumps, self._reroute)
        for pump in self._pumps.values():
            pump.start(self)
        for pump in self._pumps.values():
            await recovery.resume(self._store, pump)
            pump.open()

    def drain(self) -> Deferred[None]:
        """Stop sending; fires when every outcome is committed and every connector has stopped.

        Claimed messages that were not sent go back to the queue. Cancelling the Deferred cancels the stop of each
        connector and the wait for outcomes.
        """
        for pump in self._pumps.values():
            pump.close()
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        """Wait for connectors and outcomes one after the other, because a DeferredList passes no cancellation on."""
        pumps = self._pumps.values()
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

    def _check_quiet(self) -> None:
        quiet = self._quiet
        if quiet is not None and not quiet.called and all(pump.quiet for pump in self._pumps.values()):
            quiet.callback(None)

    def tick(self) -> None:
        """Once a second: notice links that went down, move the messages that wait for them, refill the memory."""
        for pump in self._pumps.values():
            pump.tick()

    def health(self) -> Mapping[str, Mapping[str, Any]]:
        """The state of each connector, by name: ``up``, ``room``, ``paused``, and ``failing``, the types of the
        exceptions that its code raised when it was last called, by the name of the attribute or method."""
        return {name: pump.health() for name, pump in self._pumps.items()}

    # What connectors call.

    def outcomes(self, connector: str, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        self._pumps[connector].outcomes(outcomes)

    def receipts(self, connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """Outcomes are stored before receipts: while outcomes of this connector wait for the store, its receipts are
        refused."""
        if not self._pumps[connector].storing:
            return fail(StoreDown("outcomes that came before wait for the store"))
        return self._receipts.receipts(connector, reports)

    def incoming(self, connector: str, incoming: Sequence[Incoming]) -> Deferred[list[Refused | None]]:
        return self._incoming.incoming(connector, incoming)

    def ready(self, connector: str) -> None:
        self._pumps[connector].ready()


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

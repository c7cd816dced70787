"""The pump of one connector: claims messages for the free slots, sends them, and has their outcomes committed."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import attrs

from smsgw.config import ConnectorSettings
from smsgw.interfaces import IAdjustable, IConnector, IConnectorSink
from smsgw.model.changes import PartEnded, Requeued
from smsgw.model.lifecycle import State
from smsgw.model.message import Message, Part
from smsgw.model.outcome import Outcome
from smsgw.services.dispatch.backlog import Backlog
from smsgw.services.dispatch.committer import NO_CLAIMS, Claims, Committer
from smsgw.services.dispatch.context import Context
from smsgw.services.dispatch.failover import Failover
from smsgw.services.dispatch.guard import GuardedConnector
from smsgw.services.dispatch.inflight import InFlight
from smsgw.services.dispatch.links import Link
from smsgw.services.dispatch.outcomes import OutcomeBatch, batch_of
from smsgw.services.dispatch.retrypolicy import RetryPolicy, end


@attrs.define(eq=False)
class Reservation:
    """The messages of one connector in a commit that accepts messages.

    :ivar claimed: messages with reserved slots, which the commit claims. :ivar queued: the others, which wait.
    """

    claimed: Sequence[Message]
    queued: Sequence[Message]

    def split(self, ids: Container[int]) -> tuple[Reservation, Reservation]:
        """Two reservations: the messages with these ids, and the others."""
        inside, outside = (
            Reservation(
                [message for message in self.claimed if (message.id in ids) is wanted],
                [message for message in self.queued if (message.id in ids) is wanted],
            )
            for wanted in (True, False)
        )
        return inside, outside


class Pump:
    """Moves the messages of one connector between the store and the connector, in batches.

    It decides when messages are claimed and sent. :class:`Backlog` holds the waiting messages, :class:`InFlight` the
    slots of the window, :class:`Committer` the commits.

    :ivar started: whether the connector was started.
    """

    def __init__(
        self, connector: IConnector, settings: ConnectorSettings, report_timeout: float, context: Context
    ) -> None:
        self.connector = connector
        self.name = settings.name
        self._settings = settings
        self._context = context
        self._guarded = GuardedConnector(self.name, connector, context.clock, context.metrics)
        self.policy = RetryPolicy(settings, context.reroute, context.time, context.metrics)
        seconds = context.clock.seconds
        self.inflight = InFlight(self._guarded, settings, self.policy, report_timeout, context.metrics, seconds)
        self.backlog = Backlog(self.name, context.store, self.pump, self.inflight.claiming, capacity=context.memory)
        self._link = Link(settings, context.clock, context.down, context.refusing)
        self._committer = Committer(
            self.name, context.commits, context.clock, context.time, self.inflight, self, context.finished
        )
        self._failover = Failover(
            settings, self.backlog, self.inflight, context.commits, context.reroute, self._requeue_elsewhere
        )
        self.started = False
        self._open = False
        self._sending = False
        self._closing = False
        self._accepting = 0
        context.metrics.up[self.name].set_function(lambda: self._guarded.up)
        context.metrics.paused[self.name].set_function(lambda: self.name in context.paused)
        context.metrics.room[self.name].set_function(self._guarded.room)
        context.metrics.waiting[self.name].set_function(self.backlog.__len__)
        context.metrics.outstanding[self.name].set_function(self.inflight.__len__)

    def apply(self, settings: ConnectorSettings, report_timeout: float) -> None:
        """Use these settings from now on."""
        self._settings = settings
        self.policy.apply(settings)
        self.inflight.apply(settings, report_timeout)
        self._link.apply(settings)
        self._failover.apply(settings)

    def adjust(self, settings: ConnectorSettings) -> bool:
        """Let the connector itself use changed settings; False if only a new connector can."""
        connector = self.connector
        if type(settings) is not type(self._settings) or not IAdjustable.providedBy(connector):
            return False
        return self._guarded.adjust(settings)

    @property
    def quiet(self) -> bool:
        """Whether no part is in flight, no commit is under way and every outcome is committed."""
        return self.inflight.idle and self._committer.idle and not self._failover.moving

    def health(self) -> Mapping[str, Any]:
        """Whether the link is up, how many parts may be sent, whether an administrator has paused the connector, and
        what fails in its code."""
        guarded = self._guarded
        paused = self.name in self._context.paused
        return {"up": guarded.up, "room": guarded.room(), "paused": paused, "failing": dict(guarded.failing)}

    @property
    def settled(self) -> bool:
        """Whether it is quiet and no commit of new messages is under way, so that the store has all that it knows."""
        return self.quiet and not self._accepting

    # Acceptance

    def reserve(self, messages: Sequence[Message]) -> Reservation:
        """Before the commit that accepts `messages`: reserve slots for as many of them, in order, as have room.

        No slot is reserved while other messages wait, or while a commit of messages that will wait is under way.
        """
        inflight = self.inflight
        room = inflight.free() if self._sending and not self._accepting and self.backlog.empty else 0
        if room <= 0:
            self._accepting += len(messages)
            return Reservation((), messages)
        parts = count = 0
        for message in messages:
            parts += message.parts
            if parts > room and (count or not inflight.idle):
                parts -= message.parts
                break
            message.claimed = True
            count += 1
        inflight.reserve(parts)
        if count == len(messages):
            return Reservation(messages, ())
        self._accepting += len(messages) - count
        return Reservation(messages[:count], messages[count:])

    def accepted(self, reservation: Reservation) -> None:
        """The commit succeeded: send the claimed messages, queue the others."""
        claimed, queued = reservation.claimed, reservation.queued
        if claimed:
            self._send(claimed)
        if queued:
            self._accepting -= len(queued)
            self.enqueue(queued)

    def undo(self, reservation: Reservation) -> None:
        """The messages were not stored: free the reserved slots."""
        for message in reservation.claimed:
            message.claimed = False
        self.inflight.unreserve(sum([message.parts for message in reservation.claimed]))
        self._accepting -= len(reservation.queued)

    # What waits

    def enqueue(self, messages: Sequence[Message]) -> None:
        """Add messages that are queued in the store for this connector and due."""
        self.backlog.add(messages)
        self.pump()

    def withdraw(self, messages: Sequence[Message]) -> list[Message]:
        """Remove queued messages from memory; returns those whose claim is not under way."""
        claiming = self.inflight.claiming
        withdrawn = [message for message in messages if message.id not in claiming]
        ids = [message.id for message in withdrawn]
        self.backlog.remove(ids)
        self._guarded.clear(ids)
        return withdrawn

    def pump(self) -> None:
        """Send claimed parts that wait for room, then claim further messages if there is room."""
        if not self._sending:
            return
        faults = self.inflight.flush() if self.inflight.claimed else ()
        if faults:
            self._committer.outcomes(faults)
        claims = self.next_claims()
        if claims.messages or claims.ended:
            self._committer.commit_claims(claims)

    def next_claims(self) -> Claims:
        """The next messages in turn for which there is room; those that have expired are to end instead."""
        room = 0 if self.backlog.empty or not self._sending else self.inflight.free()
        if room <= 0:
            return NO_CLAIMS
        now = self._context.time.earliest()
        messages: list[Message] = []
        ended: list[PartEnded] = []
        for message in self.backlog.take(room, self.inflight.idle):
            if message.expires and message.expires <= now:
                ended += end(message, message.unsent or (0,), State.EXPIRED, 0)
            else:
                messages.append(message)
        self.inflight.claim(messages)
        self._guarded.clear([one.message.id for one in ended])
        return Claims(messages, ended)

    def _send(self, messages: Sequence[Message]) -> None:
        """Send messages that are claimed now."""
        faults = self.inflight.send(messages)
        if faults:
            self._committer.outcomes(faults)
        if self.inflight.claimed and (self._closing or not self._guarded.up):
            self._watch()
            self._recall()

    def _recall(self) -> None:
        """Return claimed parts that were not sent to the queue."""
        if self.inflight.claimed:
            self._committer.requeue(self.inflight.recall(self._context.time.now()))

    # Outcomes

    @property
    def storing(self) -> bool:
        """Whether outcomes are committed as they come; otherwise they wait for the end of a pause."""
        return self._committer.storing

    def outcomes(self, answers: Sequence[tuple[Part, Outcome]]) -> None:
        """Commit the connector's outcomes, together with claims of messages for the slots that they free."""
        if self._guarded.up == self._link.down:
            self._watch()
        self._committer.outcomes(answers)
        if self._link.down:
            self._recall()

    def committed(self, batch: OutcomeBatch, claims: Claims, granted: Sequence[bool]) -> None:
        """A commit succeeded: release its slots, send the claimed messages, queue the returned ones."""
        if claims.messages:
            self._claimed(claims.messages, granted)
        if batch.requeued:
            self._requeued(batch.requeued)
        if self.inflight.claimed or not (batch.at_once or self.backlog.empty):
            self.pump()

    def _claimed(self, claims: Sequence[Message], granted: Sequence[bool]) -> None:
        """Send the messages that this node has claimed; the others were cancelled, or another node has them."""
        if not all(granted):
            self.inflight.unclaim([message for message, ours in zip(claims, granted, strict=True) if not ours])
            claims = [message for message, ours in zip(claims, granted, strict=True) if ours]
        self.inflight.own(claims)
        if claims:
            self._send(claims)

    def _requeued(self, changes: Sequence[Requeued]) -> None:
        """Add returned messages that are due to the waiting messages of their connectors."""
        own: list[Message] = []
        others: list[Message] = []
        for change in changes:
            message = change.message
            message.claimed = False
            message.connector = change.connector
            message.attempts += change.charged
            message.due = change.due
            if not change.due:
                (own if change.connector == self.name else others).append(message)
        self.backlog.add(own)
        if others:
            self._context.requeued(others)

    def refill(self) -> None:
        """Messages left memory: read the next ones from the store."""
        self.backlog.refill()

    def uncommitted(self, claims: Claims) -> None:
        """A commit failed: the messages that it should have claimed or ended wait again."""
        self.inflight.unclaim(claims.messages)
        self.backlog.add([*claims.messages, *(one.message for one in claims.ended)])

    # The connector's life

    def start(self, sink: IConnectorSink) -> None:
        """Start the connector; nothing is sent before :meth:`open`."""
        self.started = True
        self.connector.start(sink)
        self._watch()

    def open(self) -> None:
        """Recovery is done: send the recovered messages, and claim waiting ones, unless the pump was closed since."""
        self._open = not self._closing
        self._sending = self._open and self.name not in self._context.paused
        self.pump()

    def pause(self) -> None:
        """Claim and send nothing more; claimed parts that were not sent go back to the queue."""
        self._context.paused.add(self.name)
        self._sending = False
        self._recall()

    def resume(self) -> None:
        """End the pause."""
        self._context.paused.discard(self.name)
        self._sending = self._open
        self.pump()

    def close(self) -> None:
        """Stop claiming and sending; claimed parts that were not sent go back to the queue."""
        self._open = self._sending = False
        self._closing = True
        self._link.close()
        self._recall()

    def depart(self) -> None:
        """The connector is removed or replaced while the gateway runs: :meth:`close`; routing forgets its link."""
        self.close()
        self._link.forget()

    def abandon(self) -> None:
        """The connector has stopped, or was given up: parts without an outcome are lost."""
        self._committer.outcomes(self.inflight.unanswered())
        self._recall()

    def ready(self) -> None:
        """The connector has room again."""
        self._watch()
        self.pump()

    def tick(self) -> None:
        """Once a second: notice a link that went down, move the messages that wait for it, refill the memory."""
        if not self._open:
            return
        self._watch()
        if self._link.down:
            self._recall()
            self._move()
        self.backlog.refill()
        self.pump()

    def _watch(self) -> None:
        self._link.watch(self._guarded.up)

    def _move(self) -> None:
        if self._open and self._link.down and self._committer.storing:
            self._failover.move()

    def _requeue_elsewhere(self, changes: Sequence[Requeued]) -> None:
        """Queue waiting messages that were claimed for other connectors, and look for more of them."""
        if changes:
            self._committer.requeue(batch_of([*changes]))
            self._context.clock.callLater(0, self._move)
        self._context.finished()

"""The way of an accepted message to its connector, and of the connector's answers into the store.

One rule carries it: a message is claimed in the store before it is offered, and its slot of the window is free when
the outcome is committed. Messages that find room are claimed with their acceptance; the others wait in a
:class:`~smsgw.services.backlog.Backlog` and are claimed in the same commit that frees slots for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import ConnectorSettings
from smsgw.interfaces import IConnector, IConnectorSink, IMessageStore
from smsgw.model.changes import Changes, Committed, Ended, Requeued
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Message, Part
from smsgw.model.outcome import Outcome
from smsgw.model.pacing import back_off
from smsgw.services import recovery
from smsgw.services.backlog import Backlog
from smsgw.services.receipts import Outbox, Receipts
from smsgw.services.upstream import Upstream, Verdict
from smsgw.services.verdicts import Verdicts
from smsgw.telemetry import Gauge

WAITING: Final = Gauge("smsgw_waiting_in_memory", "Messages that wait in memory for room.", ("connector",))
OUTSTANDING: Final = Gauge("smsgw_outstanding", "Parts a connector has and did not answer yet.", ("connector",))

FIRST_PAUSE: Final = 0.1
"""Seconds before outcomes that the store did not take are offered to it again; doubled each time."""

LONGEST_PAUSE: Final = 5.0
"""Seconds that this pause never exceeds."""

_QUEUED: Final = State.QUEUED
_log = Logger()


@implementer(IConnectorSink)
class Dispatch:
    """Implements :class:`~smsgw.interfaces.IConnectorSink`, and what intake, cancelling and the sweep need.

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param wall: absolute seconds since 1970.
    :param links: the connectors with the settings of their sections.
    :param reroute: the connector that a message shall take now: its own while that is up, else another of its route.
    :param report_timeout: seconds after which a part without a receipt is given up.
    :param memory: waiting messages kept in memory per connector.
    :param down: names of connectors whose link is down; kept true in place.
    :param refusing: names of those that have been down for longer than their ``refuse_after``; kept true in place.
    """

    def __init__(
        self,
        store: IMessageStore,
        outbox: Outbox,
        clock: IReactorTime,
        wall: Callable[[], float],
        links: Iterable[tuple[IConnector, ConnectorSettings]],
        reroute: Callable[[Message], str],
        *,
        report_timeout: float,
        memory: int = 20_000,
        down: set[str] | None = None,
        refusing: set[str] | None = None,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._wall = wall
        self._reroute = reroute
        self._down = set() if down is None else down
        self._refusing = set() if refusing is None else refusing
        self._receipts = Receipts(store, outbox)
        self._upstreams: dict[str, Upstream] = {}
        self._committing = 0
        self._quiet: Deferred[None] | None = None
        for connector, settings in links:
            self._upstreams[settings.name] = self._upstream(connector, settings, report_timeout, memory)

    def _upstream(
        self, connector: IConnector, settings: ConnectorSettings, report_timeout: float, memory: int
    ) -> Upstream:
        name = settings.name
        busy: set[int] = set()
        backlog = Backlog(name, self._store, partial(self._roused, name), busy, capacity=memory)
        upstream = Upstream(
            connector, settings, backlog, Verdicts(settings, self._reroute), report_timeout, busy
        )
        WAITING.watch(lambda: len(backlog), name)
        OUTSTANDING.watch(lambda: upstream.outstanding, name)
        return upstream

    # What intake, cancelling and the gateway call.

    def reserve(self, messages: Sequence[Message]) -> None:
        """Before the commit that accepts `messages`: mark as claimed those that can be offered right after it.

        Then exactly one of :meth:`stored` and :meth:`unstored` follows, with the same list.
        """
        name = None
        room = 0
        for message in messages:
            if message.state is not _QUEUED or message.due:
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
        offers: dict[Upstream, list[Part]] = {}
        waiting: dict[Upstream, list[Message]] = {}
        name = None
        for message in messages:
            if message.state is not _QUEUED or message.due:
                continue
            if message.connector != name:
                name = message.connector
                upstream = self._upstreams[name]
                parts = offers.setdefault(upstream, [])
            if not message.claimed:
                upstream.coming -= 1
                waiting.setdefault(upstream, []).append(message)
            elif message.parts == 1:
                parts.append(Part(message, 1))
            else:
                parts += upstream.parts(message)
        for upstream, claimed in offers.items():
            if claimed:
                self._send(upstream, claimed)
        for upstream, queued in waiting.items():
            upstream.backlog.add(queued)
            self._pump(upstream)

    def unstored(self, messages: Sequence[Message]) -> None:
        """The commit failed: give back what was reserved."""
        for message in messages:
            if message.state is not _QUEUED or message.due:
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

        def known(found: list[list[Message]]) -> None:
            arrived: dict[str, list[Message]] = {}
            for message in (message for messages in found for message in messages):
                upstream = self._upstreams.get(message.connector)
                if upstream and not message.claimed and message.id not in upstream.busy:
                    arrived.setdefault(message.connector, []).append(message)
            for name, messages in arrived.items():
                self._upstreams[name].backlog.add(messages)
                self._pump(self._upstreams[name])

        return self._store.find(None, [id for _, _, id in found]).addCallback(known)

    def start(self) -> Deferred[None]:
        """Settle what the last run left, start the connectors, begin to offer.

        :raises StoreDown: or UnknownOutcome, through the Deferred.
        """
        return ensureDeferred(self._start())

    async def _start(self) -> None:
        upstreams = self._upstreams
        await recovery.reclaim(self._store, self._outbox, upstreams, self._reroute, self._wall)
        for upstream in upstreams.values():
            upstream.connector.start(self)
            self._watch(upstream)
        for upstream in upstreams.values():
            await recovery.resume(self._store, upstream)
            upstream.opened = True
            self._pump(upstream)

    def drain(self) -> Deferred[None]:
        """Offer nothing more; fires when every outcome is committed and every connector has stopped.

        What was not offered goes back to the queue. Cancelling this cancels the stop of each connector.
        """
        stopping = []
        for upstream in self._upstreams.values():
            upstream.opened = False
            self._recall(upstream)
            stopping.append(maybeDeferred(upstream.connector.stop))
        stopped = DeferredList(stopping, consumeErrors=True)
        return stopped.addCallback(self._when_quiet)

    def _when_quiet(self, results: Sequence[tuple[bool, object]]) -> Deferred[None]:
        for (succeeded, result), upstream in zip(results, self._upstreams.values(), strict=True):
            if not succeeded and isinstance(result, Failure):
                _log.failure("connector {connector} did not stop in order", result, connector=upstream.name)
        quiet: Deferred[None] = Deferred()
        self._quiet = quiet
        self._look_for_quiet()
        return quiet

    def _look_for_quiet(self) -> None:
        quiet = self._quiet
        if quiet and not self._committing and all(upstream.quiet for upstream in self._upstreams.values()):
            self._quiet = None
            quiet.callback(None)

    def tick(self) -> None:
        """Once a second: notice links that went, move what waits for them, fetch what has room."""
        for upstream in self._upstreams.values():
            self._watch(upstream)
            if upstream.down_since is not None:
                self._recall(upstream)
                self._move(upstream)
            upstream.backlog.refill()
            self._pump(upstream)

    # What connectors call.

    def outcomes(self, connector: str, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        """See :meth:`smsgw.interfaces.IConnectorSink.outcomes`."""
        upstream = self._upstreams[connector]
        upstream.answers += outcomes
        if upstream.connector.up == (upstream.down_since is not None):
            self._watch(upstream)
        self._settle(upstream)
        if upstream.down_since is not None:
            self._recall(upstream)

    def receipts(self, connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """See :meth:`smsgw.interfaces.IConnectorSink.receipts`."""
        return self._receipts.receipts(connector, reports)

    def ready(self, connector: str) -> None:
        """See :meth:`smsgw.interfaces.IConnectorSink.ready`."""
        upstream = self._upstreams[connector]
        self._watch(upstream)
        self._pump(upstream)

    # How a message goes out.

    def _roused(self, connector: str) -> None:
        self._pump(self._upstreams[connector])

    def _pump(self, upstream: Upstream) -> None:
        """Offer what is held, then claim what there is room for."""
        if not upstream.opened or upstream.retry is not None:
            return
        if upstream.held:
            upstream.flush()
            self._settle(upstream)
        claims, ended = self._claims(upstream)
        if claims or ended:
            self._commit(upstream, Verdict([], 0), claims, ended)

    def _send(self, upstream: Upstream, parts: list[Part]) -> None:
        upstream.send(parts)
        if upstream.answers:
            self._settle(upstream)
        if upstream.held and not upstream.connector.up:
            self._watch(upstream)
            self._recall(upstream)

    def _claims(self, upstream: Upstream) -> tuple[list[Message], list[Ended]]:
        """The next messages in turn as far as there is room, and those among them whose validity is over."""
        if upstream.backlog.empty or not upstream.opened:
            return [], []
        room = upstream.free()
        if room <= 0:
            return [], []
        now = self._wall()
        claims: list[Message] = []
        ended: list[Ended] = []
        for message in upstream.backlog.take(room, upstream.idle):
            if message.expires and message.expires <= now:
                ended += upstream.verdicts.end(message, message.unsent or (0,), State.EXPIRED, 0)
            else:
                claims.append(message)
                upstream.reserve(message)
        return claims, ended

    def _recall(self, upstream: Upstream) -> None:
        """What is claimed but not offered goes back to the queue."""
        if upstream.held and upstream.retry is None:
            self._commit(upstream, Verdict([*upstream.recall(self._wall())], 0), [], [])

    # What became of it.

    def _settle(self, upstream: Upstream) -> None:
        """Commit the outcomes that came, together with the claims of who gets the free slots."""
        if upstream.settling or upstream.retry is not None:
            return
        upstream.settling = True
        try:
            while upstream.answers and upstream.retry is None:
                answers, upstream.answers = upstream.answers, []
                verdict = upstream.judge(answers, self._wall())
                upstream.freeing += verdict.freed
                claims, ended = self._claims(upstream)
                if verdict.changes or claims or ended:
                    self._commit(upstream, verdict, claims, ended)
        finally:
            upstream.settling = False

    def _commit(self, upstream: Upstream, verdict: Verdict, claims: list[Message], ended: list[Ended]) -> None:
        changes = Changes(claims=claims, outcomes=[*verdict.changes, *ended])
        self._committing += 1
        self._store.commit(changes).addCallbacks(
            self._committed,
            self._uncommitted,
            callbackArgs=(upstream, verdict, claims),
            errbackArgs=(upstream, verdict, [*claims, *(end.message for end in ended)]),
        ).addErrback(self._fault).addBoth(self._done)

    def _done(self, _: None) -> None:
        self._committing -= 1
        if self._quiet is not None:
            self._look_for_quiet()

    def _fault(self, failure: Failure) -> None:
        _log.failure("dispatch", failure)

    def _committed(
        self, committed: Committed, upstream: Upstream, verdict: Verdict, claims: list[Message]
    ) -> None:
        upstream.failures = 0
        upstream.freeing -= verdict.freed
        if committed.events:
            self._outbox.occurred(committed.events)
        parts: list[Part] = []
        for message, claimed in zip(claims, committed.claims, strict=True):
            if claimed:
                upstream.busy.discard(message.id)
                message.claimed = True
                parts += upstream.parts(message)
            else:
                upstream.unreserve(message)
        upstream.settled(verdict.freed)
        if parts:
            self._send(upstream, parts)
        at_once = not verdict.plain and self._requeued(verdict, upstream)
        if not at_once and not upstream.backlog.empty:
            self._pump(upstream)

    def _requeued(self, verdict: Verdict, upstream: Upstream) -> bool:
        """Messages that came back are queued again: those that are due wait in memory.

        Returns whether some wait for the same connector again. It has said that it has no use for them now, so
        they are not offered before it is ready, or something else happens.
        """
        due: dict[Upstream, list[Message]] = {}
        for change in verdict.changes:
            if type(change) is Requeued:
                message = change.message
                message.claimed = False
                message.connector = change.connector
                message.attempts += change.charged
                message.due = change.due
                if not change.due and change.connector in self._upstreams:
                    due.setdefault(self._upstreams[change.connector], []).append(message)
        for target, messages in due.items():
            target.backlog.add(messages)
            if target is not upstream:
                self._pump(target)
        return upstream in due

    def _uncommitted(
        self, failure: Failure, upstream: Upstream, verdict: Verdict, queued: list[Message]
    ) -> None:
        """Nothing changed, or nobody knows: who was to be claimed waits again, outcomes are kept."""
        upstream.freeing -= verdict.freed
        for message in queued:
            if message.id in upstream.busy:
                upstream.unreserve(message)
        upstream.backlog.add(queued)
        if failure.check(StoreDown, UnknownOutcome):
            upstream.unsaved.append(verdict)
            self._retry_later(upstream)
            return
        upstream.settled(verdict.freed)
        if len(verdict.changes) > 1:
            _log.failure("the store refused outcomes; each is tried alone", failure)
            for change in verdict.changes:
                self._commit(upstream, Verdict([change], 0), [], [])
        else:
            _log.failure("the store refused an outcome; it is in doubt until the next start", failure)

    def _retry_later(self, upstream: Upstream) -> None:
        if upstream.retry is None:
            upstream.failures += 1
            pause = back_off(upstream.failures, FIRST_PAUSE, LONGEST_PAUSE)
            upstream.retry = self._clock.callLater(pause, self._retry, upstream)

    def _retry(self, upstream: Upstream) -> None:
        """Offer the store once more, in order, what it did not take."""
        upstream.retry = None
        unsaved, upstream.unsaved = upstream.unsaved, []
        whole = Verdict([change for verdict in unsaved for change in verdict.changes], 0)
        whole.freed = sum(verdict.freed for verdict in unsaved)
        upstream.freeing += whole.freed
        self._commit(upstream, whole, [], [])
        self._settle(upstream)
        self._pump(upstream)

    # Links that go.

    def _watch(self, upstream: Upstream) -> None:
        """Note whether the link is up."""
        name = upstream.name
        if upstream.connector.up:
            if upstream.down_since is not None:
                upstream.down_since = None
                self._down.discard(name)
                self._refusing.discard(name)
            return
        now = self._clock.seconds()
        if upstream.down_since is None:
            upstream.down_since = now
            self._down.add(name)
        patience = upstream.settings.refuse_after
        if patience is not None and now - upstream.down_since >= patience:
            self._refusing.add(name)

    def _move(self, upstream: Upstream) -> None:
        """Give what waits for a link that is down to other connectors of the routes.

        They are claimed first, a window at a time: only who owns a message may queue it elsewhere.
        """
        if not upstream.opened or upstream.retry is not None or upstream.moving or upstream.down_since is None:
            return
        moves: list[Requeued] = []
        stays: list[Message] = []
        for message in upstream.backlog.take(upstream.settings.window):
            connector = self._reroute(message)
            if connector == upstream.name:
                stays.append(message)
            else:
                moves.append(Requeued(message, connector, 0.0, False))
        upstream.backlog.add(stays)
        if not moves:
            return
        messages = [move.message for move in moves]
        for message in messages:
            upstream.reserve(message)

        def done(result: Committed | Failure) -> None:
            upstream.moving = False
            for message in messages:
                upstream.unreserve(message)
            if isinstance(result, Failure):
                result.trap(StoreDown, UnknownOutcome)
                upstream.backlog.add(messages)
                return
            owned = [move for move, claimed in zip(moves, result.claims, strict=True) if claimed]
            self._commit(upstream, Verdict([*owned], 0), [], [])
            self._clock.callLater(0, self._move, upstream)

        upstream.moving = True
        self._committing += 1
        moving = self._store.commit(Changes(claims=messages))
        moving.addBoth(done).addErrback(self._fault).addBoth(self._done)

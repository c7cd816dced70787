"""The commits of dispatch: outcomes into the store, and with them the claims of who gets the slots they free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Changes, Committed, Ended, Requeued, Sent
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from smsgw.model.message import Message, Part
from smsgw.model.pacing import back_off
from smsgw.services.dispatch.links import Links
from smsgw.services.dispatch.upstream import Upstream, Verdict
from smsgw.services.receipts import EventSink

FIRST_PAUSE: Final = 0.1
"""Seconds before outcomes that the store did not take are offered to it again; doubled each time."""

LONGEST_PAUSE: Final = 5.0
"""Seconds that this pause never exceeds."""

PATIENCE: Final = 3
"""How often outcomes are offered to the store together before each is tried alone; and how often one that is alone
may fail while others are stored before it is given up."""

LOOK: Final = 1_000
"""Waiting messages of a connector that is down which are looked at together: some may have no other way."""

_log = Logger()


class Settlement:
    """Moves messages between the store and their connectors; everything here is per batch.

    :param upstreams: by name; filled by the owner before anything else is called.
    :param wall: absolute seconds since 1970.
    :param links: what is known of the links.
    """

    def __init__(
        self,
        store: IMessageStore,
        outbox: EventSink,
        clock: IReactorTime,
        wall: Callable[[], float],
        upstreams: Mapping[str, Upstream],
        links: Links,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._wall = wall
        self._upstreams = upstreams
        self._links = links
        self._committing = 0
        self._quiet: Deferred[None] | None = None

    def when_quiet(self) -> Deferred[None]:
        """Fires when nothing is under way and every outcome is committed."""
        quiet: Deferred[None] = Deferred()
        self._quiet = quiet
        self._look_for_quiet()
        return quiet

    def _look_for_quiet(self) -> None:
        quiet = self._quiet
        if quiet and not self._committing and all(upstream.quiet for upstream in self._upstreams.values()):
            self._quiet = None
            quiet.callback(None)

    def pump(self, upstream: Upstream) -> None:
        """Offer what is held, then claim what there is room for."""
        if not upstream.opened:
            return
        if upstream.held:
            upstream.flush()
            self.settle(upstream)
        claims, ended = self._claims(upstream)
        if claims or ended:
            self._commit(upstream, Verdict([], 0), claims, ended)

    def send(self, upstream: Upstream, parts: list[Part]) -> None:
        """Offer parts whose claim was just committed."""
        upstream.send(parts)
        if upstream.answers:
            self.settle(upstream)
        if upstream.held and (self._links.closing or not upstream.connector.up):
            self._links.watch(upstream)
            self.recall(upstream)

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
                upstream.forget([message.id])
            else:
                claims.append(message)
                upstream.reserve(message)
        return claims, ended

    def recall(self, upstream: Upstream) -> None:
        """What is claimed but not offered goes back to the queue."""
        changes = upstream.recall(self._wall()) if upstream.held else []
        if changes:
            self._commit(upstream, Verdict([*changes], 0), [], [])

    def settle(self, upstream: Upstream) -> None:
        """Commit the outcomes that came, together with the claims of who gets the free slots."""
        if upstream.settling or upstream.retry is not None:
            return
        upstream.settling = True
        try:
            while upstream.answers and upstream.retry is None:
                answers, upstream.answers = upstream.answers, []
                verdict = upstream.judge(answers, self._wall())
                upstream.freeing += verdict.freed
                claims, ended = self._claims(upstream) if not verdict.again else ([], [])
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
        if claims or ended:
            upstream.backlog.refill()

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
        upstream.saved += 1
        upstream.freeing -= verdict.freed
        self._tell(committed)
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
            self.send(upstream, parts)
        if not verdict.plain:
            self._requeued(verdict, upstream)
        if upstream.held or not (verdict.again or upstream.backlog.empty):
            self.pump(upstream)

    def _tell(self, committed: Committed) -> None:
        if committed.events:
            try:
                self._outbox.occurred(committed.events)
            except Exception:  # noqa: BLE001 - events are on the disk; what tells them must not stop what sends
                _log.failure("{count} events were not taken", count=len(committed.events))

    def _requeued(self, verdict: Verdict, upstream: Upstream) -> None:
        """Messages that came back are queued again: those that are due wait in memory.

        Their own connector has said that it has no use for them now: they are not offered before it is ready, or
        something else happens.
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
                self.pump(target)

    def _uncommitted(
        self, failure: Failure, upstream: Upstream, verdict: Verdict, queued: list[Message]
    ) -> None:
        """Nothing changed, or nobody knows: who was to be claimed waits again, outcomes are kept."""
        upstream.freeing -= verdict.freed
        for message in queued:
            if message.id in upstream.busy:
                upstream.unreserve(message)
        upstream.backlog.add(queued)
        if verdict.changes:
            upstream.unsaved.append(verdict)
            verdict.tries += 1
            if verdict.saved_before < upstream.saved:
                verdict.saved_before = upstream.saved
                verdict.strikes += 1
        if failure.check(StoreDown, UnknownOutcome) is None:
            _log.failure("the store did not take outcomes of {connector}", failure, connector=upstream.name)
        if upstream.retry is None:
            upstream.failures += 1
            pause = back_off(upstream.failures, FIRST_PAUSE, LONGEST_PAUSE)
            upstream.retry = self._clock.callLater(pause, self._retry, upstream)

    def _retry(self, upstream: Upstream) -> None:
        """Offer the store once more, in order, what it did not take, and what came since."""
        upstream.retry = None
        unsaved, upstream.unsaved = upstream.unsaved, []
        answers, upstream.answers = upstream.answers, []
        unsaved.append(upstream.judge(answers, self._wall()))
        for verdict in unsaved:
            for again in self._pieces(verdict, upstream):
                upstream.freeing += again.freed
                if again.changes:
                    self._commit(upstream, again, [], [])
        self.pump(upstream)

    def _pieces(self, verdict: Verdict, upstream: Upstream) -> Iterator[Verdict]:
        """What to try next: the same; or each change alone, so that one which cannot be stored stops no others.

        One that fails again and again while others are stored is such: whatever the upstream said cannot be
        written down, so nobody will ever know what becomes of the part.
        """
        if len(verdict.changes) > 1 and verdict.tries >= PATIENCE:
            freed = verdict.freed
            for number, change in enumerate(verdict.changes, 1):
                share = freed if number == len(verdict.changes) else min(1, freed)
                freed -= share
                yield Verdict([change], share, saved_before=upstream.saved)
        elif len(verdict.changes) == 1 and verdict.strikes >= PATIENCE:
            (change,) = verdict.changes
            given_up = isinstance(change, Ended) and change.state is State.UNKNOWN
            _log.error(
                "an outcome of {connector} for message {id} cannot be stored; its state {will}",
                connector=upstream.name,
                id=change.message.id,
                will="is in doubt until the next start" if given_up else "will be unknown",
            )
            if given_up:
                upstream.settled(verdict.freed)
                return
            seq = 0 if isinstance(change, Requeued) else change.seq
            yield Verdict([Ended(change.message, seq, State.UNKNOWN, ErrorCode.NO_RECEIPT)], verdict.freed)
        else:
            yield verdict

    def move(self, upstream: Upstream) -> None:
        """Give what waits for a link that is down to other connectors of the routes.

        They are claimed first, a window at a time: only who owns a message may queue it elsewhere.
        """
        if not upstream.opened or upstream.retry is not None or upstream.moving or upstream.down_since is None:
            return
        moves: list[Sent | Ended | Requeued] = []
        stays: list[Message] = []
        for message in upstream.backlog.take(LOOK):
            connector = upstream.verdicts.reroute(message) if upstream.reserved < upstream.settings.window else ""
            if connector in ("", upstream.name):
                stays.append(message)
            else:
                upstream.reserve(message)
                moves.append(Requeued(message, connector, 0.0, False))
        upstream.backlog.add(reversed(stays))
        if moves:
            upstream.moving = True
            self._committing += 1
            claiming = self._store.commit(Changes(claims=[move.message for move in moves]))
            claiming.addBoth(self._claimed, upstream, moves).addErrback(self._fault).addBoth(self._done)
            upstream.backlog.refill()

    def _claimed(
        self, result: Committed | Failure, upstream: Upstream, moves: list[Sent | Ended | Requeued]
    ) -> None:
        """They are ours, so queue them elsewhere; and go on with the next."""
        upstream.moving = False
        for move in moves:
            upstream.unreserve(move.message)
        if isinstance(result, Failure):
            upstream.backlog.add([move.message for move in moves])
            result.trap(StoreDown, UnknownOutcome)
            return
        owned = [move for move, claimed in zip(moves, result.claims, strict=True) if claimed]
        if owned:
            self._commit(upstream, Verdict(owned, 0), [], [])
        self._clock.callLater(0, self.move, upstream)

"""What senders are still to be told: kept in the store, handed to the return paths as fast as they take it.

Every event is on the disk before it comes here and stays there until its receiver acknowledged it. Memory holds a
bounded part of them, per account and return path in an :class:`~.eventqueue.EventQueue`. An event of a message goes out
only after the earlier one of that message is acknowledged and forgotten, so return paths may spread events over several
sessions as they like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import Settings
from smsgw.interfaces import IMessageStore, IReturnPath, IReturnSink
from smsgw.model.changes import Changes, Committed, Retry
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.message import Event
from smsgw.model.pacing import back_off
from smsgw.services.outbox.eventqueue import EVERYTHING, EventQueue, key_of
from smsgw.services.outbox.metrics import OutboxMetrics

FIRST_PAUSE: Final = 5.0
"""Seconds before an event is tried a second time, unless the return path says otherwise; doubled each time."""

LONGEST_PAUSE: Final = 600.0
"""Seconds that the pause between two tries never exceeds."""

SWEEP: Final = 1.0
"""Seconds between two looks at what is due, and at what failed and is tried again."""

_EXPECTED: Final = (StoreDown, UnknownOutcome)
_log = Logger()


@implementer(IReturnSink)
class Outbox:
    """Tells senders what became of their messages, over whatever return paths are attached.

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param wall: absolute seconds since 1970.
    :param per_account: events held in memory per account and path.
    :param total: events held in memory altogether; at this bound the longest lanes go back to the store.
    :param share: events that an account may hold even then, so that the others cannot stop it.
    :param page: events read from the store at once.
    """

    def __init__(
        self,
        settings: Settings,
        store: IMessageStore,
        clock: IReactorTime,
        wall: Callable[[], float],
        *,
        per_account: int = 5_000,
        total: int = 50_000,
        share: int = 64,
        page: int = 1_000,
        metrics: OutboxMetrics | None = None,
    ) -> None:
        self._metrics = metrics or OutboxMetrics()
        self._store = store
        self._clock = clock
        self._wall = wall
        self._per_account = per_account
        self._total = total
        self._share = share
        self._page = page
        self._paths: dict[str, IReturnPath] = {}
        self._lanes: dict[str, dict[str, EventQueue]] = {}
        self._unasked: set[str] = set()
        self._unread: dict[EventQueue, None] = {}
        self._roused: list[EventQueue] = []
        self._held = 0
        self._told: list[Event] = []
        self._later: list[Retry] = []
        self._put_off: list[tuple[float, int, EventQueue, Event]] = []
        self._serial = count()
        self._turn: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._running = False
        self._asking = False
        self._committing = False
        self._forgetting = 0
        self._faltering = False
        self._stopped: Deferred[None] | None = None
        self._metrics.held.set_function(lambda: self._held)
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Tell no more of states reached longer ago than ``event_keep``: the sweep deletes such events."""
        self._keep = settings.gateway.event_keep

    def attach(self, path: IReturnPath) -> None:
        """Tell senders over `path` too; before :meth:`start`."""
        self._paths[path.path] = path
        self._lanes[path.path] = {}
        self._unasked.add(path.path)
        path.attach(self)

    def start(self) -> Deferred[None]:
        """Begin: ask the store who is owed something. Fires when that is known.

        :raises StoreDown: (through the Deferred) the store does not answer; it is asked again every second.
        """
        self._running = True
        self._timer = self._clock.callLater(SWEEP, self._sweep)
        return Deferred.fromCoroutine(self._ask())

    def stop(self) -> Deferred[None]:
        """Hand out nothing more. Fires when what was told until now is committed, or could not be.

        What then is not acknowledged stays in the store and is told after the next start.
        """
        self._running = False
        for call in (self._timer, self._turn):
            if call is not None and call.active():
                call.cancel()
        self._turn = None
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        self._flush()
        self._tell_stopped()
        return stopped

    def occurred(self, events: Sequence[Event]) -> None:
        """Events that were just stored, in the order of their happening."""
        if not self._running:
            return
        runs = self._by_lane(events)
        for lane, run in runs:
            if self._held + len(run) > self._total:
                self._shed()
            self._held += lane.arrive(run, self._total - self._held)
        for lane in dict.fromkeys(lane for lane, _ in runs):
            self._pump(lane)

    def replay(self, account: str | None, ids: Sequence[int], limit: int) -> Deferred[list[Event]]:
        """Tell again what was given up, see :meth:`smsgw.interfaces.IMessageStore.replay`."""

        def replayed(events: list[Event]) -> list[Event]:
            for lane, run in self._by_lane(events):
                self._held -= lane.supersede(run)
            self.occurred(events)
            return events

        return self._store.replay(account, ids, limit).addCallback(replayed)

    def acknowledged(self, events: Sequence[Event]) -> None:
        if events:
            self._told += events
            self._metrics.told[events[0].message.path].inc(len(events))
            self._soon()

    def retry(self, events: Sequence[Event], seconds: float | None) -> None:
        if not events:
            return
        now, wall = self._clock.seconds(), self._wall()
        for event in events:
            attempts = event.attempts + 1
            pause = back_off(attempts, FIRST_PAUSE, LONGEST_PAUSE) if seconds is None else seconds
            again = Event(event.message, event.kind, event.state, event.error, event.at, attempts, wall + pause)
            self._later.append(Retry(event, again.due))
            lane = self._lane(event.message.path, event.message.account)
            lane.held[key_of(event)] = again
            heappush(self._put_off, (now + pause, next(self._serial), lane, again))
        self._metrics.put_off[events[0].message.path].inc(len(events))
        self._soon()

    def requeue(self, events: Sequence[Event]) -> None:
        if not events:
            return
        for event in reversed(events):
            lane = self._lane(event.message.path, event.message.account)
            lane.waiting.appendleft(event)
            self._rouse(lane)
        self._metrics.returned[events[0].message.path].inc(len(events))

    def acknowledge_before_send(self, events: Sequence[Event]) -> Deferred[None]:
        self._forgetting += 1
        done = self._store.commit(Changes(acknowledged=list(events)))
        return done.addCallbacks(self._let_go, self._keep_on, callbackArgs=(events,), errbackArgs=(events,))

    def _let_go(self, _: Committed, events: Sequence[Event]) -> None:
        """They will be told at most once, by whoever asked for it."""
        self._forgetting -= 1
        if events:
            self._metrics.told[events[0].message.path].inc(len(events))
        for lane, run in self._by_lane(events):
            self._held -= lane.settle(run)
            self._rouse(lane)
        self._tell_stopped()

    def _keep_on(self, failure: Failure, events: Sequence[Event]) -> Failure:
        """Whether they are kept in the store is not known; they are here, and were told to nobody."""
        self._forgetting -= 1
        due = self._clock.seconds() + FIRST_PAUSE
        for event in events:
            lane = self._lane(event.message.path, event.message.account)
            heappush(self._put_off, (due, next(self._serial), lane, event))
        self._tell_stopped()
        return failure

    def ready(self, account: str) -> None:
        for lanes in self._lanes.values():
            lane = lanes.get(account)
            if lane is not None:
                self._pump(lane)

    def _lane(self, path: str, account: str) -> EventQueue:
        lanes = self._lanes[path]
        lane = lanes.get(account)
        if lane is None:
            cursor = EVERYTHING if path in self._unasked else None
            lane = lanes[account] = EventQueue(self._paths[path], account, self._per_account, cursor)
        return lane

    def _by_lane(self, events: Sequence[Event]) -> list[tuple[EventQueue, list[Event]]]:
        """The events in runs of one account and path; those of a path that nobody attached stay in the store."""
        runs: list[tuple[EventQueue, list[Event]]] = []
        run: list[Event] = []
        path = account = ""
        for event in events:
            message = event.message
            if message.account != account or message.path != path:
                path, account = message.path, message.account
                run = []
                if path in self._paths:
                    runs.append((self._lane(path, account), run))
            run.append(event)
        return runs

    def _shed(self) -> None:
        """Send the longest lanes back to the store until a tenth of the memory is free."""
        lanes = [lane for lanes in self._lanes.values() for lane in lanes.values() if lane.waiting]
        lanes.sort(key=lambda lane: -len(lane.waiting))
        for lane in lanes:
            if self._held <= self._total * 0.9:
                break
            self._held -= lane.shed()

    def _pump(self, lane: EventQueue) -> None:
        """Hand over what the path has room for, and read on when the memory runs dry."""
        if lane.pumping or not self._running:
            return
        lane.pumping = True
        path, account, waiting = lane.path, lane.account, lane.waiting
        try:
            room = path.room(account)
            while room > 0 and waiting:
                batch = lane.take(room)
                if batch:
                    self._deliver(path, batch)
                room = path.room(account)
        finally:
            lane.pumping = False
        if room > 0 and lane.cursor is not None and not lane.reading and len(waiting) <= self._page // 2:
            self._read(lane)

    def _deliver(self, path: IReturnPath, batch: list[Event]) -> None:
        try:
            path.deliver(batch)
        except Exception:  # noqa: BLE001 - one path must not stop the others; nothing is lost, the fault is logged
            _log.failure("return path {path} failed; its events are tried again", path=path.path)
            self.retry(batch, None)

    def _read(self, lane: EventQueue) -> None:
        held = len(lane.held)
        limit = min(self._page, self._per_account - held, max(self._total - self._held, self._share - held))
        if limit <= 0:
            self._unread[lane] = None
            return
        page = self._store.events(lane.account, lane.path.path, lane.begin(limit), limit)
        page.addCallbacks(self._turned, self._stuck, callbackArgs=(lane,), errbackArgs=(lane,))
        page.addErrback(lambda failure: _log.failure("handing out events failed", failure))

    def _turned(self, events: Sequence[Event], lane: EventQueue) -> None:
        """A page of the store came."""
        new, fresh = lane.turn(events)
        self._held += len(new)
        for event in new:
            pause = event.due - self._wall() if event.due else 0.0
            if pause > 0:
                due = self._clock.seconds() + min(pause, LONGEST_PAUSE)
                heappush(self._put_off, (due, next(self._serial), lane, event))
            else:
                lane.waiting.append(event)
        self._held += lane.arrive(fresh, max(self._total - self._held, 0))
        self._pump(lane)

    def _stuck(self, failure: Failure, lane: EventQueue) -> None:
        """A page could not be read: the sweep tries again."""
        if not isinstance(failure.value, _EXPECTED):
            _log.failure("a page of events cannot be read; it is tried again", failure)
        lane.fail()
        self._unread[lane] = None

    async def _ask(self) -> None:
        """Ask the store, per path not asked yet, which accounts are owed something."""
        if self._asking:
            return
        self._asking = True
        try:
            for path in sorted(self._unasked):
                for account in await self._store.accounts_with_events(path):
                    self._lane(path, account)
                self._unasked.discard(path)
                for lane in list(self._lanes[path].values()):
                    self._pump(lane)
        finally:
            self._asking = False

    @staticmethod
    def _unanswered(failure: Failure) -> None:
        if not isinstance(failure.value, _EXPECTED):
            _log.failure("who is owed an event cannot be read; it is tried again", failure)

    def _rouse(self, lane: EventQueue) -> None:
        """Hand over what this lane has in the next turn of the reactor."""
        if self._running:
            if lane not in self._roused:
                self._roused.append(lane)
            self._soon()

    def _soon(self) -> None:
        """Do what the events of this turn of the reactor ask for, all at once, in the next one."""
        if self._turn is None and not self._faltering:
            self._turn = self._clock.callLater(0, self._next_turn)

    def _next_turn(self) -> None:
        self._turn = None
        roused, self._roused = self._roused, []
        self._flush()
        for lane in roused:
            self._pump(lane)

    def _flush(self) -> None:
        """Commit what was told and put off since the last commit."""
        if self._committing or not (self._told or self._later):
            return
        told, self._told = self._told, []
        later, self._later = self._later, []
        self._committing = True
        self._store.commit(Changes(acknowledged=told, retries=later)).addCallbacks(
            self._forget, self._remember, callbackArgs=(told,), errbackArgs=(told,)
        ).addErrback(lambda failure: _log.failure("forgetting events failed", failure))

    def _forget(self, _: Committed, told: list[Event]) -> None:
        """What was told is forgotten in the store, and now here."""
        self._committing = self._faltering = False
        self._flush()
        for lane, run in self._by_lane(told):
            behind = len(lane.behind)
            self._held -= lane.settle(run)
            if len(lane.behind) < behind or lane.cursor is not None:
                self._pump(lane)
        self._tell_stopped()

    def _remember(self, failure: Failure, told: list[Event]) -> None:
        """The commit failed: what was told is committed again, pauses are only kept in memory."""
        self._committing = False
        self._faltering = True
        self._told[:0] = told
        if not isinstance(failure.value, _EXPECTED):
            _log.failure("{count} acknowledged events cannot be forgotten; tried again", failure, count=len(told))
        if self._stopped is not None:
            self._told.clear()
            self._later.clear()
        self._tell_stopped()

    def _tell_stopped(self) -> None:
        if self._stopped is not None and not (self._committing or self._forgetting or self._told or self._later):
            stopped, self._stopped = self._stopped, None
            stopped.callback(None)

    def _sweep(self) -> None:
        """Once a second: what is due, what failed, what is too old."""
        self._timer = self._clock.callLater(SWEEP, self._sweep)
        if self._faltering:
            self._faltering = False
            self._soon()
        if self._unasked:
            Deferred.fromCoroutine(self._ask()).addErrback(self._unanswered)
        lanes, self._unread = list(self._unread), {}
        now = self._clock.seconds()
        due: dict[EventQueue, list[Event]] = {}
        while self._put_off and self._put_off[0][0] <= now:
            _, _, lane, event = heappop(self._put_off)
            if lane.held.get(key_of(event)) is event:
                due.setdefault(lane, []).append(event)
        for lane, events in due.items():
            lane.waiting.extendleft(reversed(events))
            lanes.append(lane)
        self._drop_old(self._wall() - self._keep)
        for lane in lanes:
            self._pump(lane)

    def _drop_old(self, before: float) -> None:
        """Let go of waiting events whose time is over; the purge gives them up in the store."""
        for lanes in self._lanes.values():
            for lane in lanes.values():
                while lane.waiting and (lane.waiting[0].since or lane.waiting[0].at) < before:
                    self._held -= lane.settle([lane.waiting.popleft()])

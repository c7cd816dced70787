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
from smsgw.model.changes import Changes, Committed
from smsgw.model.message import Event
from smsgw.model.pacing import back_off
from smsgw.services.outbox.acknowledgements import EXPECTED, Acknowledgements
from smsgw.services.outbox.eventqueue import EVERYTHING, EventQueue, key_of
from smsgw.services.outbox.metrics import OutboxMetrics

FIRST_PAUSE: Final = 5.0
"""Seconds before an event is tried a second time, unless the return path says otherwise; doubled each time."""

LONGEST_PAUSE: Final = 600.0
"""Seconds that the pause between two tries never exceeds."""

SWEEP: Final = 1.0
"""Seconds between two looks at what is due, and at what failed and is tried again."""

_log = Logger()


@implementer(IReturnSink)
class Outbox:
    """Tells senders what became of their messages, over whatever return paths are attached.

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param now: absolute seconds since 1970.
    :param per_account: events held in memory per account and path.
    :param total: events held in memory altogether; at this bound the longest queues go back to the store.
    :param share: events that an account may hold even then, so that the others cannot stop it.
    :param page: events read from the store at once.
    """

    def __init__(
        self,
        settings: Settings,
        store: IMessageStore,
        clock: IReactorTime,
        now: Callable[[], float],
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
        self._now = now
        self._per_account = per_account
        self._total = total
        self._share = share
        self._page = page
        self._paths: dict[str, IReturnPath] = {}
        self._queues: dict[str, dict[str, EventQueue]] = {}
        self._unasked: set[str] = set()
        self._unread: dict[EventQueue, None] = {}
        self._roused: list[EventQueue] = []
        self._held = 0
        self._acknowledgements = Acknowledgements(store, self._forget, self._not_stored)
        self._put_off: list[tuple[float, int, EventQueue, Event]] = []
        self._serial = count()
        self._turn: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._running = False
        self._asking = False
        self._forgetting = 0
        self._stopped: Deferred[None] | None = None
        self._metrics.held.set_function(lambda: self._held)
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Tell no more of states reached longer ago than ``event_keep``: the sweep deletes such events."""
        self._keep = settings.gateway.event_keep

    def attach(self, path: IReturnPath) -> None:
        """Tell senders over `path` too; before :meth:`start`."""
        self._paths[path.path] = path
        self._queues[path.path] = {}
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
        self._acknowledgements.flush()
        self._tell_stopped()
        return stopped

    def occurred(self, events: Sequence[Event]) -> None:
        """Events that were just stored, in the order of their happening."""
        if not self._running:
            return
        runs = self._by_queue(events)
        for queue, run in runs:
            if self._held + len(run) > self._total:
                self._shed()
            self._held += queue.arrive(run, self._total - self._held)
        for queue in dict.fromkeys(queue for queue, _ in runs):
            self._pump(queue)

    def replay(self, account: str | None, ids: Sequence[int], limit: int) -> Deferred[list[Event]]:
        """Tell again what was given up, see :meth:`smsgw.interfaces.IMessageStore.replay`."""

        def replayed(events: list[Event]) -> list[Event]:
            for queue, run in self._by_queue(events):
                self._held -= queue.supersede(run)
            self.occurred(events)
            return events

        return self._store.replay(account, ids, limit).addCallback(replayed)

    def acknowledged(self, events: Sequence[Event]) -> None:
        if events:
            self._acknowledgements.add(events)
            self._metrics.told[events[0].message.path].inc(len(events))
            self._soon()

    def retry(self, events: Sequence[Event], seconds: float | None) -> None:
        if not events:
            return
        clock, now = self._clock.seconds(), self._now()
        for event in events:
            attempts = event.attempts + 1
            pause = back_off(attempts, FIRST_PAUSE, LONGEST_PAUSE) if seconds is None else seconds
            again = Event(event.message, event.kind, event.state, event.error, event.at, attempts, now + pause)
            self._acknowledgements.retry(event, again.due)
            queue = self._queue(event.message.path, event.message.account)
            queue.held[key_of(event)] = again
            heappush(self._put_off, (clock + pause, next(self._serial), queue, again))
        self._metrics.put_off[events[0].message.path].inc(len(events))
        self._soon()

    def requeue(self, events: Sequence[Event]) -> None:
        if not events:
            return
        for event in reversed(events):
            queue = self._queue(event.message.path, event.message.account)
            queue.waiting.appendleft(event)
            self._rouse(queue)
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
        for queue, run in self._by_queue(events):
            self._held -= queue.settle(run)
            self._rouse(queue)
        self._tell_stopped()

    def _keep_on(self, failure: Failure, events: Sequence[Event]) -> Failure:
        """Whether they are kept in the store is not known; they are here, and were told to nobody."""
        self._forgetting -= 1
        due = self._clock.seconds() + FIRST_PAUSE
        for event in events:
            queue = self._queue(event.message.path, event.message.account)
            heappush(self._put_off, (due, next(self._serial), queue, event))
        self._tell_stopped()
        return failure

    def ready(self, account: str) -> None:
        for queues in self._queues.values():
            queue = queues.get(account)
            if queue is not None:
                self._pump(queue)

    def _queue(self, path: str, account: str) -> EventQueue:
        queues = self._queues[path]
        queue = queues.get(account)
        if queue is None:
            cursor = EVERYTHING if path in self._unasked else None
            queue = queues[account] = EventQueue(self._paths[path], account, self._per_account, cursor)
        return queue

    def _by_queue(self, events: Sequence[Event]) -> list[tuple[EventQueue, list[Event]]]:
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
                    runs.append((self._queue(path, account), run))
            run.append(event)
        return runs

    def _shed(self) -> None:
        """Send the longest queues back to the store until a tenth of the memory is free."""
        queues = [queue for queues in self._queues.values() for queue in queues.values() if queue.waiting]
        queues.sort(key=lambda queue: -len(queue.waiting))
        for queue in queues:
            if self._held <= self._total * 0.9:
                break
            self._held -= queue.shed()

    def _pump(self, queue: EventQueue) -> None:
        """Hand over what the path has room for, and read on when the memory runs dry."""
        if queue.pumping or not self._running:
            return
        queue.pumping = True
        path, account, waiting = queue.path, queue.account, queue.waiting
        try:
            room = path.room(account)
            while room > 0 and waiting:
                batch = queue.take(room)
                if batch:
                    self._deliver(path, batch)
                room = path.room(account)
        finally:
            queue.pumping = False
        if room > 0 and queue.cursor is not None and not queue.reading and len(waiting) <= self._page // 2:
            self._read(queue)

    def _deliver(self, path: IReturnPath, batch: list[Event]) -> None:
        try:
            path.deliver(batch)
        except Exception:  # noqa: BLE001 - one path must not stop the others; nothing is lost, the fault is logged
            _log.failure("return path {path} failed; its events are tried again", path=path.path)
            self.retry(batch, None)

    def _read(self, queue: EventQueue) -> None:
        held = len(queue.held)
        limit = min(self._page, self._per_account - held, max(self._total - self._held, self._share - held))
        if limit <= 0:
            self._unread[queue] = None
            return
        page = self._store.events(queue.account, queue.path.path, queue.begin(limit), limit)
        page.addCallbacks(self._turned, self._stuck, callbackArgs=(queue,), errbackArgs=(queue,))
        page.addErrback(lambda failure: _log.failure("handing out events failed", failure))

    def _turned(self, events: Sequence[Event], queue: EventQueue) -> None:
        """A page of the store came."""
        new, fresh = queue.turn(events)
        self._held += len(new)
        for event in new:
            pause = event.due - self._now() if event.due else 0.0
            if pause > 0:
                due = self._clock.seconds() + min(pause, LONGEST_PAUSE)
                heappush(self._put_off, (due, next(self._serial), queue, event))
            else:
                queue.waiting.append(event)
        self._held += queue.arrive(fresh, max(self._total - self._held, 0))
        self._pump(queue)

    def _stuck(self, failure: Failure, queue: EventQueue) -> None:
        """A page could not be read: the sweep tries again."""
        if not isinstance(failure.value, EXPECTED):
            _log.failure("a page of events cannot be read; it is tried again", failure)
        queue.fail()
        self._unread[queue] = None

    async def _ask(self) -> None:
        """Ask the store, per path not asked yet, which accounts are owed something."""
        if self._asking:
            return
        self._asking = True
        try:
            for path in sorted(self._unasked):
                for account in await self._store.accounts_with_events(path):
                    self._queue(path, account)
                self._unasked.discard(path)
                for queue in list(self._queues[path].values()):
                    self._pump(queue)
        finally:
            self._asking = False

    @staticmethod
    def _unanswered(failure: Failure) -> None:
        if not isinstance(failure.value, EXPECTED):
            _log.failure("who is owed an event cannot be read; it is tried again", failure)

    def _rouse(self, queue: EventQueue) -> None:
        """Hand over what this queue has in the next turn of the reactor."""
        if self._running:
            if queue not in self._roused:
                self._roused.append(queue)
            self._soon()

    def _soon(self) -> None:
        """Do what the events of this turn of the reactor ask for, all at once, in the next one."""
        if self._turn is None and not self._acknowledgements.waiting:
            self._turn = self._clock.callLater(0, self._next_turn)

    def _next_turn(self) -> None:
        self._turn = None
        roused, self._roused = self._roused, []
        self._acknowledgements.flush()
        for queue in roused:
            self._pump(queue)

    def _forget(self, events: Sequence[Event]) -> None:
        """These are acknowledged, and no longer in the store."""
        for queue, run in self._by_queue(events):
            behind = len(queue.behind)
            self._held -= queue.settle(run)
            if len(queue.behind) < behind or queue.cursor is not None:
                self._pump(queue)
        self._tell_stopped()

    def _not_stored(self) -> None:
        """A commit of acknowledgements failed: it is tried again, unless this is the end."""
        if self._stopped is not None:
            self._acknowledgements.drop()
        self._tell_stopped()

    def _tell_stopped(self) -> None:
        if self._stopped is not None and not self._forgetting and self._acknowledgements.idle:
            stopped, self._stopped = self._stopped, None
            stopped.callback(None)

    def _sweep(self) -> None:
        """Once a second: what is due, what failed, what is too old."""
        self._timer = self._clock.callLater(SWEEP, self._sweep)
        if self._acknowledgements.waiting:
            self._acknowledgements.try_again()
            self._soon()
        if self._unasked:
            Deferred.fromCoroutine(self._ask()).addErrback(self._unanswered)
        queues, self._unread = list(self._unread), {}
        now = self._clock.seconds()
        due: dict[EventQueue, list[Event]] = {}
        while self._put_off and self._put_off[0][0] <= now:
            _, _, queue, event = heappop(self._put_off)
            if queue.held.get(key_of(event)) is event:
                due.setdefault(queue, []).append(event)
        for queue, events in due.items():
            queue.waiting.extendleft(reversed(events))
            queues.append(queue)
        self._drop_old(self._now() - self._keep)
        for queue in queues:
            self._pump(queue)

    def _drop_old(self, before: float) -> None:
        """Let go of waiting events whose time is over; the purge gives them up in the store."""
        for queues in self._queues.values():
            for queue in queues.values():
                while queue.waiting and (queue.waiting[0].since or queue.waiting[0].at) < before:
                    self._held -= queue.settle([queue.waiting.popleft()])

"""The outbox: passes events to the return paths as fast as these take them.

An event is in the store before it reaches the outbox, and stays there until its receiver has acknowledged it. Memory
holds a bounded number of events, per account and return path in an :class:`~.eventqueue.EventQueue`. The later event of
a message is delivered after the earlier one is acknowledged and deleted, so a return path may spread events over
several sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from smsgw.services.clock import CheckedClock
from smsgw.services.outbox.acknowledgements import EXPECTED, Acknowledgements
from smsgw.services.outbox.eventqueue import EVERYTHING, EventQueue, key_of
from smsgw.services.outbox.metrics import OutboxMetrics

FIRST_PAUSE: Final = 5.0
"""Seconds before the second attempt of an event, unless the return path gives a pause; doubled after each attempt."""

LONGEST_PAUSE: Final = 600.0
"""The longest pause between two attempts, in seconds."""

SWEEP: Final = 1.0
"""Seconds between two sweeps of the outbox."""

_log = Logger()


@implementer(IReturnSink)
class Outbox:
    """Delivers events to accounts over the return paths that are attached.

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param per_account: events held in memory per account and path.
    :param total: events held in memory altogether; at this limit the longest queues are dropped from memory and read
        again from the store later.
    :param share: events that an account may hold even at that limit, so that other accounts cannot block it.
    :param page: events read from the store at once.
    """

    def __init__(
        self,
        settings: Settings,
        store: IMessageStore,
        clock: IReactorTime,
        time: CheckedClock,
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
        self._time = time
        self._per_account = per_account
        self._total = total
        self._share = share
        self._page = page
        self._paths: dict[str, IReturnPath] = {}
        self._queues: dict[str, dict[str, EventQueue]] = {}
        self._unasked: set[str] = set()
        self._unread: dict[EventQueue, None] = {}
        self._to_pump: list[EventQueue] = []
        self._held = 0
        self._to_come = 0  # rows of the pages that are being read, at most
        self._acknowledgements = Acknowledgements(store, self._forget, self._not_stored)
        self._retries: list[tuple[float, int, EventQueue, Event]] = []
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
        """Deliver no events older than ``event_keep``: the purge makes dead letters of them."""
        self._keep = settings.gateway.event_keep

    def attach(self, path: IReturnPath) -> None:
        """Deliver events over `path` too; call this before :meth:`start`."""
        self._paths[path.path] = path
        self._queues[path.path] = {}
        self._unasked.add(path.path)
        path.attach(self)

    def start(self) -> Deferred[None]:
        """Begin to deliver. Fires when the store has answered which accounts have events.

        :raises StoreDown: (through the Deferred) the store does not answer; the outbox asks again every second.
        """
        self._running = True
        self._timer = self._clock.callLater(SWEEP, self._sweep)
        return Deferred.fromCoroutine(self._find_accounts())

    def stop(self) -> Deferred[None]:
        """Deliver nothing more. Fires when the acknowledgements so far are committed, or their commit has failed.

        Events without an acknowledgement stay in the store and are delivered after the next start.
        """
        self._running = False
        for call in (self._timer, self._turn):
            if call is not None and call.active():
                call.cancel()
        self._turn = None
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        self._acknowledgements.flush()
        self._fire_stopped()
        return stopped

    def occurred(self, events: Sequence[Event]) -> None:
        """Take events that were just committed, in the order in which they occurred."""
        if not self._running:
            return
        runs = self._by_queue(events)
        for queue, run in runs:
            if self._held + self._to_come + len(run) > self._total:
                self._shed()
            self._held += queue.add(run, self._room())
        for queue in dict.fromkeys(queue for queue, _ in runs):
            self._pump(queue)

    def replay(self, account: str | None, ids: Sequence[int], limit: int) -> Deferred[list[Event]]:
        """Deliver dead letters again, those that :meth:`smsgw.interfaces.IMessageStore.replay` chooses."""

        def replayed(events: list[Event]) -> list[Event]:
            for queue, run in self._by_queue(events):
                self._held -= queue.supersede(run)
            self.occurred(events)
            return events

        return self._store.replay(account, ids, limit).addCallback(replayed)

    def acknowledged(self, events: Sequence[Event]) -> None:
        if events:
            self._acknowledgements.add(events)
            self._metrics.acknowledged[events[0].message.path] += len(events)
            self._schedule()

    def retry(self, events: Sequence[Event], seconds: float | None) -> None:
        if not events:
            return
        clock, now = self._clock.seconds(), self._time.now()
        for event in events:
            attempts = event.attempts + 1
            pause = back_off(attempts, FIRST_PAUSE, LONGEST_PAUSE) if seconds is None else seconds
            again = Event(event.message, event.kind, event.state, event.error, event.at, attempts, now + pause)
            self._acknowledgements.retry(event, again.due)
            queue = self._queue(event.message.path, event.message.account)
            queue.held[key_of(event)] = again
            heappush(self._retries, (clock + pause, next(self._serial), queue, again))
        self._metrics.retried[events[0].message.path] += len(events)
        self._schedule()

    def requeue(self, events: Sequence[Event]) -> None:
        if not events:
            return
        for event in reversed(events):
            queue = self._queue(event.message.path, event.message.account)
            queue.waiting.appendleft(event)
            self._pump_later(queue)
        self._metrics.requeued[events[0].message.path] += len(events)

    def acknowledge_before_send(self, events: Sequence[Event]) -> Deferred[None]:
        self._forgetting += 1
        done = self._store.commit(Changes(acknowledged=list(events)))
        return done.addCallbacks(self._deleted, self._not_deleted, callbackArgs=(events,), errbackArgs=(events,))

    def _deleted(self, _: Committed, events: Sequence[Event]) -> None:
        """Remove events that the store has deleted: their return path delivers them now, at most once."""
        self._forgetting -= 1
        if events:
            self._metrics.acknowledged[events[0].message.path] += len(events)
        for queue, run in self._by_queue(events):
            self._held -= queue.remove(run)
            self._pump_later(queue)
        self._fire_stopped()

    def _not_deleted(self, failure: Failure, events: Sequence[Event]) -> Failure:
        """Try events again after a pause: the store may or may not have deleted them, and they were not delivered."""
        self._forgetting -= 1
        due = self._clock.seconds() + FIRST_PAUSE
        for event in events:
            queue = self._queue(event.message.path, event.message.account)
            heappush(self._retries, (due, next(self._serial), queue, event))
        self._fire_stopped()
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
        """The events in runs of one account and path; events of a path that is not attached stay in the store."""
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
        """Drop the longest queues from memory until a tenth of it is free; their events stay in the store."""
        queues = [queue for queues in self._queues.values() for queue in queues.values() if queue.waiting]
        queues.sort(key=lambda queue: -len(queue.waiting))
        for queue in queues:
            if self._held <= self._total * 0.9:
                break
            self._held -= queue.shed()

    def _pump(self, queue: EventQueue) -> None:
        """Deliver what the path has room for, and read the next page when few events wait in memory."""
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
        limit = min(self._page, self._per_account - held, max(self._room(), self._share - held))
        if limit <= 0:
            self._unread[queue] = None
            return
        self._to_come += limit
        page = self._store.events(queue.account, queue.path.path, queue.begin_page(limit), limit)
        page.addCallbacks(self._page_read, self._page_failed, callbackArgs=(queue, limit), errbackArgs=(queue, limit))
        page.addErrback(lambda failure: _log.failure("handing out events failed", failure))

    def _room(self) -> int:
        """How many further events memory may hold beside those of the pages that are being read."""
        return max(self._total - self._held - self._to_come, 0)

    def _page_read(self, events: Sequence[Event], queue: EventQueue, limit: int) -> None:
        """Queue the new events of a page."""
        self._to_come -= limit
        new, fresh = queue.add_page(events)
        self._held += len(new)
        for event in new:
            pause = event.due - self._time.now() if event.due else 0.0
            if pause > 0:
                due = self._clock.seconds() + min(pause, LONGEST_PAUSE)
                heappush(self._retries, (due, next(self._serial), queue, event))
            else:
                queue.waiting.append(event)
        self._held += queue.add(fresh, self._room())
        self._pump(queue)

    def _page_failed(self, failure: Failure, queue: EventQueue, limit: int) -> None:
        """Leave a page that could not be read to the next sweep."""
        self._to_come -= limit
        if not isinstance(failure.value, EXPECTED):
            _log.failure("a page of events cannot be read; it is tried again", failure)
        queue.end_page()
        self._unread[queue] = None

    async def _find_accounts(self) -> None:
        """Ask the store, for each path not asked yet, which accounts have events."""
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
    def _accounts_not_found(failure: Failure) -> None:
        if not isinstance(failure.value, EXPECTED):
            _log.failure("who is owed an event cannot be read; it is tried again", failure)

    def _pump_later(self, queue: EventQueue) -> None:
        """Pump `queue` in the next turn of the reactor."""
        if self._running:
            if queue not in self._to_pump:
                self._to_pump.append(queue)
            self._schedule()

    def _schedule(self) -> None:
        """Commit acknowledgements and pump queues in the next turn of the reactor, all at once."""
        if self._turn is None and not self._acknowledgements.waiting:
            self._turn = self._clock.callLater(0, self._next_turn)

    def _next_turn(self) -> None:
        self._turn = None
        queues, self._to_pump = self._to_pump, []
        self._acknowledgements.flush()
        for queue in queues:
            self._pump(queue)

    def _forget(self, events: Sequence[Event]) -> None:
        """Remove acknowledged events, which the store has deleted."""
        for queue, run in self._by_queue(events):
            behind = len(queue.behind)
            self._held -= queue.remove(run)
            if len(queue.behind) < behind or queue.cursor is not None:
                self._pump(queue)
        self._fire_stopped()

    def _not_stored(self) -> None:
        """A commit of acknowledgements failed: it is tried again, unless the outbox is being stopped."""
        if self._stopped is not None:
            self._acknowledgements.drop()
        self._fire_stopped()

    def _fire_stopped(self) -> None:
        if self._stopped is not None and not self._forgetting and self._acknowledgements.idle:
            stopped, self._stopped = self._stopped, None
            stopped.callback(None)

    def _sweep(self) -> None:
        """Once a second: deliver events that are due, retry what failed, drop events that are too old."""
        self._timer = self._clock.callLater(SWEEP, self._sweep)
        if self._acknowledgements.waiting:
            self._acknowledgements.try_again()
            self._schedule()
        if self._unasked:
            Deferred.fromCoroutine(self._find_accounts()).addErrback(self._accounts_not_found)
        queues, self._unread = list(self._unread), {}
        now = self._clock.seconds()
        due: dict[EventQueue, list[Event]] = {}
        while self._retries and self._retries[0][0] <= now:
            _, _, queue, event = heappop(self._retries)
            if queue.held.get(key_of(event)) is event:
                due.setdefault(queue, []).append(event)
        for queue, events in due.items():
            queue.waiting.extendleft(reversed(events))
            queues.append(queue)
        self._drop_old(self._time.earliest() - self._keep)
        for queue in queues:
            self._pump(queue)

    def _drop_old(self, before: float) -> None:
        """Remove waiting events that are older than ``event_keep``; the purge makes dead letters of them."""
        for queues in self._queues.values():
            for queue in queues.values():
                while queue.waiting and (queue.waiting[0].since or queue.waiting[0].at) < before:
                    self._held -= queue.remove([queue.waiting.popleft()])

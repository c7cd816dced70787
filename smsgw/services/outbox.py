"""What senders are still to be told: kept in the store, handed to the return paths as fast as they take it.

Every event is on the disk before it comes here and stays there until its receiver acknowledged it. Memory holds
a bounded part of them, per account and return path in a lane:

* *held* are the events in memory: waiting for room, under way, put off until later, or told with the commit that
  forgets them still to come. Nothing that is held is read from the store a second time, so nothing goes out twice
  while it is under way.
* *cursor* tells what is not held: rows above it may exist in the store and nowhere else, rows up to it are held
  or settled. An event that finds no room in memory pulls the cursor down to just below itself. While a lane has a
  cursor, new events above it are left to the store and come with their page; new events below it are held at once.
  This is safe for the order within a message: events are ordered by (message, kind), so whatever an earlier event
  of the same message waits for, a later one waits for too.
* an event of a message goes out only after the earlier one of that message is acknowledged and forgotten, so
  return paths may spread events over several sessions as they like.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import IMessageStore, IReturnPath, IReturnSink
from smsgw.model.changes import Changes, Committed, Later
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.message import Event, EventKind
from smsgw.model.pacing import back_off
from smsgw.telemetry import Counter, Gauge

TOLD: Final = Counter("smsgw_events_told_total", "Events that their receiver acknowledged.", ("path",))
PUT_OFF: Final = Counter("smsgw_events_put_off_total", "Events that their receiver could not take.", ("path",))
RETURNED: Final = Counter("smsgw_events_returned_total", "Events under way when their session went.", ("path",))
HELD: Final = Gauge("smsgw_events_held", "Events in memory, of all accounts and return paths.")

FIRST_PAUSE: Final = 5.0
"""Seconds before an event is tried a second time, unless the return path says otherwise; doubled each time."""

LONGEST_PAUSE: Final = 600.0
"""Seconds that the pause between two tries never exceeds."""

SWEEP: Final = 1.0
"""Seconds between two looks at what is due, and at what failed and is tried again."""

_FINAL: Final = EventKind.FINAL
_EVERYTHING: Final = 0
_log = Logger()


@attrs.define(eq=False)
class _Lane:
    """The events of one account on one return path. Keys are ``message id * 4 + kind``: their order is the store's."""

    path: IReturnPath
    account: str
    cursor: int | None
    held: dict[int, Event] = attrs.field(factory=dict)
    waiting: deque[Event] = attrs.field(factory=deque)
    behind: dict[int, Event] = attrs.field(factory=dict)
    """Events whose message has an earlier one held, by the key of the earlier."""
    pumping: bool = False
    reading: bool = False
    fresh: list[Event] = attrs.field(factory=list)
    """Events above the cursor that came while a page is read: the page may or may not contain them."""
    missed: int | None = None
    """The lowest key that came while a page is read and found no room in `fresh`."""
    gone: set[int] = attrs.field(factory=set)
    """Keys forgotten while a page is read: the page may still contain them."""


def _key(event: Event) -> int:
    return event.message.id << 2 | event.kind


@implementer(IReturnSink)
class Outbox:
    """Tells senders what became of their messages, over whatever return paths are attached.

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param wall: absolute seconds since 1970.
    :param keep: events of states reached longer ago than this many seconds are not told any more (the purge
        deletes them); 0 keeps them for ever.
    :param per_account: events held in memory per account and path. What a path has room for is held beyond that.
    :param total: events held in memory altogether; at this bound the longest lanes go back to the store.
    :param page: events read from the store at once.
    """

    def __init__(
        self,
        store: IMessageStore,
        clock: IReactorTime,
        wall: Callable[[], float],
        *,
        keep: float = 0.0,
        per_account: int = 5_000,
        total: int = 50_000,
        page: int = 1_000,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wall = wall
        self._keep = keep
        self._per_account = per_account
        self._total = total
        self._page = page
        self._paths: dict[str, IReturnPath] = {}
        self._lanes: dict[str, dict[str, _Lane]] = {}
        self._unasked: set[str] = set()
        self._unread: list[_Lane] = []
        self._roused: list[_Lane] = []
        self._held = 0
        self._told: list[Event] = []
        self._later: list[Later] = []
        self._put_off: list[tuple[float, int, _Lane, Event]] = []
        self._serial = count()
        self._turn: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._running = False
        self._committing = False
        self._faltering = False
        self._stopped: Deferred[None] | None = None
        HELD.watch(lambda: self._held)

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
        return self._ask()

    def stop(self) -> Deferred[None]:
        """Hand out nothing more. Fires when what was told until now is committed, or could not be.

        What then is not acknowledged stays in the store and is told after the next start.
        """
        self._running = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._faltering = False
        self._stopped = Deferred()
        stopped = self._stopped
        self._flush()
        self._tell_stopped()
        return stopped

    def occurred(self, events: Sequence[Event]) -> None:
        """Events that were just stored, in the order of their happening."""
        if not self._running:
            return
        touched: list[_Lane] = []
        lane: _Lane | None = None
        path = account = ""
        per_account, total = self._per_account, self._total
        for event in events:
            message = event.message
            if lane is None or message.account != account or message.path != path:
                path, account = message.path, message.account
                if path not in self._paths:
                    lane = None
                    continue
                lane = self._lane(path, account)
                touched.append(lane)
            key = message.id << 2 | event.kind
            held = lane.held
            if lane.cursor is None and len(held) < per_account and self._held < total and key not in held:
                held[key] = event
                lane.waiting.append(event)
                self._held += 1
            else:
                self._arrive(lane, key, event)
        for lane in touched:
            self._pump(lane)

    def told(self, events: Sequence[Event]) -> None:
        """See :class:`~smsgw.interfaces.IReturnSink`."""
        if not events:
            return
        self._told += events
        TOLD.add(len(events), events[0].message.path)
        self._soon()

    def later(self, events: Sequence[Event], seconds: float | None) -> None:
        """See :class:`~smsgw.interfaces.IReturnSink`."""
        if not events:
            return
        now, wall = self._clock.seconds(), self._wall()
        for event in events:
            attempts = event.attempts + 1
            pause = back_off(attempts, FIRST_PAUSE, LONGEST_PAUSE) if seconds is None else seconds
            due = wall + pause
            self._later.append(Later(event, due))
            again = Event(event.message, event.kind, event.state, event.error, event.at, attempts, due)
            lane = self._lane(event.message.path, event.message.account)
            lane.held[_key(event)] = again
            heappush(self._put_off, (now + pause, next(self._serial), lane, again))
        PUT_OFF.add(len(events), events[0].message.path)
        self._soon()

    def returned(self, events: Sequence[Event]) -> None:
        """See :class:`~smsgw.interfaces.IReturnSink`."""
        if not events:
            return
        for event in reversed(events):
            lane = self._lane(event.message.path, event.message.account)
            lane.waiting.appendleft(event)
            if lane not in self._roused:
                self._roused.append(lane)
        RETURNED.add(len(events), events[0].message.path)
        self._soon()

    def ready(self, account: str) -> None:
        """See :class:`~smsgw.interfaces.IReturnSink`."""
        for lanes in self._lanes.values():
            lane = lanes.get(account)
            if lane is not None:
                self._pump(lane)

    def _lane(self, path: str, account: str) -> _Lane:
        lanes = self._lanes[path]
        lane = lanes.get(account)
        if lane is None:
            cursor = _EVERYTHING if path in self._unasked else None
            lane = lanes[account] = _Lane(self._paths[path], account, cursor)
        return lane

    def _arrive(self, lane: _Lane, key: int, event: Event) -> None:
        """Hold an event that just happened, or leave it to the store."""
        cursor = lane.cursor
        if cursor is not None and key > cursor:
            if lane.reading:
                if len(lane.fresh) < self._page:
                    lane.fresh.append(event)
                elif lane.missed is None or key < lane.missed:
                    lane.missed = key
        elif key in lane.held or key in lane.gone:
            return
        elif len(lane.held) >= self._per_account or (self._held >= self._total and not self._shed()):
            lane.cursor = key - 1
        elif lane.cursor is None or key <= lane.cursor:
            self._hold(lane, key, event)

    def _hold(self, lane: _Lane, key: int, event: Event) -> None:
        lane.held[key] = event
        self._held += 1
        pause = event.due - self._wall() if event.due else 0.0
        if pause > 0:
            due = self._clock.seconds() + min(pause, LONGEST_PAUSE)
            heappush(self._put_off, (due, next(self._serial), lane, event))
        else:
            lane.waiting.append(event)

    def _shed(self) -> bool:
        """Send the longest lanes back to the store until a tenth of the memory is free; False if nothing can go."""
        lanes = [lane for lanes in self._lanes.values() for lane in lanes.values() if lane.waiting]
        lanes.sort(key=lambda lane: -len(lane.waiting))
        for lane in lanes:
            if self._held <= self._total * 0.9:
                break
            keys = [_key(event) for event in lane.waiting]
            lane.waiting.clear()
            for key in keys:
                del lane.held[key]
            self._held -= len(keys)
            lowest = min(keys) - 1
            lane.cursor = lowest if lane.cursor is None else min(lane.cursor, lowest)
        return self._held < self._total

    def _pump(self, lane: _Lane) -> None:
        """Hand over what the path has room for, and read on when the memory runs dry."""
        if lane.pumping or not self._running:
            return
        lane.pumping = True
        path, account, waiting = lane.path, lane.account, lane.waiting
        try:
            room = path.room(account)
            while room > 0 and waiting:
                batch = self._take(lane, room)
                if batch:
                    self._deliver(path, batch)
                room = path.room(account)
        finally:
            lane.pumping = False
        if room > 0 and lane.cursor is not None and len(waiting) < self._page // 2:
            self._read(lane, room)

    def _take(self, lane: _Lane, room: int) -> list[Event]:
        """The next events that may go; later ones of a message with an earlier one held step aside."""
        waiting, held = lane.waiting, lane.held
        if len(waiting) <= room:
            batch = list(waiting)
            waiting.clear()
        else:
            popleft = waiting.popleft
            batch = [popleft() for _ in range(room)]
        early: list[Event] | None = None
        for event in batch:
            if event.kind == _FINAL:
                earlier = event.message.id << 2 | 1
                if earlier in held:
                    lane.behind[earlier] = event
                    early = [event] if early is None else [*early, event]
        if early is None:
            return batch
        aside = {id(event) for event in early}
        return [event for event in batch if id(event) not in aside]

    def _deliver(self, path: IReturnPath, batch: list[Event]) -> None:
        try:
            path.deliver(batch)
        except Exception:
            _log.failure("return path {path} failed; its events are tried again", path=path.path)
            self.later(batch, None)

    def _read(self, lane: _Lane, room: int) -> None:
        limit = min(self._page, max(self._per_account - len(lane.held), room))
        if lane.reading or lane.cursor is None:
            return
        lane.reading = True
        after = lane.cursor
        page = self._store.events(lane.account, lane.path.path, (after >> 2, after & 3), limit)
        page.addCallbacks(
            self._turned, self._stuck, callbackArgs=(lane, after, limit), errbackArgs=(lane,)
        ).addErrback(lambda failure: _log.failure("reading events failed", failure))

    def _turned(self, events: Sequence[Event], lane: _Lane, after: int, limit: int) -> None:
        """A page of the store came: hold what is new in it."""
        lane.reading = False
        gone, lane.gone = lane.gone, set()
        fresh, lane.fresh = lane.fresh, []
        missed, lane.missed = lane.missed, None
        last = after
        for event in events:
            last = _key(event)
            if last not in lane.held and last not in gone:
                self._hold(lane, last, event)
        if lane.cursor == after:
            lane.cursor = last if len(events) >= limit else None
        for event in fresh:
            key = _key(event)
            if key not in gone:
                self._arrive(lane, key, event)
        if missed is not None and (lane.cursor is None or missed <= lane.cursor):
            lane.cursor = missed - 1
        self._pump(lane)

    def _stuck(self, failure: Failure, lane: _Lane) -> None:
        """A page could not be read: the sweep tries again, from below what came meanwhile."""
        failure.trap(StoreDown, UnknownOutcome)
        lane.reading = False
        lane.gone.clear()
        lane.fresh.clear()
        lane.missed = None
        self._unread.append(lane)

    def _ask(self) -> Deferred[None]:
        """Ask the store, per path not asked yet, which accounts are owed something."""
        asked: Deferred[None] = succeed(None)
        for path in sorted(self._unasked):
            asked.addCallback(lambda _, path=path: self._store.debtors(path))
            asked.addCallback(self._know, path)
        return asked

    def _know(self, accounts: Sequence[str], path: str) -> None:
        for account in accounts:
            self._lane(path, account).cursor = _EVERYTHING
        self._unasked.discard(path)
        for lane in list(self._lanes[path].values()):
            self._pump(lane)

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
        self._store.commit(Changes(told=told, later=later)).addCallbacks(
            self._forget, self._remember, callbackArgs=(told,), errbackArgs=(told,)
        ).addErrback(lambda failure: _log.failure("forgetting events failed", failure))

    def _forget(self, committed: Committed, told: list[Event]) -> None:
        self._committing = self._faltering = False
        self._flush()
        freed: list[_Lane] = []
        lane: _Lane | None = None
        path = account = ""
        for event in told:
            message = event.message
            if lane is None or message.account != account or message.path != path:
                path, account = message.path, message.account
                lane = self._lane(path, account)
            key = message.id << 2 | event.kind
            if lane.held.pop(key, None) is not None:
                self._held -= 1
            if lane.reading:
                lane.gone.add(key)
            if lane.behind and self._let_go(lane, key):
                freed.append(lane)
        for lane in freed:
            self._pump(lane)
        self._tell_stopped()

    @staticmethod
    def _let_go(lane: _Lane, key: int) -> bool:
        """The event of `key` is settled: the one behind it may go."""
        event = lane.behind.pop(key, None)
        if event is None:
            return False
        lane.waiting.append(event)
        return True

    def _remember(self, failure: Failure, told: list[Event]) -> None:
        """The commit failed: what was told is committed again, pauses are only kept in memory."""
        self._committing = False
        self._faltering = True
        self._told[:0] = told
        if failure.check(StoreDown, UnknownOutcome) is None:
            _log.failure("the store refused {count} acknowledged events; they are tried again", failure, count=len(told))
        if self._stopped is not None:
            self._told.clear()
            self._later.clear()
        self._tell_stopped()

    def _tell_stopped(self) -> None:
        if self._stopped is not None and not (self._committing or self._told or self._later):
            stopped, self._stopped = self._stopped, None
            stopped.callback(None)

    def _sweep(self) -> None:
        """Once a second: what is due, what failed, what is too old."""
        self._timer = self._clock.callLater(SWEEP, self._sweep)
        self._faltering = False
        self._next_turn()
        if self._unasked:
            self._ask().addErrback(lambda failure: failure.trap(StoreDown, UnknownOutcome))
        if self._keep:
            self._drop_old(self._wall() - self._keep)
        lanes, self._unread = self._unread, []
        now = self._clock.seconds()
        due: dict[_Lane, list[Event]] = {}
        while self._put_off and self._put_off[0][0] <= now:
            _, _, lane, event = heappop(self._put_off)
            if lane.held.get(_key(event)) is event:
                due.setdefault(lane, []).append(event)
        for lane, events in due.items():
            lane.waiting.extendleft(reversed(events))
            lanes.append(lane)
        for lane in lanes:
            self._pump(lane)

    def _drop_old(self, before: float) -> None:
        """Let go of waiting events whose time is over; the purge deletes them from the store."""
        for lanes in self._lanes.values():
            for lane in lanes.values():
                waiting = lane.waiting
                while waiting and waiting[0].at < before:
                    key = _key(waiting.popleft())
                    del lane.held[key]
                    self._held -= 1
                    self._let_go(lane, key)


def _unused(_: Any) -> None:
    """Nothing."""

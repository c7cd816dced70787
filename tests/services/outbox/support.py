"""An outbox between a store and a return path that are worked by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from smsgw.interfaces import IReturnPath
from smsgw.model.changes import Changes, Committed
from smsgw.model.content import Content
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, EventKind, Message
from smsgw.services.clock import CheckedClock
from smsgw.services.outbox.metrics import OutboxMetrics
from smsgw.services.outbox.outbox import Outbox
from tests.configured import configured

ENROUTE, FINAL = EventKind.ENROUTE, EventKind.FINAL
CONTENT = Content("DEMO", 5, 0, 1, 1, 0, 0, b"hello")


def event(
    id: int, kind: EventKind = EventKind.FINAL, account: str = "demo", path: str = "smpp", at: float = 1000.0
) -> Event:
    """An event of message `id`."""
    state = State.DELIVERED if kind is EventKind.FINAL else State.ENROUTE
    message = Message(
        id, account, path, "sim", state, 0, False, 0, 7, 1, 9e9, 900.0, at, 0.0, 0, "79161234567", 0, CONTENT
    )
    return Event(message, kind, state, 0, at)


def name(each: Event) -> tuple[int, int]:
    """What an event is known by within its account and path."""
    return each.message.id, int(each.kind)


class ByHandStore:
    """Keeps events. Calls are carried out, and their results handed out, at once or when a test says so.

    :ivar by_hand: whether calls wait for :meth:`work` and results for :meth:`answer`.
    :ivar broken: what calls fail with. :ivar given_up: events beside the rows.
    :ivar acknowledged, later: names committed so far. :ivar pages: reads so far.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[tuple[int, int], Event]] = {}
        self.given_up: list[Event] = []
        self.by_hand = False
        self.broken: Exception | None = None
        self.todo: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.done: list[tuple[Any, Deferred[Any]]] = []
        self.acknowledged: list[tuple[int, int]] = []
        self.later: list[tuple[tuple[int, int], float]] = []
        self.commits = 0
        self.pages: list[tuple[str, tuple[int, int], int]] = []

    def add(self, *events: Event) -> None:
        """Keep events, as the commit that they came from did."""
        for each in events:
            self.rows.setdefault((each.message.path, each.message.account), {})[name(each)] = each

    def accounts_with_events(self, path: str) -> Deferred[list[str]]:
        """See IMessageStore."""
        return self._call(lambda: sorted(account for (of, account), rows in self.rows.items() if of == path and rows))

    def events(self, account: str, path: str, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        """See IMessageStore."""
        self.pages.append((account, after, limit))

        def read() -> list[Event]:
            rows = self.rows.get((path, account), {})
            return [rows[each] for each in sorted(rows) if each > after][:limit]

        return self._call(read)

    def replay(self, account: str | None, ids: Sequence[int], limit: int) -> Deferred[list[Event]]:
        """See IMessageStore."""

        def take_back() -> list[Event]:
            wanted = [
                each for each in self.given_up
                if account in (None, each.message.account) and (not ids or each.message.id in ids)
            ][:limit]
            self.given_up = [each for each in self.given_up if each not in wanted]
            self.add(*wanted)
            return wanted

        return self._call(take_back)

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """See IMessageStore; only what concerns events."""

        def carry_out() -> Committed:
            self.commits += 1
            for each in changes.acknowledged:
                self.acknowledged.append(name(each))
                self.rows.get((each.message.path, each.message.account), {}).pop(name(each), None)
            self.later += [(name(each.event), each.due) for each in changes.retries]
            return Committed([], [], [], [])

        return self._call(carry_out)

    def _call(self, do: Callable[[], Any]) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.todo.append((do, result))
        if not self.by_hand:
            self.work()
            self.answer()
        return result

    def work(self) -> None:
        """Carry out the calls so far."""
        todo, self.todo = self.todo, []
        for do, result in todo:
            self.done.append((Failure(self.broken) if self.broken else do(), result))

    def answer(self, backwards: bool = False) -> None:
        """Hand out the results so far, as they came or the other way round."""
        done, self.done = self.done, []
        for value, result in reversed(done) if backwards else done:
            result.callback(value)


@implementer(IReturnPath)
class ByHandPath:
    """Takes events as far as there is room, and leaves the answers to the test.

    :ivar rooms: room per account that is free. :ivar under_way: events handed over and not answered yet.
    :ivar log: everything handed over. :ivar broken: what the next delivery raises.
    """

    path = "smpp"

    def __init__(self, path: str = "smpp") -> None:
        self.path = path
        self.sink: Any = None
        self.rooms: dict[str, int] = {}
        self.under_way: list[Event] = []
        self.log: list[Event] = []
        self.broken: Exception | None = None

    def attach(self, sink: Any) -> None:
        """See IReturnPath."""
        self.sink = sink

    def room(self, account: str) -> int:
        """See IReturnPath."""
        return self.rooms.get(account, 0)

    def deliver(self, events: Sequence[Event]) -> None:
        """See IReturnPath."""
        if self.broken:
            broken, self.broken = self.broken, None
            raise broken
        for each in events:
            self.rooms[each.message.account] -= 1
        self.under_way += events
        self.log += events

    def bind(self, account: str, room: int) -> None:
        """A client binds for `account`."""
        self.rooms[account] = room
        self.sink.ready(account)

    def answered(self, events: Sequence[Event]) -> None:
        """These are no longer under way; their room is free."""
        for each in events:
            self.under_way.remove(each)
            self.rooms[each.message.account] += 1

    def acknowledge(self, *ids: int) -> None:
        """The events of these messages (of all, if none is named) are acknowledged."""
        events = [each for each in self.under_way if not ids or each.message.id in ids]
        self.answered(events)
        self.sink.acknowledged(events)
        for account in {each.message.account for each in events}:
            self.sink.ready(account)


def ids(events: Sequence[Event]) -> list[int]:
    """The messages that events are about."""
    return [each.message.id for each in events]


class OutboxTestCase(SynchronousTestCase):
    """An outbox between a store and a return path that are worked by hand."""

    def setUp(self) -> None:
        """Make them; nothing runs yet."""
        self.clock = Clock()
        self.store = ByHandStore()
        self.path = ByHandPath()

    def make(self, event_keep: float = 1e9, **limits: Any) -> Outbox:
        """A started outbox."""
        self.metrics = OutboxMetrics()
        self.outbox = Outbox(
            configured(event_keep=event_keep),
            self.store,  # type: ignore[arg-type]
            self.clock,
            CheckedClock(lambda: 1000.0 + self.clock.seconds(), self.clock.seconds),
            metrics=self.metrics,
            **limits,
        )
        self.outbox.attach(self.path)
        self.started = self.outbox.start()
        return self.outbox

    def happen(self, *events: Event) -> None:
        """Events are stored, and then passed to the outbox."""
        self.store.add(*events)
        self.outbox.occurred(events)

    def turn(self) -> None:
        """Let one turn of the reactor pass."""
        self.clock.advance(0)

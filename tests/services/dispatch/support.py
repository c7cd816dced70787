"""A gateway without front ends: dispatch over a real store, with connectors that are worked by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from smsgw.config import ConnectorSettings
from smsgw.interfaces import Awaited, IConnector, IConnectorSink
from smsgw.model.changes import Changes, Committed
from smsgw.model.content import Content
from smsgw.model.errors import Refused
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import Event, Incoming, Message, Part
from smsgw.model.outcome import Lost, Outcome, Sent
from smsgw.services.clock import CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.dispatch import Dispatch
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine
from tests.configured import configured
from tests.cuts import cut_into

NOON = 1_800_000_000.0
"""The absolute time at which tests begin."""

DAY = 86_400.0


def content(*texts: bytes, sender: str = "DEMO", data_coding: int = 0, esm_class: int = 0) -> Content:
    """The content of a message with these parts."""
    return Content(sender, 5, 0, 1, 1, data_coding, esm_class, b"".join(texts) or b"hello")


def message(
    id: int,
    account: str = "demo",
    connector: str = "sim",
    priority: int = 0,
    text: bytes = b"hello",
    parts: int = 1,
    **changes: Any,
) -> Message:
    """A message that is ready to be sent."""
    made = Message(
        id, account, "smpp", connector, State.QUEUED, priority, False, 0, Notify.FINAL | Notify.ENROUTE, parts,
        NOON + DAY, NOON, NOON, 0.0, 0, f"7916{id:07}", 0, content(*[text] * parts),
        cut=cut_into([text] * parts),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def names(parts: Iterable[Part]) -> list[tuple[int, int]]:
    """(message, number) of each part."""
    return [(part.message.id, part.seq) for part in parts]


def ids(messages: Iterable[Message]) -> list[int]:
    """The ids of messages."""
    return [one.id for one in messages]


@implementer(IConnector)
class HandConnector:
    """Keeps what is sent until the test gives the outcomes.

    :ivar sends: every send as (message, number) pairs. :ivar waiting: parts without an outcome.
    :ivar quick: gives outcomes in the next turn of `clock`, what this returns for each part.
    :ivar hasty: breaks the rule: gives such outcomes inside the call.
    """

    def __init__(self, name: str = "sim", window: int = 10) -> None:
        self.name = name
        self.up = True
        self.window = window
        self.taken = 0
        self.tokens: int | None = None
        self.sends: list[list[tuple[int, int]]] = []
        self.waiting: list[Part] = []
        self.resumed: list[Awaited] = []
        self.clock = Clock()
        self.quick: Callable[[Part], Outcome] | None = None
        self.hasty = False
        self.poison: set[int] = set()
        self.stopping: Deferred[None] | None = None
        self._starved = False
        self._given = 0

    def start(self, sink: IConnectorSink) -> None:
        self.sink = sink

    def room(self) -> int:
        room = self.window - self.taken if self.up else 0
        if self.tokens is not None:
            room = min(room, self.tokens)
        self._starved = self._starved or room <= 0
        return max(room, 0)

    def send(self, parts: Sequence[Part]) -> None:
        assert 0 < len(parts) <= self.room(), f"{len(parts)} parts sent into a room of {self.room()}"
        if self.poison & {part.message.id for part in parts}:
            raise ZeroDivisionError("this message cannot be encoded")
        if self.tokens is not None:
            self.tokens -= len(parts)
        self.taken += len(parts)
        self._starved = not self.room()
        self.sends.append(names(parts))
        if self.quick is None:
            self.waiting += parts
            return
        outcomes = [(part, self.quick(part)) for part in parts]
        if self.hasty:
            self.sink.outcomes(self.name, outcomes)
        else:
            self.clock.callLater(0, self.sink.outcomes, self.name, outcomes)

    def release(self, count: int) -> None:
        self.taken -= count
        assert self.taken >= 0
        self.ready()

    def ready(self) -> None:
        """Say that there is room, if there was none."""
        if self._starved and self.room():
            self._starved = False
            self.sink.ready(self.name)

    def come_up(self) -> None:
        """The link is there again."""
        self.up = True
        self.sink.ready(self.name)

    def go_down(self) -> None:
        """The link goes, and with it the answers that are still to come."""
        self.up = False
        self.answer(Lost("link down"))

    def resume(self, awaited: Sequence[Awaited]) -> None:
        self.resumed += awaited

    def stop(self) -> Deferred[None]:
        self.up = False
        if not self.waiting:
            return succeed(None)
        self.stopping = Deferred()
        return self.stopping

    def answer(self, outcome: Outcome | None = None, count: int | None = None) -> list[tuple[int, int]]:
        """Give an answer to the first `count` parts that wait for one (all), by default a yes with a fresh id."""
        some = self.waiting[:count]
        del self.waiting[:count]
        self.sink.outcomes(self.name, [(part, outcome or Sent(self.fresh_id())) for part in some])
        if self.stopping is not None and not self.waiting:
            self.stopping.callback(None)
        return names(some)

    def fresh_id(self) -> str:
        """An id as an upstream would give it."""
        self._given += 1
        return f"{self.name}-{self._given}"

    @property
    def sent(self) -> list[tuple[int, int]]:
        """Every part sent so far."""
        return [one for send in self.sends for one in send]


@attrs.define(eq=False)
class HandRunner(Inline):
    """Does the store's work at once, or when the test says so.

    :ivar working: whether some is being done: what comes then waits its turn.
    :ivar dead: whether the process that would get its result is gone.
    """

    by_hand: bool = False
    dead: bool = False
    working: bool = False
    todo: list[Callable[[], None]] = attrs.field(factory=list)

    def run(self, work: Callable[[], None]) -> None:
        """See Runner."""
        if self.by_hand or self.working:
            self.todo.append(work)
        else:
            work()

    def report(self, call: Callable[[], None]) -> None:
        """See Runner."""
        if not self.dead:
            call()

    def work(self, steps: int = 1_000_000) -> None:
        """Do what waits, and what that brings, at most so many steps of it."""
        self.working = True
        while self.todo and steps > 0:
            steps -= 1
            self.todo.pop(0)()
        self.working = False


class HastyConnection(sqlite3.Connection):
    """A power failure cannot harm these tests, so they do not wait for the disk."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """See sqlite3."""
        return super().execute("PRAGMA synchronous = OFF" if sql == "PRAGMA synchronous = FULL" else sql, *parameters)


class FlakyStore(MessageStore):
    """A store that fails commits when a test wants it to.

    :ivar trouble: what every commit fails with; or a function of the changes that says so.
    :ivar commits: what was committed.
    """

    trouble: Exception | Callable[[Changes], Exception | None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commits: list[Changes] = []

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """See IMessageStore."""
        trouble = self.trouble
        if trouble is not None and not isinstance(trouble, Exception):
            trouble = trouble(changes)
        if trouble is not None:
            return fail(trouble)
        self.commits.append(changes)
        return super().commit(changes)


class RecordingIncoming:
    """Notes what came from subscribers, and keeps it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Incoming]] = []

    def incoming(self, connector: str, incoming: Sequence[Incoming]) -> Deferred[list[Refused | None]]:
        """See IConnectorSink."""
        self.taken += [(connector, one) for one in incoming]
        return succeed([None for _ in incoming])


@attrs.define
class RecordingOutbox:
    """Writes down what happened."""

    events: list[Event] = attrs.field(factory=list)

    def occurred(self, events: Sequence[Event]) -> None:
        """See Outbox."""
        self.events += events

    @property
    def reported(self) -> list[tuple[int, State]]:
        """(message, state) of every event."""
        return [(event.message.id, event.state) for event in self.events]


class DispatchTestCase(SynchronousTestCase):
    """A dispatch over a real store in a directory of its own, stopped clocks, connectors by hand."""

    memory = 20_000

    def setUp(self) -> None:
        """Open the store; :meth:`begin` starts the rest."""
        self.clock = Clock()
        self.directory = self.mktemp()
        self.runner = HandRunner()
        self.settings: dict[str, ConnectorSettings] = {}
        self.down: set[str] = set()
        self.refusing: set[str] = set()
        self.paused: set[str] = set()
        self.metrics = DispatchMetrics()
        self.lead = 0.0
        self.time = CheckedClock(self.wall, self.now)
        self.open_store()

    def now(self) -> float:
        """The absolute time."""
        return NOON + self.clock.seconds()

    def wall(self) -> float:
        """The wall clock, which is set ahead of the time by `lead`."""
        return self.now() + self.lead

    def open_store(self) -> None:
        """Open the store as a fresh process would."""
        self.store = FlakyStore(
            SqliteEngine(self.directory, self.runner, low_water=0, connect=self._connect), "gw1", self.time.now,
            clock=self.time,
        )
        self.store.open()
        self.addCleanup(self.shut)

    def _connect(self, path: Path) -> sqlite3.Connection:
        self._connection = sqlite3.connect(path, isolation_level=None, factory=HastyConnection)
        return self._connection

    def shut(self) -> None:
        """Close the store, as at the end of a process."""
        self.runner.by_hand = False
        self.runner.work()
        self.store.close()

    def reroute(self, one: Message) -> str:
        """Where a message shall go; tests of failover say otherwise."""
        return one.connector

    def begin(self, *connectors: HandConnector, **settings: Any) -> HandConnector:
        """Start dispatch over `connectors`, by default one named sim; returns the first."""
        links = connectors or (HandConnector(),)
        self.links = {link.name: link for link in links}
        for link in links:
            link.clock = self.clock
        self.outbox, self.incoming = RecordingOutbox(), RecordingIncoming()
        sections = [ConnectorSettings(name=link.name, window=link.window, **settings) for link in links]
        self.dispatch = Dispatch(
            configured(*sections, report_timeout=DAY),
            self.store,
            Commits(self.store, self.outbox),
            self.clock,
            self.time,
            dict(self.links),
            self.reroute,
            incoming=self.incoming,
            memory=self.memory,
            down=self.down,
            refusing=self.refusing,
            paused=self.paused,
            metrics=self.metrics,
        )
        self.successResultOf(self.dispatch.start())
        return links[0]

    def crash(self) -> None:
        """Everything in memory is gone; the store, where its work was not yet done too, is opened anew."""
        self.clock.calls.clear()
        self.runner.todo.clear()
        self.runner.dead = True
        self._connection.close()
        assert isinstance(self.store.engine, SqliteEngine)
        self.store.engine.lock.release()
        self.runner = HandRunner()
        self.open_store()

    def accept(self, *messages: Message) -> Deferred[Committed]:
        """Accept messages without conditions; a failure is left in the Deferred's result as None."""
        return self.dispatch.accept(list(messages)).addErrback(lambda _: None)

    def promote(self) -> None:
        """What the sweep does with messages whose time came."""
        found = self.successResultOf(self.store.release_due(self.now(), 1000))
        self.successResultOf(self.dispatch.promoted(found))

    def state(self, id: int) -> State:
        """What the store says of a message."""
        return self.found(id).state

    def found(self, id: int) -> Message:
        """A message as the store has it."""
        self.runner.by_hand = False
        ((one,),) = self.successResultOf(self.store.find(None, [id]))
        return one

    def waiting(self, connector: str = "sim") -> int:
        """How many messages the store has queued and due for a connector."""
        self.runner.by_hand = False
        counted: dict[str, int] = self.successResultOf(self.store.queue_depth(connector))
        return sum(counted.values())

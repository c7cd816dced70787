"""An admin listener over a real store, in memory, with messages in every stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock

from smsgw.frontends.admin.frontend import AdminFrontend
from smsgw.model.changes import Cancel, Changes, Committed, PartEnded, PartSent, Reported
from smsgw.model.content import Content
from smsgw.model.errors import NotPossible, Refusal, Refused
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import DeliveryReport, Incoming, Message
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine
from tests.cuts import cut_into
from tests.protocols.http.support import Client, Response, request

NUMBER = "79161234567"
PERSON = "79031112233"
TEXT = "Your code is 4711"
START = 1_574_087_003.0


class RecordedOperations:
    """Notes the wishes. A name ``gone`` is unknown, and ``no`` refuses.

    :ivar wishes: each as its name and its arguments.
    """

    def __init__(self) -> None:
        self.wishes: list[tuple[Any, ...]] = []

    def _wish(self, *wish: Any) -> None:
        self.wishes.append(wish)
        if "gone" in wish or 999 in wish:
            raise NotPossible("there is no such thing", unknown=True)
        if "no" in wish:
            raise NotPossible("not now")

    def resend(self, id: int) -> Deferred[int]:
        """Give the message the next id if its id is odd."""
        return maybeDeferred(self._wish, "resend", id).addCallback(lambda _: id + id % 2)

    def retry(self, connector: str) -> Deferred[int]:
        """Seven messages."""
        return maybeDeferred(self._wish, "retry", connector).addCallback(lambda _: 7)

    def pause(self, connector: str) -> None:
        """Nothing more."""
        self._wish("pause", connector)

    def resume(self, connector: str) -> None:
        """Nothing more."""
        self._wish("resume", connector)

    def move(self, connector: str, other: str) -> Deferred[tuple[int, int]]:
        """Five moved, one stayed."""
        return maybeDeferred(self._wish, "move", connector, other).addCallback(lambda _: (5, 1))


class Admin:
    """The front end, its store and one client of it.

    :ivar state: the state of the gateway. :ivar problems, connectors: in its health.
    :ivar broken: the error of all calls of the store.
    :ivar silent: whether the store never answers. :ivar made_up: the simulated items, with the named connector.
    :ivar without_account: whether no account gets simulated items. :ivar accepting: whether new messages are accepted.
    :ivar jump: seconds by which the wall clock jumped.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.clock = Clock()
        self.clock.advance(START)
        self.store = MessageStore(SqliteEngine(directory, Inline()), "gw1", self.clock.seconds)
        self.store.open()
        self.state = "running"
        self.stranded: dict[str, int] = {}
        self.problems: list[str] = []
        self.connectors: dict[str, dict[str, Any]] = {"sim": {"up": True, "room": 7, "paused": False}}
        self.broken: Exception | None = None
        self.silent = False
        self.made_up: list[tuple[str, Incoming]] = []
        self.without_account = False
        self.accepting = True
        self.jump = 0.0
        self.registry = CollectorRegistry()
        self.operations = RecordedOperations()
        self.front = AdminFrontend(
            self,  # type: ignore[arg-type]
            self._cancel,
            self.store.replay,
            self._simulate,
            self.operations,
            self._health,
            self,
            self.clock,
            self.registry,
            backup=Path(directory).resolve() / "backup.sqlite",
        )
        self.client = Client(self.front.site())

    def accept_clock(self) -> float:
        """Accept the jump."""
        jump, self.jump = self.jump, 0.0
        return jump

    def __getattr__(self, name: str) -> Any:
        """The store, unless it is broken or silent."""
        ask = getattr(self.store, name)

        def asked(*arguments: Any) -> Any:
            if self.silent:
                return Deferred()
            return fail(self.broken) if self.broken is not None else ask(*arguments)

        return asked

    def _health(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "problems": self.problems,
            "accepting": self.accepting,
            "connectors": self.connectors,
            "without_connector": self.stranded,
        }

    def _cancel(self, number: int) -> Deferred[list[Message] | Refused]:
        def first(committed: Committed) -> list[Message] | Refused:
            return committed.cancels[0]

        if self.broken is not None:
            return fail(self.broken)
        return succeed(Changes(cancels=[Cancel(None, number)])).addCallback(self.store.commit).addCallback(first)

    def _simulate(self, connector: str, incoming: Incoming) -> Deferred[Refused | None]:
        self.made_up.append((connector, incoming))
        return succeed(Refused(Refusal.NO_ROUTE) if self.without_account else None)

    def get(self, path: str, *lines: bytes) -> Response:
        """Send GET."""
        return self.client.ask(request(b"GET", path.encode(), None, *lines))

    def post(self, path: str, *lines: bytes, body: bytes = b"") -> Response:
        """Send POST."""
        return self.client.ask(request(b"POST", path.encode(), body, b"X-Smsgw-User: alice", *lines))

    # Messages

    def accept(
        self,
        *,
        account: str = "demo",
        state: State = State.QUEUED,
        recipient: str = NUMBER,
        sender: str = "DEMO",
        parts: tuple[bytes, ...] = (TEXT.encode(),),
        claimed: bool = False,
        due: float = 0.0,
        error: int = 0,
        batch: int = 0,
        path: str = "smpp",
        listener: str = "api",
    ) -> Message:
        """Store a message."""
        now = self.clock.seconds()
        content = Content(sender, 5, 0, 1, 1, 0, 0, b"".join(parts))
        id = self.store.next_id()
        message = Message(
            id, account, path, "sim", state, 0, claimed, 0, int(Notify.FINAL), len(parts), now + 86_400.0, now, now,
            due, error, recipient, batch, content, cut=cut_into(parts), listener=listener,
        )
        self.commit(accepts=[message])
        return message

    def commit(self, **changes: Any) -> Committed:
        """Change the store."""
        results: list[Committed] = []
        self.store.commit(Changes(**changes)).addCallback(results.append)
        return results[0]

    def sent(self, message: Message, remote_id: str = "r1", seq: int = 1) -> None:
        """Commit that an upstream took a part."""
        self.commit(outcomes=[PartSent(message, seq, remote_id, self.clock.seconds() + 3600.0)])

    def ended(self, message: Message, state: State, error: int) -> None:
        """End the message without a receipt."""
        self.commit(outcomes=[PartEnded(message, 0, state, error)])

    def reported(self, remote_id: str, state: State = State.DELIVERED, raw: bytes = b"") -> None:
        """Commit a receipt."""
        report = DeliveryReport(remote_id, state, 0, self.clock.seconds(), raw)
        self.commit(receipts=[Reported("sim", report)])

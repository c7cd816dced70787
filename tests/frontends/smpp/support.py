"""A fake session and fake services of the SMPP front end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import IIntake, IReturnSink, ISmppSession
from smsgw.model.changes import Cancel
from smsgw.model.content import Content
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import Accepted, Event, EventKind, Message, Submission
from smsgw.smpp.pdus import Pdu


@implementer(ISmppSession)
class HandSession:
    """A fake SMPP session.

    :ivar sent: unanswered requests of the delegate. :ivar log: all its requests. :ivar window: their limit.
    """

    def __init__(self, version: int = 0x34, peer: str = "192.0.2.1", receives: bool = True) -> None:
        self.bound: Any = None
        self.version = version
        self.transmits = True
        self.receives = receives
        self.peer = peer
        self.tls = False
        self.window = 10
        self.sent: list[tuple[object, Pdu]] = []
        self.log: list[Pdu] = []
        self.open = True

    def send(self, requests: Sequence[tuple[object, Pdu]]) -> None:
        """See ISmppSession."""
        if not 0 < len(requests) <= self.room():
            raise ValueError("no room, or nothing to send")
        self.sent += requests
        self.log += [pdu for _, pdu in requests]

    def room(self) -> int:
        """See ISmppSession."""
        return self.window - len(self.sent) if self.receives and self.open else 0

    def pause(self) -> None:
        """See ISmppSession."""

    def resume(self) -> None:
        """See ISmppSession."""

    def close(self) -> None:
        """See ISmppSession."""
        self.open = False


@implementer(IReturnSink)
class HandSink:
    """Records the reports of a return path."""

    def __init__(self) -> None:
        self.acknowledged_events: list[Event] = []
        self.retried: list[tuple[Event, float | None]] = []
        self.requeued: list[Event] = []
        self.ready_accounts: list[str] = []
        self.acknowledged_before: list[Event] = []

    def acknowledged(self, events: Sequence[Event]) -> None:
        """See IReturnSink."""
        self.acknowledged_events += events

    def retry(self, events: Sequence[Event], seconds: float | None) -> None:
        """See IReturnSink."""
        self.retried += [(each, seconds) for each in events]

    def requeue(self, events: Sequence[Event]) -> None:
        """See IReturnSink."""
        self.requeued += events

    def acknowledge_before_send(self, events: Sequence[Event]) -> Deferred[None]:
        """See IReturnSink."""
        self.acknowledged_before += events
        return succeed(None)

    def ready(self, account: str) -> None:
        """See IReturnSink."""
        self.ready_accounts.append(account)


@implementer(IIntake)
class HandIntake:
    """Accepts submissions with ids from 1, at once or when the test fires.

    :ivar calls: the submissions of each call. :ivar refusals: refusals by recipient.
    :ivar failing: the error of calls. :ivar waiting: if not None, calls wait here.
    """

    def __init__(self) -> None:
        self.calls: list[list[Submission]] = []
        self.refusals: dict[str, Refusal] = {}
        self.failing: Exception | None = None
        self.waiting: list[tuple[Deferred[list[Accepted | Refused]], list[Accepted | Refused]]] | None = None
        self.last = 0

    def submit(self, submissions: Sequence[Submission]) -> Deferred[list[Accepted | Refused]]:
        """See IIntake."""
        self.calls.append(list(submissions))
        if self.failing is not None:
            failed: Deferred[list[Accepted | Refused]] = Deferred()
            failed.errback(Failure(self.failing))
            return failed
        results: list[Accepted | Refused] = []
        for submission in submissions:
            refusal = self.refusals.get(submission.recipients[0])
            if refusal is not None:
                results.append(Refused(refusal))
            else:
                self.last += 1
                results.append(Accepted(self.last, [self.last], 1, State.QUEUED))
        if self.waiting is None:
            return succeed(results)
        waits: Deferred[list[Accepted | Refused]] = Deferred()
        self.waiting.append((waits, results))
        return waits


class HandStore:
    """Finds and cancels messages.

    :ivar messages: by id: one message, or those of a batch. :ivar finds: the ids of each call.
    """

    def __init__(self) -> None:
        self.messages: dict[int, list[Message]] = {}
        self.finds: list[list[int]] = []
        self.cancels: list[list[Cancel]] = []
        self.failing: Exception | None = None

    def find(self, account: str | None, ids: Sequence[int]) -> Deferred[list[list[Message]]]:
        """See IMessageStore."""
        self.finds.append(list(ids))
        if self.failing is not None:
            failed: Deferred[list[list[Message]]] = Deferred()
            failed.errback(Failure(self.failing))
            return failed
        return succeed([[each for each in self.messages.get(id, []) if each.account == account] for id in ids])

    def cancel(self, wishes: Sequence[Cancel]) -> Deferred[list[list[Message] | Refused]]:
        """See Cancellation."""
        self.cancels.append(list(wishes))
        answers: list[list[Message] | Refused] = []
        for wish in wishes:
            (message,) = self.messages[wish.id]
            if message.state in FINAL:
                answers.append(Refused(Refusal.ALREADY_FINAL))
            else:
                message.state = State.CANCELLED
                answers.append([message])
        return succeed(answers)


def message(id: int, state: State = State.QUEUED, account: str = "demo", error: int = 0) -> Message:
    """A message from DEMO to 79161234567."""
    content = Content("DEMO", 5, 0, 1, 1, 0, 0, b"hello")
    return Message(
        id, account, "smpp", "sim", state, 0, False, 0, 7, 1, 9e9, 1e9, 1e9, 0.0, error, "79161234567", 0, content
    )


def event(id: int, kind: EventKind = EventKind.FINAL, account: str = "demo") -> Event:
    """Make an event of a message."""
    state = State.DELIVERED if kind is EventKind.FINAL else State.ENROUTE
    return Event(message(id, state, account), kind, state, 0, 1e9)

"""What tests of stores are written with."""

from __future__ import annotations

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Changes, Committed, PartEnded, PartSent, Reported, Requeued
from smsgw.model.content import WHOLE, Content, Cut, Form
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import DeliveryReport, Event, Message

START = 1_700_000_000.0
"""When tests begin, in seconds since 1970."""

ALL = Notify.FINAL | Notify.ENROUTE

FAR = START + 1e6
"""A time no test reaches unless it wants to."""


def new(
    store: IMessageStore,
    *,
    account: str = "demo",
    path: str = "smpp",
    connector: str = "sim",
    state: State = State.QUEUED,
    claimed: bool = True,
    priority: int = 0,
    notify: int = ALL,
    parts: int = 1,
    expires: float = 0.0,
    due: float = 0.0,
    error: int = 0,
    batch: int = 0,
    text: str = "hi",
    at: float = START,
    login: str = "",
    listener: str = "",
) -> Message:
    """A message with a fresh id, as intake makes them."""
    octets = tuple(f"{text} {number}".encode() for number in range(parts))
    cut = Cut(Form.UDH8, 0, octets, 7) if parts > 1 else WHOLE
    return Message(
        store.next_id(),
        account,
        path,
        connector,
        state,
        priority,
        claimed,
        0,
        notify,
        parts,
        expires,
        at,
        at,
        due,
        error,
        "79161234567",
        batch,
        Content("DEMO", 5, 0, 1, 1, 0, 0, b"".join(octets), 0, "", b"\x02\x0c\x00\x02\x00\x07"),
        cut=cut,
        login=login,
        listener=listener,
    )


def sent(message: Message, remote_id: str, seq: int = 1, due: float = FAR) -> PartSent:
    """The connector took a part."""
    return PartSent(message, seq, remote_id, due)


def receipt(
    remote_id: str,
    state: State | None = State.DELIVERED,
    error: int = 0,
    connector: str = "sim",
    at: float = START,
    raw: bytes = b"",
) -> Reported:
    """The upstream reported."""
    return Reported(connector, DeliveryReport(remote_id, state, error, at, raw))


def outcomes(*changes: PartSent | PartEnded | Requeued) -> Changes:
    """A call with nothing else."""
    return Changes(outcomes=[*changes])


def receipts(*reported: Reported) -> Changes:
    """A call with nothing else."""
    return Changes(receipts=[*reported])


def as_tuples(events: list[Event]) -> list[tuple[int, int, State, int]]:
    """What events say, without the rest of the message."""
    return [(event.message.id, event.kind, event.state, event.error) for event in events]


def happened(committed: Committed) -> list[tuple[int, int, State, int]]:
    """The events of a commit."""
    return as_tuples(committed.events)

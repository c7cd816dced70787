"""Values of a dialect for the tests of other layers."""

from __future__ import annotations

from datetime import timedelta, timezone

from smsgw.dialects import CallbackContext
from smsgw.dialects.standard import RECEIPTS
from smsgw.model.content import Content, Labels
from smsgw.model.lifecycle import State
from smsgw.model.message import CALLBACK, Event, EventKind, Incoming, IncomingKind, Message

AT = 1_313_865_660.75
"""The time of the events."""

CONTEXT = CallbackContext(timezone(timedelta(hours=4)), (), AT)
"""Without keys."""


def receipt_text(
    message_id: bytes, state: int, submitted: bytes, done: bytes, err: bytes = b"000", text: bytes = b""
) -> bytes:
    """The text of a receipt in the dialect standard."""
    return RECEIPTS.form(int(state), int(err)) % (message_id, submitted, done, text)


def status(
    state: State = State.DELIVERED, error: int = 0, *, id: int = 854_019, parts: int = 1, labels: Labels | None = None
) -> Event:
    """An event of a message."""
    content = Content("DEMO", 5, 0, 1, 1, 0, 0, b"hi" * parts, labels=labels)
    made = AT - 60
    message = Message(
        id, "demo", CALLBACK, "sim", state, 0, False, 0, 7, parts, 0.0, made, AT, 0.0, error, "79161234567", 0, content
    )
    kind = EventKind.ENROUTE if state is State.ENROUTE else EventKind.FINAL
    return Event(message, kind, state, error, AT)


def incoming(kind: IncomingKind = IncomingKind.MESSAGE, text: str = "Привет", answers: int = 0) -> Event:
    """An incoming message or call."""
    one = Incoming(77, "demo", CALLBACK, kind, "sim", "79161234567", "79031112233", text, AT, answers, 9)
    return Event(one, EventKind.INCOMING, State.DELIVERED, 0, AT)

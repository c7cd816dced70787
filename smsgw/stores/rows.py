"""Rows of the tables that hold messages, events and what came in, and the values they stand for.

The same for all engines: a row is a sequence of plain values in the order of the names here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from smsgw.model.content import WHOLE, Content, Cut
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, EventKind, Incoming, IncomingKind, Message, brief

STATES: Final = tuple(State)
"""The state for a stored number: quicker than calling :class:`State`."""

MESSAGE: Final = (
    "id", "account", "login", "listener", "path", "connector", "state", "priority", "leased_to", "claimed", "attempts",
    "notify", "parts", "expires", "created", "changed", "due", "error", "recipient", "batch", "sent", "remote_id",
    "version", "cut", "data",
)  # fmt: skip
"""Columns of a message. `leased_to` is the node that has it, `claimed` 1 while it may have been written to the
upstream; `version` counts its changes."""

MESSAGE_WIDTH: Final = len(MESSAGE)

ID: Final = MESSAGE.index("id")
ACCOUNT: Final = MESSAGE.index("account")
CONNECTOR: Final = MESSAGE.index("connector")
STATE: Final = MESSAGE.index("state")
LEASED_TO: Final = MESSAGE.index("leased_to")
CLAIMED: Final = MESSAGE.index("claimed")
PARTS: Final = MESSAGE.index("parts")
REMOTE_ID: Final = MESSAGE.index("remote_id")
VERSION: Final = MESSAGE.index("version")

PART: Final = ("message", "seq", "state", "error", "remote_id")
"""Columns of a part, of those that have a row: parts of messages in several that were sent or ended."""

EVENT: Final = ("login", "path", "message", "seq", "kind", "state", "error", "at", "attempts", "due", "since")
"""Columns of an event, and of a dead letter; `seq` is its place among the events of its message."""

PARKED: Final = ("remote_id", "connector", "since", "state", "error", "at", "raw")
"""Columns of a parked receipt."""

CONDITION: Final = ("scope", "key", "until", "used", "id", "digest")
"""Columns of a condition: a key (used 0) or what was added to a limit, until an absolute time (0: for ever)."""

INCOMING: Final = (
    "id", "account", "path", "kind", "connector", "sender", "recipient", "text", "at", "answers", "seconds", "callback",
)  # fmt: skip
"""Columns of what came from a subscriber."""

CONFIRMATION: Final = ("phone", "number", "account", "expires")
"""Columns of a call that is waited for."""


def to_message(row: Sequence[Any]) -> Message:
    """The message that a row with the columns :data:`MESSAGE` (and perhaps more behind them) stands for."""
    content = Content.unpack(row[24])
    return Message(
        row[0],
        row[1],
        row[4],
        row[5],
        STATES[row[6]],
        row[7],
        row[9] != 0,
        row[10],
        row[11],
        row[12],
        row[13],
        row[14],
        row[15],
        row[16],
        row[17],
        row[18],
        row[19],
        content,
        row[20],
        row[21],
        (),
        Cut.unpack(row[23], content.octets) if row[23] else WHOLE,
        row[2],
        row[3],
    )


def to_incoming(row: Sequence[Any]) -> Incoming:
    """What came from a subscriber, from a row with the columns :data:`INCOMING`."""
    id, account, path, kind, *rest = row
    return Incoming(id, account, path, IncomingKind(kind), *rest)


def to_events(rows: Sequence[Sequence[Any]], incoming: Mapping[int, Incoming]) -> list[Event]:
    """The events that rows with the columns :data:`MESSAGE` (None where it is not about a message) and then
    :data:`EVENT` stand for; `incoming` is what came from subscribers, by id."""
    events = []
    for row in rows:
        _, _, id, _, kind, state, error, at, attempts, due, since = row[MESSAGE_WIDTH:]
        about = incoming.get(id) if row[0] is None else brief(to_message(row))
        if about is not None:
            events.append(Event(about, EventKind(kind), STATES[state], error, at, attempts, due, since))
    return events

"""The columns of messages, parts, events and incoming texts, and the conversion of rows into objects.

All engines use the same rows: sequences of plain values in the order of the columns here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from smsgw.model.content import WHOLE
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, EventKind, Incoming, IncomingKind, Message, brief
from smsgw.stores.packed import unpack, unpack_cut

STATES: Final = tuple(State)
"""The state of each stored number; faster than calling :class:`State`."""

MESSAGE: Final = (
    "id", "account", "login", "path", "connector", "state", "priority", "leased_to", "claimed", "attempts", "parts",
    "expires", "created", "changed", "due", "error", "recipient", "batch", "sent", "remote_id", "version", "cut",
    "data",
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
"""Columns of a part. Only parts of messages in several parts have a row, after they were sent or ended."""

EVENT: Final = ("login", "path", "message", "seq", "kind", "state", "error", "at", "attempts", "due", "since")
"""Columns of an event and of a dead letter; `seq` is the position among the events of the message. `since` of an event
is when it was replayed, 0 if it was not; of a dead letter, when it became one."""

PARKED: Final = ("remote_id", "connector", "since", "state", "error", "at", "raw")
"""Columns of a parked receipt."""

WORDS: Final = ("message", "seq", "state", "connector", "at", "words")
"""Columns of an upstream's last words about one part. Only parts that an upstream did not take, or did not deliver,
have a row."""

CONDITION: Final = ("scope", "key", "until", "used", "id", "digest")
"""Columns of a condition: a used key (`used` 0), or the amount used of a limit; valid until an absolute time (0: for
ever)."""

INCOMING: Final = (
    "id", "account", "path", "kind", "connector", "sender", "recipient", "text", "at", "answers", "seconds", "callback",
)  # fmt: skip
"""Columns of an incoming text, call or keys."""

CONFIRMATION: Final = ("phone", "number", "account", "expires")
"""Columns of an account's wait for a call."""


def to_message(row: Sequence[Any]) -> Message:
    """The message of a row that begins with the columns :data:`MESSAGE`."""
    (
        id, account, login, path, connector, state, priority, _, claimed, attempts, parts, expires, created, changed,
        due, error, recipient, batch, sent, remote_id, _, cut, data,
    ) = row[:MESSAGE_WIDTH]  # fmt: skip
    content, notify, listener = unpack(data)
    return Message(
        id,
        account,
        path,
        connector,
        STATES[state],
        priority,
        claimed != 0,
        attempts,
        notify,
        parts,
        expires,
        created,
        changed,
        due,
        error,
        recipient,
        batch,
        content,
        sent,
        remote_id,
        (),
        unpack_cut(cut, content.octets) if cut else WHOLE,
        login,
        listener,
    )


def to_incoming(row: Sequence[Any]) -> Incoming:
    """The incoming text, call or keys of a row with the columns :data:`INCOMING`."""
    id, account, path, kind, *rest = row
    return Incoming(id, account, path, IncomingKind(kind), *rest)


def to_events(rows: Sequence[Sequence[Any]], incoming: Mapping[int, Incoming]) -> list[Event]:
    """The events of rows with the columns :data:`MESSAGE` (None if the event belongs to no message) and then
    :data:`EVENT`; `incoming` holds the incoming texts, calls and keys by id."""
    events = []
    for row in rows:
        _, _, id, _, kind, state, error, at, attempts, due, since = row[MESSAGE_WIDTH:]
        about = incoming.get(id) if row[0] is None else brief(to_message(row))
        if about is not None:
            events.append(Event(about, EventKind(kind), STATES[state], error, at, attempts, due, since))
    return events

"""The progress of one message: the states of its parts, and whether it waits or is claimed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from smsgw.model.lifecycle import FINAL, MOVES, State, combine_parts
from smsgw.model.message import Message
from smsgw.stores.rows import CLAIMED, LEASED_TO, STATES, VERSION, to_message

# A global is faster than the attribute of the enumeration.
_QUEUED: Final = State.QUEUED
_ENROUTE: Final = State.ENROUTE
_SCHEDULED: Final = State.SCHEDULED


@attrs.define(eq=False)
class MessageProgress:
    """A message with any number of parts, waiting or claimed.

    :ivar message: the message as it was accepted or read; the changes since are in the other attributes.
    :ivar version: the version of the stored row; guards the next write.
    :ivar leased_to: the node that has claimed it, empty for none.
    :ivar states, errors, ids: for each part its state, its error, and the last id that an upstream gave it.
    :ivar unsent: how many parts are neither sent nor ended. :ivar open: how many parts have not ended.
    :ivar touched: positions of parts whose rows are to be written. :ivar dirty: whether anything is to be written.
    :ivar place: (connector, due) of its row in `waiting` or `deferred`, None if it has none.
    """

    message: Message
    version: int
    connector: str
    state: State
    leased_to: str
    attempts: int
    changed: float
    due: float
    error: int
    sent: float
    states: list[State]
    errors: list[int]
    ids: list[str]
    unsent: int
    open: int
    touched: list[int]
    dirty: bool = False
    place: tuple[str, float] | None = None

    @property
    def queued(self) -> bool:
        """Whether the message waits to be claimed: it has unsent parts and is not claimed."""
        return not self.leased_to and self.unsent > 0

    def may(self, part: int, state: State) -> bool:
        """Whether a part may go to `state`."""
        return state in MOVES[self.states[part]]

    def set_part(self, part: int, state: State, error: int, remote_id: str) -> None:
        """Set the state, error and remote id of a part; nothing else changes."""
        before = self.states[part]
        if before < _ENROUTE:
            self.unsent -= 1
        if state > _ENROUTE and before <= _ENROUTE:
            self.open -= 1
        self.states[part] = state
        self.errors[part] = error
        self.ids[part] = remote_id
        self.touched.append(part)
        self.dirty = True

    def promote(self) -> None:
        """Make a SCHEDULED message QUEUED."""
        if self.state is _SCHEDULED:
            self.state = _QUEUED
            self.states = [_QUEUED if state is _SCHEDULED else state for state in self.states]

    def final_state(self) -> tuple[State, int] | None:
        """The final state and error of the message; None while a part is open."""
        return None if self.open else combine_parts(zip(self.states, self.errors, strict=True))


def to_progress(m: Message, leased_to: str, version: int = 0) -> MessageProgress:
    """The progress of a message of whose parts no row is stored."""
    parts = m.parts
    state = m.state
    if parts == 1:
        ids = [m.remote_id]
        part = state
    else:
        ids = [""] * parts
        part = _QUEUED if state is _ENROUTE else state
    progress = MessageProgress(
        m,
        version,
        m.connector,
        state,
        leased_to,
        m.attempts,
        m.changed,
        m.due,
        m.error,
        m.sent,
        [part] * parts,
        [m.error] * parts,
        ids,
        parts if part < _ENROUTE else 0,
        0 if part in FINAL else parts,
        [],
    )
    if progress.queued:
        progress.place = (m.connector, m.due)
    return progress


def read_progress(rows: Sequence[Sequence[Any]], parts: Sequence[Sequence[Any]]) -> dict[int, MessageProgress]:
    """Progress by message id, from rows that begin with the columns MESSAGE and rows with the columns PART."""
    read: dict[int, MessageProgress] = {}
    for row in rows:
        if row[0] not in read:
            read[row[0]] = to_progress(to_message(row), row[LEASED_TO] if row[CLAIMED] else "", row[VERSION])
    for id, seq, state, error, remote_id in parts:
        progress = read.get(id)
        if progress is not None:
            progress.set_part(seq - 1, STATES[state], error, remote_id)
    for progress in read.values():
        if progress.dirty:
            progress.touched.clear()
            progress.dirty = False
            progress.place = (progress.connector, progress.due) if progress.queued else None
    return read

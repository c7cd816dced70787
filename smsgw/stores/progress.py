"""The state of one message and its parts, as far as it decides what may happen next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from smsgw.model.lifecycle import FINAL, MOVES, State, combine_parts
from smsgw.model.message import Message
from smsgw.stores.rows import CLAIMED, LEASED_TO, STATES, VERSION, to_message

# Looking a member up in its class takes longer than all the rest of a comparison.
_QUEUED: Final = State.QUEUED
_ENROUTE: Final = State.ENROUTE
_SCHEDULED: Final = State.SCHEDULED


@attrs.define(eq=False)
class MessageProgress:
    """A message in general: it may have several parts, be waiting, be claimed.

    :ivar message: as it was handed in or read; what changes of it is here.
    :ivar version: of the row that is stored, guards the next write.
    :ivar leased_to: the node that has claimed it, empty for none.
    :ivar states, errors, ids: per part its state, its error, and the last id an upstream gave it.
    :ivar unsent: how many parts were neither taken by an upstream nor ended. :ivar open: how many did not end.
    :ivar touched: places of parts whose rows are to be written. :ivar dirty: whether there is anything to be written.
    :ivar place: (connector, due) under which it is stored among what waits or is deferred, None where it is not.
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
        """Whether it waits to be claimed: whatever is still to be sent is claimed or queued."""
        return not self.leased_to and self.unsent > 0

    def may(self, part: int, state: State) -> bool:
        """Whether a part may go to `state`."""
        return state in MOVES[self.states[part]]

    def set_part(self, part: int, state: State, error: int, remote_id: str) -> None:
        """What became of a part; nothing else changes yet."""
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
        """It is no longer scheduled, whatever it was."""
        if self.state is _SCHEDULED:
            self.state = _QUEUED
            self.states = [_QUEUED if state is _SCHEDULED else state for state in self.states]

    def verdict(self) -> tuple[State, int] | None:
        """The final state and error, once no part is open."""
        return None if self.open else combine_parts(zip(self.states, self.errors, strict=True))


def to_progress(m: Message, leased_to: str, version: int = 0) -> MessageProgress:
    """A message as it is stored, its parts as if no row of theirs existed."""
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
    """Messages by id, from rows with the columns MESSAGE (perhaps more) and from rows with the columns PART."""
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

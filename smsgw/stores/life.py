"""The state of one message and its parts, as far as it decides what may happen next."""

from __future__ import annotations

from typing import Final

import attrs

from smsgw.model.lifecycle import FINAL, State, whole
from smsgw.model.message import Message

# Looking a member up in its class takes longer than all the rest of a comparison.
_QUEUED: Final = State.QUEUED
_ENROUTE: Final = State.ENROUTE


@attrs.define(eq=False)
class Life:
    """A message in general: it may have several parts, be waiting, be claimed.

    :ivar message: as it was handed in or read; what changes of it is here.
    :ivar states, errors, ids: per part its state, its error, and the last id an upstream gave it.
    :ivar unsent: how many parts were neither taken by an upstream nor ended. :ivar open: how many did not end.
    :ivar touched: places of parts whose rows are to be written.
    :ivar stored_queued: whether the queue table has it (as last written).
    """

    message: Message
    connector: str
    state: State
    claimed: bool
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
    stored_queued: bool = False

    @property
    def queued(self) -> bool:
        """Whether it waits to be claimed: whatever is still to be sent is claimed or queued."""
        return not self.claimed and self.unsent > 0

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

    def promote(self) -> None:
        """It is no longer scheduled, whatever it was."""
        if self.state is State.SCHEDULED:
            self.state = _QUEUED
            self.states = [max(state, _QUEUED) for state in self.states]

    def verdict(self) -> tuple[State, int] | None:
        """The final state and error, once no part is open."""
        return None if self.open else whole(zip(self.states, self.errors, strict=True))


def to_life(m: Message, claimed: bool, state: State) -> Life:
    """A message as it is stored, its parts as if no row of theirs existed."""
    parts = m.parts
    if parts == 1:
        ids = [m.remote_id]
        part = state
    else:
        ids = [""] * parts
        part = _QUEUED if state is _ENROUTE else state
    life = Life(
        m,
        m.connector,
        state,
        claimed,
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
    life.stored_queued = life.queued
    return life

"""The states of a message, the legal moves between them, and how the states of parts make that of their message.

The table :data:`MOVES` alone defines the legal moves. Stores decide by it and guard their writes, so that a final state
is never replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, IntFlag
from typing import Final


class State(IntEnum):
    """The state of a message or of one part; stores keep the numbers."""

    SCHEDULED = 0
    QUEUED = 1
    ENROUTE = 2
    DELIVERED = 3
    EXPIRED = 4
    CANCELLED = 5
    UNDELIVERABLE = 6
    REJECTED = 7
    REFUSED = 8
    NO_MONEY = 9
    FAILED = 10
    UNKNOWN = 11

    @property
    def word(self) -> str:
        """The state as one lower-case word, e.g. ``enroute`` or ``no_money``, for people, logs and the native API."""
        return self.name.lower()


class Notify(IntFlag):
    """Which changes of state the sender wants to have reported."""

    NOTHING = 0
    DELIVERED = 1
    FAILED = 2
    ENROUTE = 4
    FINAL = 3


FINAL: Final = frozenset(
    {
        State.DELIVERED,
        State.EXPIRED,
        State.CANCELLED,
        State.UNDELIVERABLE,
        State.REJECTED,
        State.REFUSED,
        State.NO_MONEY,
        State.FAILED,
        State.UNKNOWN,
    }
)

OPEN: Final = frozenset(State) - FINAL

MOVES: Final[dict[State, frozenset[State]]] = {
    State.SCHEDULED: frozenset({State.QUEUED, State.EXPIRED, State.CANCELLED, State.REFUSED, State.FAILED}),
    State.QUEUED: frozenset(
        {
            State.ENROUTE,
            State.DELIVERED,
            State.EXPIRED,
            State.CANCELLED,
            State.UNDELIVERABLE,
            State.REJECTED,
            State.REFUSED,
            State.FAILED,
            State.UNKNOWN,
        }
    ),
    State.ENROUTE: frozenset(
        {
            State.DELIVERED,
            State.EXPIRED,
            State.CANCELLED,
            State.UNDELIVERABLE,
            State.REJECTED,
            State.FAILED,
            State.UNKNOWN,
        }
    ),
    **{state: frozenset[State]() for state in FINAL},
}


def notifies(notify: int, state: State) -> bool:
    """Whether `state` is to be reported to a client that asked for `notify`."""
    if state is State.DELIVERED:
        return bool(notify & Notify.DELIVERED)
    if state in FINAL:
        return bool(notify & Notify.FAILED)
    return state is State.ENROUTE and bool(notify & Notify.ENROUTE)


def combine_parts(parts: Iterable[tuple[State, int]]) -> tuple[State, int] | None:
    """The final (state, error) of a message whose parts, in order, have these states and errors.

    None while a part is open. Delivered if all are; else the state of the lowest-numbered undelivered part.
    """
    verdict: tuple[State, int] | None = None
    for state, error in parts:
        if state not in FINAL:
            return None
        if verdict is None and state is not State.DELIVERED:
            verdict = (state, error)
    return verdict or (State.DELIVERED, 0)

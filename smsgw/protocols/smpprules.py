"""Rules about lists of PDUs that both ends of a session share, without any state."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

from smsgw.smpp.codec import refusal
from smsgw.smpp.errors import Answerable
from smsgw.smpp.pdus import BY_ID, PDUS, Bind, EnquireLink, Pdu, Response, Unbind
from smsgw.smpp.session import SINCE, Role, State, allowed

NOTHING: Final[frozenset[type[Pdu]]] = frozenset()

RESPONSES: Final[frozenset[type[Pdu]]] = frozenset(cls for cls in PDUS if issubclass(cls, Response))


@functools.cache
def for_delegate(sender: Role, state: State, version: int) -> frozenset[type[Pdu]]:
    """The requests of `sender` that go to the program: legal in this state, and known in this version of SMPP.

    Housekeeping (bind, unbind, enquire_link) is the session's own.
    """
    return frozenset(
        BY_ID[command_id]
        for command_id in allowed(sender, state)
        if SINCE[command_id] <= version and not issubclass(BY_ID[command_id], Response | Bind | Unbind | EnquireLink)
    )


def refuse(pdu: Pdu, status: int) -> Pdu:
    """The answer that refuses a request: its own response, or generic_nack where it has none."""
    answer = refusal(Answerable(pdu.sequence_number, pdu.command_id, int(status), ""))
    assert answer is not None, "a response is never answered"
    return answer


def interleave(responses: Sequence[Any], ours: Sequence[tuple[int, Pdu]]) -> list[Any]:
    """Put our answers between those of the delegate, each behind as many of them as its number says.

    None stands for a request that nothing answers, and goes.
    """
    merged: list[Any] = []
    at = 0
    for before, pdu in ours:
        merged += responses[at:before]
        merged.append(pdu)
        at = before
    merged += responses[at:]
    return [pdu for pdu in merged if pdu is not None]

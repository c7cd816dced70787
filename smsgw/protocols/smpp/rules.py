"""Rules about lists of PDUs that both ends of a session share, without any state."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

from smsgw.smpp.codec import encode, encode_many, refusal
from smsgw.smpp.consts import Status
from smsgw.smpp.errors import Answerable, PduError
from smsgw.smpp.pdus import BY_ID, PDUS, Bind, EnquireLink, Pdu, Request, Response, Unbind
from smsgw.smpp.session import Role, State, allowed

NOTHING: Final[frozenset[type[Pdu]]] = frozenset()

RESPONSES: Final[frozenset[type[Pdu]]] = frozenset(cls for cls in PDUS if issubclass(cls, Response))


@functools.cache
def for_delegate(
    peer_role: Role, state: State, version: int, nacked: frozenset[int] = frozenset()
) -> frozenset[type[Pdu]]:
    """The requests that go to the program: legal for a peer in that role, in this state and version of SMPP, and not
    among the command_ids that are `nacked`.

    Housekeeping (bind, unbind, enquire_link) is the session's own.
    """
    legal = (BY_ID[command_id] for command_id in allowed(peer_role, state, version) - nacked)
    return frozenset(cls for cls in legal if not issubclass(cls, Response | Bind | Unbind | EnquireLink))


def refuse(pdu: Pdu, status: int) -> Response:
    """The answer that refuses a request: its own response, or generic_nack where it has none."""
    answer = refusal(Answerable(pdu.sequence_number, pdu.command_id, int(status), ""))
    assert answer is not None, "a response is never answered"
    return answer


def is_notice(pdu: Pdu) -> bool:
    """Whether nothing answers it: alert_notification, outbind."""
    return isinstance(pdu, Request) and pdu.response is None


def interleave(responses: Sequence[Pdu | None], ours: Sequence[tuple[int, Pdu]]) -> list[Pdu]:
    """Put our answers between those of the delegate, each behind as many of them as its number says.

    None stands for a request that nothing answers, and goes.
    """
    merged: list[Pdu | None] = []
    at = 0
    for before, pdu in ours:
        merged += responses[at:before]
        merged.append(pdu)
        at = before
    merged += responses[at:]
    return [pdu for pdu in merged if pdu is not None]


def encode_each(pdus: Sequence[Pdu], version: int) -> list[bytes | PduError]:
    """Encode one by one: where one cannot be, why not."""
    pieces: list[bytes | PduError] = []
    for pdu in pdus:
        try:
            pieces.append(encode(pdu, version))
        except PduError as unfit:
            pieces.append(unfit)
    return pieces


def encode_answers(responses: Sequence[Any], version: int) -> tuple[bytes, list[str]]:
    """The octets of all answers, and what was wrong with those in whose place a system error had to be written."""
    try:
        return encode_many(responses, version), []
    except PduError:
        wrong = []
        octets = b""
        for pdu, piece in zip(responses, encode_each(responses, version), strict=True):
            if isinstance(piece, bytes):
                octets += piece
            else:
                wrong.append(piece.why)
                octets += encode(type(pdu)(pdu.sequence_number, int(Status.ESME_RSYSERR)), version)
        return octets, wrong

"""Functions over lists of PDUs for both ends of a session, without state."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

from smsgw.smpp.codec import encode, encode_many, refusal
from smsgw.smpp.consts import Status
from smsgw.smpp.errors import Answerable, PduError
from smsgw.smpp.pdus import BY_ID, PDUS, Bind, EnquireLink, Pdu, Request, Response, Unbind
from smsgw.smpp.session import Role, SessionState, allowed

NOTHING: Final[frozenset[type[Pdu]]] = frozenset()

RESPONSES: Final[frozenset[type[Pdu]]] = frozenset(cls for cls in PDUS if issubclass(cls, Response))


@functools.cache
def for_delegate(
    peer_role: Role, state: SessionState, version: int, nacked: frozenset[int] = frozenset()
) -> frozenset[type[Pdu]]:
    """Return the requests that go to the delegate: those legal for a peer of that role, in this state and version,
    without the command_ids in `nacked`.

    The session itself answers bind, unbind and enquire_link.
    """
    legal = (BY_ID[command_id] for command_id in allowed(peer_role, state, version) - nacked)
    return frozenset(cls for cls in legal if not issubclass(cls, Response | Bind | Unbind | EnquireLink))


def refuse(pdu: Pdu, status: int) -> Response:
    """Return the response that refuses a request: its own, or generic_nack if it has none."""
    answer = refusal(Answerable(pdu.sequence_number, pdu.command_id, int(status), ""))
    assert answer is not None, "a response is never answered"
    return answer


def is_notice(pdu: Pdu) -> bool:
    """Return whether a request has no response: alert_notification, outbind."""
    return isinstance(pdu, Request) and pdu.response is None


def interleave(responses: Sequence[Pdu | None], ours: Sequence[tuple[int, Pdu]]) -> list[Pdu]:
    """Merge our answers into those of the delegate, each after as many of them as its number says.

    None stands for a request without response and is left out.
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
    """Encode one by one; the result for a PDU that cannot be encoded is its error."""
    pieces: list[bytes | PduError] = []
    for pdu in pdus:
        try:
            pieces.append(encode(pdu, version))
        except PduError as unfit:
            pieces.append(unfit)
    return pieces


def encode_answers(responses: Sequence[Any], version: int) -> tuple[bytes, list[str]]:
    """Encode answers; return the octets, and the errors of those that were replaced by a system error."""
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

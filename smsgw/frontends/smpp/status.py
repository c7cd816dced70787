"""What an ESME is told when the gateway says no: one table from refusals to command_status, dialect standard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from smsgw.model.errors import Refusal
from smsgw.smpp.consts import VERSION_5_0, Status

STATUSES: Final[Mapping[Refusal, int]] = {
    Refusal.WRONG_CREDENTIALS: Status.ESME_RINVPASWD,
    Refusal.ADDRESS_NOT_ALLOWED: Status.ESME_RBINDFAIL,
    Refusal.NOT_ALLOWED: Status.ESME_RBINDFAIL,
    Refusal.TOO_MANY_CHECKS: Status.ESME_RSYSERR,
    Refusal.TOO_MANY_BINDS: Status.ESME_RALYBND,
    Refusal.UNKNOWN_ID: Status.ESME_RINVMSGID,
    Refusal.ALREADY_FINAL: Status.ESME_RCANCELFAIL,
    Refusal.BAD_SCHEDULE: Status.ESME_RINVSCHED,
    Refusal.BAD_VALIDITY: Status.ESME_RINVEXPIRY,
    Refusal.BAD_RECIPIENT: Status.ESME_RINVDSTADR,
    Refusal.BAD_SENDER: Status.ESME_RINVSRCADR,
    Refusal.SENDER_NOT_AGREED: Status.ESME_RINVSRCADR,
    Refusal.SENDER_NOT_AGREED_FOR_OPERATOR: Status.ESME_RINVSRCADR,
    Refusal.EMPTY_TEXT: Status.ESME_RINVMSGLEN,
    Refusal.TEXT_TOO_LONG: Status.ESME_RINVMSGLEN,
    Refusal.BAD_ENCODING: Status.ESME_RSUBMITFAIL,
    Refusal.NO_ROUTE: Status.ESME_RSUBMITFAIL,
    Refusal.OVER_RATE: Status.ESME_RTHROTTLED,
    Refusal.QUEUE_FULL: Status.ESME_RMSGQFUL,
    Refusal.STORE_DOWN: Status.ESME_RSYSERR,
    Refusal.CANNOT_REGISTER: Status.ESME_RSUBMITFAIL,
    Refusal.UPSTREAM_DOWN: Status.ESME_RSYSERR,
    Refusal.KEY_REUSED: Status.ESME_RSUBMITFAIL,
    Refusal.BAD_CALLBACK: Status.ESME_RSUBMITFAIL,
}
"""The command_status of every refusal. Wrong name and wrong password are one answer."""

IN_5_0: Final[Mapping[Refusal, int]] = {
    Refusal.WRONG_CREDENTIALS: Status.ESME_RBINDFAIL,
    Refusal.BAD_ENCODING: Status.ESME_RINVDCS,
}
"""Where 5.0 has another word (5.0 section 4.7.6)."""

AGAIN: Final = frozenset(
    {Status.ESME_RSYSERR, Status.ESME_RMSGQFUL, Status.ESME_RTHROTTLED, Status.ESME_RX_T_APPN}
)
"""Answers of an ESME to deliver_sm that ask to try again later (5.0 section 4.7.6)."""


def status_of(refusal: Refusal, version: int) -> int:
    """The command_status that says this refusal to a peer of this version."""
    status = STATUSES[refusal]
    return IN_5_0.get(refusal, status) if version >= VERSION_5_0 else status

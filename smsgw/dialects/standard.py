"""The dialect ``standard``: plain SMPP 3.3, 3.4 and 5.0, plain ESMTP, and over HTTP the native API only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from smsgw.dialects.manners import (
    Dialect,
    HttpManner,
    IdForm,
    ReceiptManner,
    SmppManner,
    SmtpManner,
    by_registered_delivery,
)
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import EventKind
from smsgw.smpp.consts import VERSION_3_3, VERSION_3_4, VERSION_5_0, EsmClass, MessageState, Status, Tag
from smsgw.smpp.pdus import CancelSm, QuerySm
from smsgw.smpp.receipt import STAT, receipt_tlvs
from smsgw.smpp.tlvs import Tlv

# Over SMPP

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
"""The command_status of each refusal. A wrong system_id and a wrong password have the same."""

STATUSES_5_0: Final[Mapping[Refusal, int]] = {
    Refusal.WRONG_CREDENTIALS: Status.ESME_RBINDFAIL,
    Refusal.BAD_ENCODING: Status.ESME_RINVDCS,
}
"""The refusals with another command_status in 5.0 (5.0 section 4.7.6)."""

MESSAGE_STATES: Final[Mapping[State, int]] = {
    State.SCHEDULED: MessageState.SCHEDULED,
    State.QUEUED: MessageState.ENROUTE,
    State.ENROUTE: MessageState.ENROUTE,
    State.DELIVERED: MessageState.DELIVERED,
    State.EXPIRED: MessageState.EXPIRED,
    State.CANCELLED: MessageState.DELETED,
    State.UNDELIVERABLE: MessageState.UNDELIVERABLE,
    State.REJECTED: MessageState.REJECTED,
    State.REFUSED: MessageState.REJECTED,
    State.NO_MONEY: MessageState.REJECTED,
    State.FAILED: MessageState.UNDELIVERABLE,
    State.UNKNOWN: MessageState.UNKNOWN,
}
"""message_state of each state."""

IDS: Final[Mapping[int, IdForm]] = {
    VERSION_3_3: IdForm(b"%08X", 16),
    VERSION_3_4: IdForm(),
    VERSION_5_0: IdForm(),
}
"""Decimal; in 3.3, whose field is shorter, 8 hexadecimal digits."""

_ASKED: Final = (Notify.NOTHING, Notify.FINAL, Notify.FAILED, Notify.DELIVERED)
"""The receipts that bits 1-0 of registered_delivery request (5.0 section 4.7.21)."""


def notify(registered: int, version: int) -> int:
    """Return the changes that a registered_delivery requests, -1 if the version does not define the value.

    Bit 4 requests intermediate states; "success only" is defined in 5.0."""
    if registered & 0xE0 or (registered & 3 == 3 and version < VERSION_5_0):
        return -1
    if version < VERSION_3_4 and registered > 1:
        return -1
    return int(_ASKED[registered & 3] | (Notify.ENROUTE if registered & 0x10 else Notify.NOTHING))


def tlvs(message_state: int, error: int, version: int) -> tuple[Tlv, ...]:
    """Return message_state and network_error_code, of network type GSM; the latter also if the error code is 0."""
    return receipt_tlvs(b"", message_state, min(error, 0xFFFF), version=version)[1:]


RECEIPTS: Final = ReceiptManner(
    text="id:{id} sub:001 dlvrd:{dlvrd:03d} submit date:{submitted} done date:{done} stat:{stat} err:{err:03d} "
    "text:{excerpt}",
    stats={int(state): word.decode("ascii") for state, word in STAT.items()},
    tlvs=tlvs,
    echoed=frozenset({int(Tag.USER_MESSAGE_REFERENCE)}),
    esm_classes={EventKind.ENROUTE: int(EsmClass.INTERMEDIATE), EventKind.FINAL: int(EsmClass.RECEIPT)},
)
"""The receipt of 3.4 appendix B."""

SMPP: Final = SmppManner(
    statuses=STATUSES,
    statuses_5_0=STATUSES_5_0,
    states=MESSAGE_STATES,
    ids=IDS,
    notify=by_registered_delivery(notify),
    receipts=RECEIPTS,
    operations=frozenset({QuerySm, CancelSm}),
)

# Over SMTP

REPLIES: Final[Mapping[Refusal, tuple[int, str]]] = {
    Refusal.WRONG_CREDENTIALS: (535, "5.7.8"),
    Refusal.ADDRESS_NOT_ALLOWED: (535, "5.7.8"),
    Refusal.NOT_ALLOWED: (535, "5.7.8"),
    Refusal.TOO_MANY_CHECKS: (454, "4.7.0"),
    Refusal.TOO_MANY_BINDS: (421, "4.7.0"),
    Refusal.UNKNOWN_ID: (550, "5.1.1"),
    Refusal.ALREADY_FINAL: (550, "5.5.0"),
    Refusal.BAD_SCHEDULE: (554, "5.6.0"),
    Refusal.BAD_VALIDITY: (554, "5.6.0"),
    Refusal.BAD_RECIPIENT: (550, "5.1.1"),
    Refusal.BAD_SENDER: (553, "5.1.7"),
    Refusal.SENDER_NOT_AGREED: (553, "5.7.1"),
    Refusal.SENDER_NOT_AGREED_FOR_OPERATOR: (550, "5.7.1"),
    Refusal.EMPTY_TEXT: (554, "5.6.0"),
    Refusal.TEXT_TOO_LONG: (552, "5.3.4"),
    Refusal.BAD_ENCODING: (554, "5.6.1"),
    Refusal.NO_ROUTE: (550, "5.4.4"),
    Refusal.OVER_RATE: (451, "4.7.1"),
    Refusal.QUEUE_FULL: (452, "4.3.1"),
    Refusal.STORE_DOWN: (451, "4.3.0"),
    Refusal.CANNOT_REGISTER: (554, "5.3.0"),
    Refusal.KEY_REUSED: (554, "5.6.0"),
    Refusal.BAD_CALLBACK: (554, "5.6.0"),
    Refusal.UPSTREAM_DOWN: (451, "4.4.1"),
}
"""Codes (RFC 5321) and enhanced codes (RFC 3463) of every refusal."""

CODES: Final[Mapping[State, int]] = {
    State.SCHEDULED: 0,
    State.QUEUED: 0,
    State.ENROUTE: 1,
    State.DELIVERED: 2,
    State.EXPIRED: 3,
    State.UNDELIVERABLE: 5,
    State.REJECTED: 8,
    State.CANCELLED: 20,
    State.REFUSED: 21,
    State.NO_MONEY: 21,
    State.FAILED: 21,
    State.UNKNOWN: 22,
}
"""status_code of STATUS for each state (000-35)."""

MEANINGS: Final[Mapping[int, str]] = {
    0: "Message is accepted for delivery",
    1: "Message is handed over to the operator",
    2: "Message is delivered",
    3: "Delivery time is over",
    5: "Message cannot be delivered",
    8: "Operator did not accept the message",
    20: "Message is cancelled",
    21: "Message could not be processed",
    22: "Operator reported no state in time",
}
"""The free text behind a status_code."""

SMTP: Final = SmtpManner(
    settings={"text_limit": 1530},
    login=(235, "2.7.0 Authentication successful"),
    sender=(250, "2.1.0 Ok"),
    recipient=(250, "2.1.5 Ok"),
    accepted="2.0.0 {id} message accepted",
    refusals=REPLIES,
    codes=CODES,
    codes_by_error={(State.REFUSED, code): 5 for code in (ErrorCode.NO_ROUTE, ErrorCode.BAD_NUMBER)},
    meanings=MEANINGS,
)
"""STATUS is QUICKTEL's verb, no standard defines it; its code for a number that the rules refused is 5."""

STANDARD: Final = Dialect(name="standard", smpp=SMPP, smtp=SMTP, http=HttpManner())

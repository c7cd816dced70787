"""Converts between PDUs and the domain in a dialect: submissions, and answers to queries.

Faults that only SMPP knows (a flag out of range) are refused here with their command_status; intake checks the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Final

from smsgw.dialects import SmppManner
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import FINAL
from smsgw.model.message import Message, Submission
from smsgw.smpp.consts import VERSION_5_0, DataCoding, EsmClass, Status, Tag
from smsgw.smpp.pdus import QuerySmResp, SubmitSm
from smsgw.smpp.times import read_time, write_absolute
from smsgw.smpp.tlvs import Tlv, write_tlvs
from smsgw.text import udh

PATH: Final = "smpp"
"""The name of this return path in messages and events."""

GRACE: Final = 3600.0
"""Seconds that a delivery time may lie in the past (the ESME's clock may be wrong): the message is sent at once."""

FARTHEST: Final = 366 * 86_400.0
"""The farthest delivery time in seconds from now; longer validity periods are shortened to it."""

LONGEST_OPTIONAL: Final = 1024
"""The most octets of optional parameters stored with a message. Queues are bounded in messages, so a message must not
be much larger than its text."""

_TYPES_OF_SUBMISSIONS: Final = (0, int(EsmClass.DELIVERY_ACK), int(EsmClass.USER_ACK))
_ESM_CLASSES: Final = frozenset(
    octet
    for octet in range(256)
    if octet & EsmClass.TYPE_MASK in _TYPES_OF_SUBMISSIONS and octet & EsmClass.MODE_MASK != EsmClass.TRANSACTION
)
"""The accepted values of esm_class. An ESME cannot submit a receipt; in transaction mode the response would have to
wait for the delivery (5.0 section 4.7.12)."""

# plain ints, because members of an enumeration are several times slower
_UDHI: Final = int(EsmClass.UDHI)
_UCS_2: Final = int(DataCoding.UCS_2)
_PAYLOAD: Final = int(Tag.MESSAGE_PAYLOAD)
_TTL: Final = int(Tag.QOS_TIME_TO_LIVE)
_NO_LIMIT: Final = 1 << 24
_TOO_MANY_TLVS: Final = Refused(Refusal.CANNOT_REGISTER, "the optional parameters are too long")


Reader = Callable[[SubmitSm, str, int, float], Submission | Refused | int]
"""Converts a submit_sm, see :func:`submission_reader`."""


def submission_reader(listener: str, manner: SmppManner) -> Reader:
    """Make the function that converts a submit_sm; a faulty one gives a refusal or, for faults that only SMPP knows, a
    command_status.

    Each PDU is a message of its own, whose user data, data_coding and esm_class are unchanged. TLVs are passed on,
    except message_payload, which takes precedence over short_message, and qos_time_to_live, which takes precedence over
    validity_period.

    :param listener: name of the listener, stored with each message. :param manner: of its dialect.
    :return: a function of the PDU, the account (also its login), the version of the session, and the present time in
    seconds since 1970, from which relative times count.
    """
    notifications, as_states, longest = manner.notify, manner.as_states, manner.longest or _NO_LIMIT

    def read(pdu: SubmitSm, account: str, version: int, now: float) -> Submission | Refused | int:
        octets = pdu.short_message
        esm_class = pdu.esm_class
        notify = notifications[version][pdu.registered_delivery]
        if (
            notify < 0
            or esm_class not in _ESM_CLASSES
            or pdu.priority_flag > 3
            or pdu.replace_if_present_flag
            or pdu.sm_default_msg_id
        ):
            status = _field_status(pdu, version, notify)
            if status:
                return status
        tlvs = b""
        schedule = expires = 0.0
        if pdu.schedule_delivery_time or pdu.validity_period:
            times = _times(pdu, now)
            if isinstance(times, Refused):
                return times
            schedule, expires = times
        if pdu.tlvs:
            octets, tlvs, ttl = _optional(pdu)
            if ttl:
                expires = now + ttl
            if len(tlvs) > LONGEST_OPTIONAL:
                return _TOO_MANY_TLVS
        if len(octets) > longest:
            return Refused(Refusal.TEXT_TOO_LONG, f"{len(octets)} octets; at most {longest} are allowed")
        if (esm_class & _UDHI or pdu.data_coding == _UCS_2) and octets:
            status = _text_status(octets, esm_class, pdu.data_coding)
            if status:
                return status
        return Submission(
            account,
            PATH,
            pdu.source_addr.decode("latin-1"),
            (pdu.destination_addr.decode("latin-1"),),
            None,
            octets,
            pdu.data_coding,
            esm_class,
            notify,
            pdu.priority_flag & 3,
            schedule,
            expires,
            pdu.service_type.decode("latin-1") if pdu.service_type else "",
            pdu.protocol_id,
            tlvs,
            0,
            as_states,
            None,
            account,
            listener,
        )

    return read


def _field_status(pdu: SubmitSm, version: int, notify: int) -> int:
    """Return the command_status for the first field out of range or with an unsupported value, or 0.

    Priority 4, the lowest of 5.0 (section 4.7.19), is accepted as 0.
    """
    if pdu.esm_class not in _ESM_CLASSES:
        return Status.ESME_RINVESMCLASS
    if pdu.priority_flag > (4 if version >= VERSION_5_0 else 3):
        return Status.ESME_RINVPRTFLG
    if notify < 0:
        return Status.ESME_RINVREGDLVFLG
    if pdu.replace_if_present_flag > 1:
        return Status.ESME_RINVREPFLAG
    if pdu.replace_if_present_flag:
        return Status.ESME_RINVSUBREP
    return Status.ESME_RINVDFTMSGID if pdu.sm_default_msg_id else Status.ESME_ROK


def _text_status(octets: bytes, esm_class: int, data_coding: int) -> int:
    """Return the command_status for a broken user data header or half a UCS-2 character, or 0."""
    length = 0
    if esm_class & _UDHI:
        header = udh.parse(octets)
        if header.faults:
            return Status.ESME_RINVESMCLASS
        length = header.length
    if data_coding == _UCS_2 and (len(octets) - length) & 1:
        return Status.ESME_RINVMSGLEN
    return Status.ESME_ROK


def _optional(pdu: SubmitSm) -> tuple[bytes, bytes, int]:
    """Return user data, the TLVs to pass on, and qos_time_to_live in seconds or 0; the first of repeated tags
    counts."""
    payload: bytes | None = None
    ttl: int | None = None
    kept: list[Tlv] = []
    for tag, octets in pdu.tlvs:
        if tag == _PAYLOAD:
            payload = octets if payload is None else payload
        elif tag == _TTL:
            ttl = int.from_bytes(octets, "big") if ttl is None and len(octets) <= 4 else ttl
        else:
            kept.append((tag, octets))
    seconds = min(ttl or 0, int(FARTHEST))
    return pdu.short_message if payload is None else payload, write_tlvs(kept), seconds


def _times(pdu: SubmitSm, now: float) -> tuple[float, float] | Refused:
    """Return delivery time and end of validity in seconds since 1970, each 0 if absent."""
    moment = datetime.fromtimestamp(now, UTC)
    try:
        schedule = read_time(pdu.schedule_delivery_time, moment)
    except ValueError as why:
        return Refused(Refusal.BAD_SCHEDULE, str(why))
    try:
        validity = read_time(pdu.validity_period, moment)
    except ValueError as why:
        return Refused(Refusal.BAD_VALIDITY, str(why))
    start = 0.0 if schedule is None else schedule.timestamp()
    if start and not now - GRACE <= start <= now + FARTHEST:
        return Refused(Refusal.BAD_SCHEDULE, "the delivery time is too far from now")
    end = 0.0 if validity is None else min(validity.timestamp(), now + FARTHEST)
    return start, end


def answer(message: Message, manner: SmppManner, version: int, zone: tzinfo) -> QuerySmResp:
    """Build the answer to query_sm: state, error, and the time of a final state (5.0 section 4.5.2)."""
    final_date = b""
    if message.state in FINAL:
        final_date = write_absolute(datetime.fromtimestamp(int(message.changed), zone))
    state = manner.message_state(message.state, version)
    id = manner.ids[version].write(message.id)
    return QuerySmResp(0, 0, id, final_date, state, min(message.error, 0xFF))

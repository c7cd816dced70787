"""PDUs to the words of the domain and back: submissions, receipts, states, ids.

Whoever speaks SMPP uses it, whichever end of the session he is. What only SMPP knows (a flag out of range) is refused
with its command_status; what the domain can judge is left to it.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final

import attrs

from smsgw.model.content import Content
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import FINAL, Notify, State
from smsgw.model.message import Event, EventKind, Message, Submission
from smsgw.smpp.codec import encode
from smsgw.smpp.consts import VERSION_3_3, VERSION_3_4, VERSION_5_0, DataCoding, EsmClass, MessageState, Status, Tag
from smsgw.smpp.pdus import HEADER, DeliverSm, QuerySmResp, SubmitSm, WrittenDeliverSm
from smsgw.smpp.receipt import STAT, receipt_text, receipt_tlvs, write_date
from smsgw.smpp.times import read_time, write_absolute
from smsgw.smpp.tlvs import Tlv, read_tlvs, write_tlvs
from smsgw.text import coding, gsm0338, udh

PATH: Final = "smpp"
"""The word of this return path in messages and events."""

GRACE: Final = 3600.0
"""Seconds by which a delivery time may lie in the past, as a clock gone wrong puts it: the message goes out at once."""

FARTHEST: Final = 366 * 86_400.0
"""Seconds from now beyond which nothing is scheduled, and to which validity periods are shortened."""

MESSAGE_STATES: Final[dict[State, int]] = {
    State.SCHEDULED: int(MessageState.SCHEDULED),
    State.QUEUED: int(MessageState.ENROUTE),
    State.ENROUTE: int(MessageState.ENROUTE),
    State.DELIVERED: int(MessageState.DELIVERED),
    State.EXPIRED: int(MessageState.EXPIRED),
    State.CANCELLED: int(MessageState.DELETED),
    State.UNDELIVERABLE: int(MessageState.UNDELIVERABLE),
    State.REJECTED: int(MessageState.REJECTED),
    State.REFUSED: int(MessageState.REJECTED),
    State.NO_MONEY: int(MessageState.REJECTED),
    State.FAILED: int(MessageState.UNDELIVERABLE),
    State.UNKNOWN: int(MessageState.UNKNOWN),
}
"""message_state of each state in 5.0; earlier versions have no SCHEDULED, there it is ENROUTE."""

_ASKED: Final = (Notify.NOTHING, Notify.FINAL, Notify.FAILED, Notify.DELIVERED)
"""What bits 1-0 of registered_delivery ask for (5.0 section 4.7.21)."""


def _notify(registered: int, version: int) -> int:
    """Notify bits for a registered_delivery, -1 where the version does not know it."""
    if registered & 0xE0 or (registered & 3 == 3 and version < VERSION_5_0):
        return -1
    if version < VERSION_3_4 and registered > 1:
        return -1
    return int(_ASKED[registered & 3] | (Notify.ENROUTE if registered & 0x10 else Notify.NOTHING))


_NOTIFY: Final = {
    version: tuple(_notify(registered, version) for registered in range(256))
    for version in (VERSION_3_3, VERSION_3_4, VERSION_5_0)
}

LONGEST_OPTIONAL: Final = 1024
"""Octets of the optional parameters that a message carries along, at most: what waits is counted in messages, so
that no message may be much larger than its text."""

_TYPES_OF_SUBMISSIONS: Final = (0, int(EsmClass.DELIVERY_ACK), int(EsmClass.USER_ACK))
_ESM_CLASSES: Final = frozenset(
    octet
    for octet in range(256)
    if octet & EsmClass.TYPE_MASK in _TYPES_OF_SUBMISSIONS and octet & EsmClass.MODE_MASK != EsmClass.TRANSACTION
)
"""esm_class of messages that can be stored and forwarded; a receipt is not submitted, and in transaction mode the
response would have to wait for the delivery (5.0 section 4.7.12)."""

# plain ints, because the members of an enumeration cost several times as much on the way of each message
_UDHI: Final = int(EsmClass.UDHI)
_UCS_2: Final = int(DataCoding.UCS_2)
_PAYLOAD: Final = int(Tag.MESSAGE_PAYLOAD)
_TTL: Final = int(Tag.QOS_TIME_TO_LIVE)
_REFERENCE: Final = int(Tag.USER_MESSAGE_REFERENCE)
_RECEIPT: Final = int(EsmClass.RECEIPT)
_INTERMEDIATE: Final = int(EsmClass.INTERMEDIATE)
_ENROUTE: Final = EventKind.ENROUTE
_NO_ADDRESSES: Final = b"\0" + 2 * b"\0\0\0"
_ADDRESSES: Final = b"\0" + 2 * b"%c%c%b\0"  # service_type; TON, NPI and address of source and destination
_ID_TLV: Final = Tag.RECEIPTED_MESSAGE_ID.to_bytes(2, "big") + b"\0%c%b\0"
_DATE: Final = b"YYMMDDhhmm"
_MOST_MINUTES: Final = 10_000
_MOST_FORMS: Final = 1_000
_EXCERPT: Final = 20


def submission(pdu: SubmitSm, account: str, version: int, now: float) -> Submission | Refused | int:
    """What a submit_sm asks for; or why not, as a refusal or, where only SMPP has a word for it, a command_status.

    User data, data_coding and esm_class go on as they came, each PDU being a message of its own; so do TLVs, but for
    message_payload, which wins over short_message, and qos_time_to_live, which wins over validity_period.

    :param version: of the session. :param now: absolute time; relative times count from it.
    """
    octets = pdu.short_message
    esm_class = pdu.esm_class
    notify = _NOTIFY[version][pdu.registered_delivery]
    if (
        notify < 0
        or esm_class not in _ESM_CLASSES
        or pdu.priority_flag > 3
        or pdu.replace_if_present_flag
        or pdu.sm_default_msg_id
    ):
        status = _misfit(pdu, version)
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
            return Refused(Refusal.CANNOT_REGISTER, "the optional parameters are too long")
    if (esm_class & _UDHI or pdu.data_coding == _UCS_2) and octets:
        status = _malformed(octets, esm_class, pdu.data_coding)
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
    )


def _misfit(pdu: SubmitSm, version: int) -> int:
    """The command_status for the first field that is out of range or asks for what is not done here; 0 for none.

    Priority 4 is 5.0's word for what may wait longest (5.0 section 4.7.19); it is taken as 0.
    """
    if pdu.esm_class not in _ESM_CLASSES:
        return Status.ESME_RINVESMCLASS
    if pdu.priority_flag > (4 if version >= VERSION_5_0 else 3):
        return Status.ESME_RINVPRTFLG
    if _NOTIFY[version][pdu.registered_delivery] < 0:
        return Status.ESME_RINVREGDLVFLG
    if pdu.replace_if_present_flag > 1:
        return Status.ESME_RINVREPFLAG
    if pdu.replace_if_present_flag:
        return Status.ESME_RINVSUBREP
    return Status.ESME_RINVDFTMSGID if pdu.sm_default_msg_id else Status.ESME_ROK


def _malformed(octets: bytes, esm_class: int, data_coding: int) -> int:
    """The command_status for a broken user data header or half a UCS-2 character; 0 for neither."""
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
    """User data, the TLVs to pass on, and seconds of qos_time_to_live or 0; the first of repeated tags counts."""
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
    """Absolute delivery time and end of validity; 0 for what is not given."""
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


def form_of_ids(version: int) -> bytes:
    """How a peer is told ids, to be filled in: decimal, or 8 hexadecimal digits where 3.3 takes no more."""
    return b"%d" if version >= VERSION_3_4 else b"%08X"


def message_id(id: int, version: int) -> bytes:
    """An id as a peer is told it."""
    return form_of_ids(version) % id


def read_id(octets: bytes, version: int) -> int | None:
    """The id that a peer means, None if it is none that he was told: ids are compared as they were written."""
    if not 0 < len(octets) <= 18:
        return None
    try:
        id = int(octets, 10 if version >= VERSION_3_4 else 16)
    except ValueError:
        return None
    return id if id > 0 and message_id(id, version) == octets.upper() else None


def shown(state: State, version: int) -> tuple[int, bytes]:
    """message_state and the word ``stat`` of receipts for a state, as a peer of this version knows them."""
    number = MESSAGE_STATES[state]
    if number == MessageState.SCHEDULED and version < VERSION_5_0:
        number = int(MessageState.ENROUTE)
    return number, STAT[number]


class _Minutes(dict[float, bytes]):
    """Dates of receipts by minute since 1970; a gateway tells many events of few minutes."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def __missing__(self, minute: float) -> bytes:
        if len(self) > _MOST_MINUTES:
            self.clear()
        date = self[minute] = write_date(minute * 60.0, self._zone)
        return date


@attrs.frozen
class _Form:
    """What receipts that say the same have in common.

    :ivar body: of the deliver_sm, with gaps for the addresses, the length of the text, and what that and the TLV
        receipted_message_id name. :ivar size: octets of the text without the id and the excerpt.
    :ivar id: the form of the id.
    """

    body: bytes
    size: int
    id: bytes


class ReceiptWriter:
    """Writes receipts, with dates in `zone`; what is the same in many of them is encoded once."""

    def __init__(self, zone: tzinfo) -> None:
        self._minutes = _Minutes(zone)
        self._forms: dict[tuple[int, int, int, int], _Form] = {}

    def _form(self, state: State, error: int, kind: EventKind, version: int) -> _Form:
        if len(self._forms) > _MOST_FORMS:
            self._forms.clear()
        number = MESSAGE_STATES[state]
        bare = encode(DeliverSm(esm_class=_INTERMEDIATE if kind == _ENROUTE else _RECEIPT))[HEADER:]
        text = receipt_text(b"%b", number, b"%b", b"%b", b"%03d" % min(error, 999)) + b"%b"
        tlvs = b""
        if version >= VERSION_3_4:
            behind = write_tlvs(receipt_tlvs(b"", number, min(error, 0xFFFF), version=version)[1:])
            tlvs = _ID_TLV + behind.replace(b"%", b"%%")
        form = _Form(
            _ADDRESSES + bare[len(_NO_ADDRESSES) : -1] + b"%c" + text + tlvs,
            len(text % (b"", _DATE, _DATE, b"")),
            form_of_ids(version),
        )
        self._forms[state, error, kind, version] = form
        return form

    def write(self, event: Event, version: int) -> WrittenDeliverSm:
        """The deliver_sm that tells the sender of a message what became of it (3.4 section 5.2.12, appendix B).

        The addresses are those of the message, swapped: the number in international form, the sender as it was
        agreed. 3.3 has no TLVs.
        """
        message = event.message
        assert type(message) is Message  # what comes from subscribers takes other ways
        content = message.content
        state, error, kind = event.state, event.error, event.kind
        form = self._forms.get((state, error, kind, version)) or self._form(state, error, kind, version)
        minutes = self._minutes
        id = form.id % message.id
        excerpt = _excerpt(content)
        gaps: tuple[int | bytes, ...] = (
            content.dest_ton,
            content.dest_npi,
            message.dst.encode("latin-1", "replace"),
            content.source_ton,
            content.source_npi,
            content.source.encode("latin-1", "replace"),
            form.size + len(id) + len(excerpt),
            id,
            minutes[message.created // 60.0],
            minutes[event.at // 60.0],
            excerpt,
        )
        if version < VERSION_3_4:
            return WrittenDeliverSm(0, form.body % gaps)
        body = form.body % (*gaps, len(id) + 1, id)
        if content.tlvs:
            body += write_tlvs([tlv for tlv in passed(content) if tlv[0] == _REFERENCE][:1])
        return WrittenDeliverSm(0, body)


def passed(content: Content) -> list[Tlv]:
    """The TLVs that a message carries along."""
    return read_tlvs(content.tlvs, 0, len(content.tlvs))


def _excerpt(content: Content) -> bytes:
    """The first 20 characters of the text in the default alphabet, in which receipts are; nothing of binary data."""
    octets = content.parts[0]
    if content.esm_class & _UDHI:
        octets = octets[udh.parse(octets).length :]
    if content.data_coding:
        alphabet = coding.alphabet(content.data_coding)
        if alphabet is coding.Alphabet.OCTETS:
            return b""
        if alphabet is not coding.Alphabet.GSM:
            return coding.read(octets[: 4 * _EXCERPT], alphabet)[:_EXCERPT].encode("ascii", "replace")
    octets = octets[:_EXCERPT]
    return octets[:-1] if octets and octets[-1] == gsm0338.ESC else octets


def answer(message: Message, version: int, zone: tzinfo) -> QuerySmResp:
    """The answer to query_sm: state, error, and the time of a final state (5.0 section 4.5.2)."""
    final_date = b""
    if message.state in FINAL:
        final_date = write_absolute(datetime.fromtimestamp(int(message.changed), zone))
    state, _ = shown(message.state, version)
    return QuerySmResp(0, 0, message_id(message.id, version), final_date, state, min(message.error, 0xFF))

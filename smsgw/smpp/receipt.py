"""Delivery receipts (DLR): reading the forms that message centres send, writing the form of the 3.4 specification.

A receipt gives the state of a message twice: in a text of vendor-specific form (3.4 appendix B is the common ancestor)
and in the TLVs receipted_message_id, message_state and network_error_code. Either may be missing. In the text, fields
may be missing, permuted or padded; it may use another charset or be in message_payload.
"""

from __future__ import annotations

import datetime
import functools
import re
from typing import Final

import attrs

from smsgw.smpp.consts import VERSION_3_4, VERSION_5_0, DataCoding, EsmClass, MessageState, Tag
from smsgw.smpp.pdus import DataSm, DeliverSm
from smsgw.smpp.tlvs import Tlv

GSM_NETWORK: Final = 3
"""Kind of network in network_error_code: GSM."""

STAT: Final[dict[int, bytes]] = {
    MessageState.SCHEDULED: b"ENROUTE",
    MessageState.ENROUTE: b"ENROUTE",
    MessageState.DELIVERED: b"DELIVRD",
    MessageState.EXPIRED: b"EXPIRED",
    MessageState.DELETED: b"DELETED",
    MessageState.UNDELIVERABLE: b"UNDELIV",
    MessageState.ACCEPTED: b"ACCEPTD",
    MessageState.UNKNOWN: b"UNKNOWN",
    MessageState.REJECTED: b"REJECTD",
    MessageState.SKIPPED: b"UNDELIV",
}
"""The word of the receipt text for each message_state."""

STATES: Final[dict[str, int]] = {
    **{word.decode("ascii"): int(state) for state, word in STAT.items() if word not in (b"ENROUTE", b"UNDELIV")},
    **{state.name: int(state) for state in MessageState},
    "UNDELIV": int(MessageState.UNDELIVERABLE),
    "INVALID": int(MessageState.UNKNOWN),
    "FAILED": int(MessageState.UNDELIVERABLE),
    "ACKED": int(MessageState.ENROUTE),
    "BUFFRED": int(MessageState.ENROUTE),
    "BUFFERD": int(MessageState.ENROUTE),
    **{str(int(state)): int(state) for state in MessageState},
}
"""The message_state for each word of a receipt text, in capitals; other words have none."""

FINAL: Final[frozenset[int]] = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.EXPIRED,
        MessageState.DELETED,
        MessageState.UNDELIVERABLE,
        MessageState.REJECTED,
        MessageState.SKIPPED,
    }
)
"""The final states. The specification calls ACCEPTED final too, but message centres send other states after it."""

# plain ints, because comparing with the members of an enumeration costs more than the rest of a loop over TLVs
_ID: Final = int(Tag.RECEIPTED_MESSAGE_ID)
_STATE: Final = int(Tag.MESSAGE_STATE)
_ERROR: Final = int(Tag.NETWORK_ERROR_CODE)
_PAYLOAD: Final = int(Tag.MESSAGE_PAYLOAD)
_TYPE: Final = int(EsmClass.TYPE_MASK)
_FINAL: Final = int(EsmClass.RECEIPT)
_INTERMEDIATE: Final = int(EsmClass.INTERMEDIATE)

_USUAL: Final = re.compile(
    r"id:(\S+) sub:(\S*) dlvrd:(\S*) submit date:(\S*) done date:(\S*) stat:(\S+) err:(\S*) [Tt]ext:(.*)", re.DOTALL
)
_LABEL: Final = re.compile(r"(?<!\S)(id|sub|dlvrd|submit ?date|done ?date|stat|err|text)\s?:", re.IGNORECASE)
_MARK: Final = re.compile(r"(?<!\S)(?:id|stat)\s?:", re.IGNORECASE)
_DATE: Final = re.compile(r"(?:20(?=\d{12}$))?(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:\d(\d\d)([+-]))?")


@attrs.define(eq=False)
class Receipt:
    """The content of one receipt; a missing word of the text is an empty string, any other missing value is None.

    TLVs take precedence over the text. ``state`` is a message_state, or None if the receipt has no known one; ``stat``,
    ``err`` and the dates are the words of the text; ``network_error`` is (kind of network, code), kind 0 if the code
    came as three digits; ``intermediate`` marks a notification before the final state; ``raw`` is the undecoded text.
    ``message_id`` is decoded as Latin-1: decode the message_id of a response likewise to compare the two.
    """

    message_id: str = ""
    state: int | None = None
    stat: str = ""
    err: str = ""
    sub: str = ""
    dlvrd: str = ""
    submit_date: str = ""
    done_date: str = ""
    text: str = ""
    network_error: tuple[int, int] | None = None
    intermediate: bool = False
    raw: bytes = b""

    @property
    def final(self) -> bool:
        """Whether the state is final."""
        return self.state in FINAL

    @property
    def error(self) -> str:
        """The error code in decimal from the TLV, else the ``err`` word of the text, else an empty string."""
        return self.err if self.network_error is None else str(self.network_error[1])

    def submitted_at(self, zone: datetime.tzinfo) -> datetime.datetime | None:
        """Return when the message was submitted, None if unreadable; ``zone`` is the message centre's."""
        return read_date(self.submit_date, zone)

    def done_at(self, zone: datetime.tzinfo) -> datetime.datetime | None:
        """Return when the message reached its state, None if unreadable; ``zone`` is the message centre's."""
        return read_date(self.done_date, zone)


def is_receipt(pdu: DeliverSm | DataSm) -> bool:
    """Return whether a PDU is a receipt or intermediate notification, by its esm_class or receipted_message_id."""
    kind = pdu.esm_class & _TYPE
    if kind in (_FINAL, _INTERMEDIATE):
        return True
    return any(tag == _ID for tag, _ in pdu.tlvs) if pdu.tlvs else False


def read_receipt(pdu: DeliverSm | DataSm) -> Receipt:
    """Read the receipt in a deliver_sm or data_sm; never raises: unreadable values stay empty."""
    payload, named, state, error = _from_tlvs(pdu)
    words = payload.decode("latin-1")
    usual = _USUAL.match(words)
    if usual is not None:
        message_id, sub, dlvrd, submitted, done, stat, err, text = usual.groups()
    else:
        found = _fields(_decoded(pdu, payload, words)) if payload else {}
        text = found.pop("text", "")
        message_id, sub, dlvrd, submitted, done, stat, err = (found.get(name, "") for name in _NAMES)
    if state is None and stat:
        state = STATES.get(stat) or STATES.get(stat.upper())
    if named is not None:
        message_id = named
    intermediate = pdu.esm_class & _TYPE == _INTERMEDIATE
    return Receipt(message_id, state, stat, err, sub, dlvrd, submitted, done, text, error, intermediate, payload)


_NAMES: Final = ("id", "sub", "dlvrd", "submitdate", "donedate", "stat", "err")


def _from_tlvs(pdu: DeliverSm | DataSm) -> tuple[bytes, str | None, int | None, tuple[int, int] | None]:
    """Return the text, and the id, the state and the network error from the TLVs; the first TLV of each tag counts."""
    payload: bytes | None = None
    message_id: str | None = None
    state: int | None = None
    error: tuple[int, int] | None = None
    for tag, octets in pdu.tlvs:
        if tag == _ID:
            if message_id is None:
                message_id = octets.rstrip(b"\0").decode("latin-1") or None
        elif tag == _STATE:
            if state is None and 1 <= len(octets) <= 4:
                state = int.from_bytes(octets, "big")
        elif tag == _ERROR:
            if error is None:
                error = _network_error(octets)
        elif tag == _PAYLOAD and payload is None:
            payload = octets
    if payload is None:
        payload = pdu.short_message if isinstance(pdu, DeliverSm) else b""
    return payload, message_id, state, error


def _network_error(octets: bytes) -> tuple[int, int] | None:
    if len(octets) != 3:
        return None
    if octets.isdigit():
        return 0, int(octets)
    return octets[0], octets[1] << 8 | octets[2]


def _decoded(pdu: DeliverSm | DataSm, payload: bytes, words: str) -> str:
    """Return the text of an unusual receipt without its User Data Header, decoded from UCS-2 if it is UCS-2."""
    if pdu.esm_class & EsmClass.UDHI and payload[0] < len(payload):
        payload = payload[1 + payload[0] :]
        words = payload.decode("latin-1")
    if pdu.data_coding == DataCoding.UCS_2 and not _MARK.search(words):
        return payload.decode("utf-16-be", "replace")
    return words


def _fields(words: str) -> dict[str, str]:
    """Return the labelled values. The first of a repeated label counts; labels inside the text are text if id and stat
    stand before it."""
    found: dict[str, str] = {}
    open_label, start = "", 0
    for label in _LABEL.finditer(words):
        name = label[1].lower().replace(" ", "")
        if name in found or name == open_label:
            continue
        if open_label:
            found[open_label] = words[start : label.start()]
        open_label, start = name, label.end()
        if name == "text" and "id" in found and "stat" in found:
            break
    if open_label:
        found[open_label] = words[start:]
    return {name: value.strip() if name == "text" else _first_word(value) for name, value in found.items()}


def _first_word(value: str) -> str:
    words = value.split(None, 1)
    return words[0] if words else ""


def read_date(word: str, zone: datetime.tzinfo) -> datetime.datetime | None:
    """Return the time of a date of 10, 12 or 14 digits or of an absolute SMPP time; None for any other word."""
    parts = _DATE.fullmatch(word)
    if parts is None:
        return None
    year, month, day, hour, minute = (int(part) for part in parts.groups()[:5])
    if parts[8] is not None:
        quarters = int(parts[7]) * (1 if parts[8] == "+" else -1)
        zone = datetime.timezone(datetime.timedelta(minutes=15 * quarters)) if abs(quarters) <= 48 else zone
    try:
        return datetime.datetime(2000 + year, month, day, hour, minute, int(parts[6] or 0), tzinfo=zone)
    except ValueError:
        return None


@functools.lru_cache(maxsize=4096)
def _minute(minute: int, zone: datetime.tzinfo) -> bytes:
    return datetime.datetime.fromtimestamp(minute * 60, zone).strftime("%y%m%d%H%M").encode("ascii")


def write_date(at: float, zone: datetime.tzinfo, *, seconds: bool = False) -> bytes:
    """Write a time (seconds since 1970) as YYMMDDhhmm in a zone, or with ``seconds`` as YYMMDDhhmmss."""
    minute, second = divmod(int(at), 60)
    digits = _minute(minute, zone)
    return b"%b%02d" % (digits, second) if seconds else digits


def receipt_tlvs(
    message_id: bytes, state: int, error: int = 0, *, kind: int = GSM_NETWORK, version: int = VERSION_3_4
) -> tuple[Tlv, ...]:
    """Return the three TLVs of a receipt on a session of a version: none in 3.3, states of 5.0 only in 5.0.

    ``error`` is a network error code of 16 bits, ``kind`` the kind of network. Raises OverflowError for a larger code.
    """
    if version < VERSION_3_4:
        return ()
    return (
        (_ID, message_id + b"\0"),
        (_STATE, b"%c" % (state if version >= VERSION_5_0 else _STATE_3_4[state])),
        (_ERROR, b"%c%c%c" % (kind, error >> 8, error & 0xFF)),
    )


_STATE_3_4: Final[dict[int, int]] = {
    **{int(state): int(state) for state in MessageState},
    int(MessageState.SCHEDULED): int(MessageState.ENROUTE),
    int(MessageState.SKIPPED): int(MessageState.UNDELIVERABLE),
}

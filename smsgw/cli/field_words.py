"""The meanings of SMPP fields and TLVs in words (5.0 sections 4.7 and 4.8; 3.4 section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final

from smsgw.smpp.consts import VERSION_5_0, EsmClass, MessageState, Npi, RegisteredDelivery, Tag, Ton, describe
from smsgw.smpp.times import read_time
from smsgw.text import coding

_MODES: Final = ("default mode", "datagram mode", "transaction mode", "store and forward mode")
_TYPES: Final = {
    0x00: "a message",
    EsmClass.RECEIPT: "a delivery receipt",
    EsmClass.DELIVERY_ACK: "a delivery acknowledgement",
    EsmClass.USER_ACK: "a user acknowledgement",
    EsmClass.CONVERSATION_ABORT: "a conversation abort",
    EsmClass.INTERMEDIATE: "an intermediate notification",
}
_RECEIPTS: Final = (
    "no receipt",
    "a receipt for every final state",
    "a receipt for failures only",
    "a receipt for success only (5.0)",
)
_CLASSES: Final = ("flash", "phone memory", "SIM", "terminal")
_WAITING: Final = ("voice mail", "fax", "e-mail", "other messages")
_PROTOCOLS: Final = {0x40: "silent", 0x5F: "return call", 0x7F: "SIM data download"}
_UNITS: Final = ("years", "months", "days", "hours", "minutes", "seconds")
_UNKNOWN: Final = "not in the specification"


def _word(table: type[IntEnum], value: int) -> str:
    try:
        return table(value).name.lower().replace("_", " ")
    except ValueError:
        return _UNKNOWN


def _ton(value: int) -> str:
    return _word(Ton, value)


def _npi(value: int) -> str:
    return _word(Npi, value)


def _message_state(value: int) -> str:
    return _word(MessageState, value)


def _version(value: int) -> str:
    if value < 0x34:
        return "3.3 or earlier"
    return "3.4" if value < VERSION_5_0 else "5.0"


def _esm_class(value: int) -> str:
    said = [_MODES[value & EsmClass.MODE_MASK], _TYPES.get(value & EsmClass.TYPE_MASK, "a type " + _UNKNOWN)]
    if value & EsmClass.UDHI:
        said.append("a user data header before the text")
    if value & EsmClass.REPLY_PATH:
        said.append("reply path")
    return ", ".join(said)


def _registered_delivery(value: int) -> str:
    said = [_RECEIPTS[value & RegisteredDelivery.RECEIPT_MASK]]
    if value & RegisteredDelivery.DELIVERY_ACK:
        said.append("the recipient's delivery acknowledgement")
    if value & RegisteredDelivery.USER_ACK:
        said.append("the recipient's own acknowledgement")
    if value & RegisteredDelivery.INTERMEDIATE:
        said.append("intermediate notifications")
    return ", ".join(said) + (f", and bits {_UNKNOWN}" if value & 0xE0 else "")


def _priority(value: int) -> str:
    return ("normal", "high", "higher", "highest", "background (5.0)")[value] if value <= 4 else _UNKNOWN


def _data_coding(value: int) -> str:
    said = "the default alphabet" if value == 0 else str(coding.alphabet(value))
    if value in range(0x10, 0x20) or value >= 0xF0:
        said += f", message class {value & 3} ({_CLASSES[value & 3]})"
    elif value >= 0xC0:
        said += f", {_WAITING[value & 3]} waiting" + ("" if value & 8 else " no more")
    return said if coding.known(value) else f"reserved; read as {said}"


def _protocol_id(value: int) -> str:
    if value in range(0x41, 0x48):
        return f"replace type {value - 0x40} on the handset"
    return _PROTOCOLS.get(value, "")


def _flag(value: int) -> str:
    return ("no", "yes")[value] if value <= 1 else _UNKNOWN


def _time(octets: bytes) -> str:
    """Describe an absolute or relative time, or its fault."""
    if not octets:
        return ""
    try:
        moment = read_time(octets, datetime.now(UTC))
    except ValueError as wrong:
        return f"wrong: {wrong}"
    if octets.endswith(b"R"):
        numbers = [int(octets[at : at + 2]) for at in range(0, 12, 2)]
        spans = [f"{number} {unit}" for number, unit in zip(numbers, _UNITS, strict=True) if number]
        return f"in {', '.join(spans) or 'no time at all'}"
    assert moment is not None
    return moment.isoformat(" ")


def _reported_time(octets: bytes) -> str:
    """Describe a time in the message centre's zone, which 3.3 and 3.4 also allow in reports."""
    if len(octets) == 12 and octets.isdigit():
        pairs = [octets[at : at + 2].decode("ascii") for at in range(0, 12, 2)]
        return f"20{'-'.join(pairs[:3])} {':'.join(pairs[3:])}, local to the message centre"
    return _time(octets)


FIELDS: Final[Mapping[str, Callable[[Any], str]]] = {
    "command_status": lambda value: describe(value).partition(" ")[2] or describe(value),
    "interface_version": _version,
    **dict.fromkeys(("addr_ton", "source_addr_ton", "dest_addr_ton", "esme_addr_ton"), _ton),
    **dict.fromkeys(("addr_npi", "source_addr_npi", "dest_addr_npi", "esme_addr_npi"), _npi),
    "esm_class": _esm_class,
    "protocol_id": _protocol_id,
    "priority_flag": _priority,
    "schedule_delivery_time": _time,
    "validity_period": _time,
    "final_date": _reported_time,
    "registered_delivery": _registered_delivery,
    "replace_if_present_flag": _flag,
    "data_coding": _data_coding,
    "message_state": _message_state,
}
"""Field name -> function from its value to words, which are empty for a value without a special meaning."""


def _one_of(*words: str) -> Callable[[Any], str]:
    return lambda value: words[value] if isinstance(value, int) and value < len(words) else _UNKNOWN


def _network_error(value: Any) -> str:
    if not isinstance(value, bytes) or len(value) != 3:
        return _UNKNOWN
    if value.isdigit():
        return f"error {int(value)}, written as digits"
    kinds = ("", "ANSI-136", "IS-95", "GSM", "ANSI-136 cause", "IS-95 cause", "ANSI-41", "SMPP", "message centre")
    kind = kinds[value[0]] if 0 < value[0] < len(kinds) else "unknown"
    return f"{kind} error {int.from_bytes(value[1:], 'big')}"


def _congestion(value: Any) -> str:
    if not isinstance(value, int) or value > 100:
        return _UNKNOWN
    steps = ((0, "idle"), (29, "low load"), (49, "medium load"), (79, "high load"), (89, "optimum load"))
    return next((word for most, word in steps if value <= most), "congested" if value == 100 else "nearly congested")


def _waiting(value: Any) -> str:
    if not isinstance(value, int):
        return _UNKNOWN
    return f"{_WAITING[value & 3]}: indicator {'on' if value & 0x80 else 'off'}"


_NETWORKS: Final = _one_of(
    "unknown", "GSM", "ANSI-136/TDMA", "IS-95/CDMA", "PDC", "PHS", "iDEN", "AMPS", "paging network"
)
_BEARERS: Final = _one_of(
    "unknown", "SMS", "circuit switched data", "packet data", "USSD", "CDPD", "DataTAC", "FLEX/ReFLEX",
    "cell broadcast",
)  # fmt: skip
_SUBUNITS: Final = _one_of("unknown", "display", "mobile equipment", "smart card", "external unit")

TLVS: Final[Mapping[int, Callable[[Any], str]]] = {
    Tag.DEST_ADDR_SUBUNIT: _SUBUNITS,
    Tag.SOURCE_ADDR_SUBUNIT: _SUBUNITS,
    Tag.DEST_NETWORK_TYPE: _NETWORKS,
    Tag.SOURCE_NETWORK_TYPE: _NETWORKS,
    Tag.DEST_BEARER_TYPE: _BEARERS,
    Tag.SOURCE_BEARER_TYPE: _BEARERS,
    Tag.QOS_TIME_TO_LIVE: lambda value: "seconds" if isinstance(value, int) else _UNKNOWN,
    Tag.PAYLOAD_TYPE: _one_of("default", "WCMP"),
    Tag.MS_MSG_WAIT_FACILITIES: _waiting,
    Tag.PRIVACY_INDICATOR: _one_of("not restricted", "restricted", "confidential", "secret"),
    Tag.LANGUAGE_INDICATOR: _one_of("unspecified", "English", "French", "Spanish", "German", "Portuguese"),
    Tag.SC_INTERFACE_VERSION: lambda value: _version(value) if isinstance(value, int) else _UNKNOWN,
    Tag.DPF_RESULT: _one_of("no", "yes"),
    Tag.SET_DPF: _one_of("no", "yes"),
    Tag.MS_AVAILABILITY_STATUS: _one_of("available", "denied", "unavailable"),
    Tag.NETWORK_ERROR_CODE: _network_error,
    Tag.DELIVERY_FAILURE_REASON: _one_of(
        "destination unavailable", "address invalid", "permanent network error", "temporary network error"
    ),
    Tag.MORE_MESSAGES_TO_SEND: _one_of("none", "more"),
    Tag.MESSAGE_STATE: lambda value: _message_state(value) if isinstance(value, int) else _UNKNOWN,
    Tag.CONGESTION_STATE: _congestion,
    Tag.DISPLAY_TIME: _one_of("temporary", "default", "invoke"),
    Tag.MS_VALIDITY: _one_of("store", "until power down", "while in this area", "display only"),
    Tag.ITS_REPLY_TYPE: _one_of(
        "digit", "number", "telephone number", "password", "character line", "menu", "date", "time", "continue"
    ),
}
"""Tag -> function from its value (as read by :meth:`smsgw.smpp.pdus.Pdu.tlv`) to words."""

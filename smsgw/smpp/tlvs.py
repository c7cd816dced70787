"""The optional parameters (TLVs): the known tags, the type of each, reading and writing.

A TLV is a tuple ``(tag, octets)``. Values are interpreted only on request (:func:`tlv_value`), so a TLV with an unknown
tag or a bad value never fails the PDU that carries it.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import attrs

from smsgw.smpp.consts import VERSION_3_4, VERSION_5_0, Tag
from smsgw.smpp.errors import PduError

Tlv: TypeAlias = tuple[int, bytes]

VENDOR_TAGS: Final = range(0x1400, 0x4000)
"""The tags that each vendor of message centres defines for itself (3.4 section 5.3.1)."""

MOST_TLVS: Final = 256
"""The most TLVs in one PDU. The limit bounds memory: a TLV in memory takes many times its octets on the wire."""

_HEAD: Final = struct.Struct(">HH")


class Kind(enum.Enum):
    """The type of a TLV's value."""

    INTEGER = "integer"
    STRING = "string"
    OCTETS = "octets"


@attrs.frozen
class TlvType:
    """The specification of one tag: kind, least and most octets, and the first version that has it."""

    kind: Kind
    least: int
    most: int
    since: int


def _integer(octets: int, since: int = VERSION_3_4) -> TlvType:
    return TlvType(Kind.INTEGER, octets, octets, since)


def _string(least: int, most: int, since: int = VERSION_3_4) -> TlvType:
    return TlvType(Kind.STRING, least, most, since)


def _octets(least: int, most: int, since: int = VERSION_3_4) -> TlvType:
    return TlvType(Kind.OCTETS, least, most, since)


TLV_TYPES: Final[dict[int, TlvType]] = {
    Tag.DEST_ADDR_SUBUNIT: _integer(1),
    Tag.DEST_NETWORK_TYPE: _integer(1),
    Tag.DEST_BEARER_TYPE: _integer(1),
    Tag.DEST_TELEMATICS_ID: _integer(2),
    Tag.SOURCE_ADDR_SUBUNIT: _integer(1),
    Tag.SOURCE_NETWORK_TYPE: _integer(1),
    Tag.SOURCE_BEARER_TYPE: _integer(1),
    Tag.SOURCE_TELEMATICS_ID: _integer(1),
    Tag.QOS_TIME_TO_LIVE: _integer(4),
    Tag.PAYLOAD_TYPE: _integer(1),
    Tag.ADDITIONAL_STATUS_INFO_TEXT: _string(1, 256),
    Tag.RECEIPTED_MESSAGE_ID: _string(1, 65),
    Tag.MS_MSG_WAIT_FACILITIES: _integer(1),
    Tag.PRIVACY_INDICATOR: _integer(1),
    Tag.SOURCE_SUBADDRESS: _octets(2, 23),
    Tag.DEST_SUBADDRESS: _octets(2, 23),
    Tag.USER_MESSAGE_REFERENCE: _integer(2),
    Tag.USER_RESPONSE_CODE: _integer(1),
    Tag.SOURCE_PORT: _integer(2),
    Tag.DEST_PORT: _integer(2),
    Tag.SAR_MSG_REF_NUM: _integer(2),
    Tag.LANGUAGE_INDICATOR: _integer(1),
    Tag.SAR_TOTAL_SEGMENTS: _integer(1),
    Tag.SAR_SEGMENT_SEQNUM: _integer(1),
    Tag.SC_INTERFACE_VERSION: _integer(1),
    Tag.CALLBACK_NUM_PRES_IND: _integer(1),
    Tag.CALLBACK_NUM_ATAG: _octets(1, 65),
    Tag.NUMBER_OF_MESSAGES: _integer(1),
    Tag.CALLBACK_NUM: _octets(4, 19),
    Tag.DPF_RESULT: _integer(1),
    Tag.SET_DPF: _integer(1),
    Tag.MS_AVAILABILITY_STATUS: _integer(1),
    Tag.NETWORK_ERROR_CODE: _octets(3, 3),
    Tag.MESSAGE_PAYLOAD: _octets(0, 65535),
    Tag.DELIVERY_FAILURE_REASON: _integer(1),
    Tag.MORE_MESSAGES_TO_SEND: _integer(1),
    Tag.MESSAGE_STATE: _integer(1),
    Tag.CONGESTION_STATE: _integer(1, VERSION_5_0),
    Tag.USSD_SERVICE_OP: _integer(1),
    Tag.BROADCAST_CHANNEL_INDICATOR: _integer(1, VERSION_5_0),
    Tag.BROADCAST_CONTENT_TYPE: _octets(3, 3, VERSION_5_0),
    Tag.BROADCAST_CONTENT_TYPE_INFO: _octets(1, 255, VERSION_5_0),
    Tag.BROADCAST_MESSAGE_CLASS: _integer(1, VERSION_5_0),
    Tag.BROADCAST_REP_NUM: _integer(2, VERSION_5_0),
    Tag.BROADCAST_FREQUENCY_INTERVAL: _octets(3, 3, VERSION_5_0),
    Tag.BROADCAST_AREA_IDENTIFIER: _octets(1, 101, VERSION_5_0),
    Tag.BROADCAST_ERROR_STATUS: _integer(4, VERSION_5_0),
    Tag.BROADCAST_AREA_SUCCESS: _integer(1, VERSION_5_0),
    Tag.BROADCAST_END_TIME: _string(1, 17, VERSION_5_0),
    Tag.BROADCAST_SERVICE_GROUP: _octets(1, 255, VERSION_5_0),
    Tag.BILLING_IDENTIFICATION: _octets(1, 1024, VERSION_5_0),
    Tag.SOURCE_NETWORK_ID: _string(7, 65, VERSION_5_0),
    Tag.DEST_NETWORK_ID: _string(7, 65, VERSION_5_0),
    Tag.SOURCE_NODE_ID: _octets(6, 6, VERSION_5_0),
    Tag.DEST_NODE_ID: _octets(6, 6, VERSION_5_0),
    Tag.DEST_ADDR_NP_RESOLUTION: _integer(1, VERSION_5_0),
    Tag.DEST_ADDR_NP_INFORMATION: _octets(10, 10, VERSION_5_0),
    Tag.DEST_ADDR_NP_COUNTRY: _octets(1, 5, VERSION_5_0),
    Tag.DISPLAY_TIME: _integer(1),
    Tag.SMS_SIGNAL: _integer(2),
    Tag.MS_VALIDITY: _integer(1),
    Tag.ALERT_ON_MESSAGE_DELIVERY: _octets(0, 1),
    Tag.ITS_REPLY_TYPE: _integer(1),
    Tag.ITS_SESSION_INFO: _octets(2, 2),
}


def tlv_value(tag: int, octets: bytes) -> Any:
    """Read the value of a TLV by the declared type of its tag: int, or bytes without the NUL of a C-Octet String.

    Never raises: the octets of an Integer with 0 or more than 4 octets, and of an undeclared tag, are returned
    unchanged.
    """
    declared = TLV_TYPES.get(tag)
    if declared is not None:
        if declared.kind is Kind.INTEGER and 1 <= len(octets) <= 4:
            return int.from_bytes(octets, "big")
        if declared.kind is Kind.STRING:
            return octets[:-1] if octets.endswith(b"\0") else octets
    return octets


def tlv(tag: int, value: int | bytes = b"") -> Tlv:
    """Build a TLV: an int in the width of its tag, a C-Octet String with its NUL, other octets unchanged.

    Bytes for an Integer tag are taken unchanged (ms_validity of 5.0). Raises PduError if the value does not fit.
    """
    declared = TLV_TYPES.get(tag)
    if isinstance(value, int):
        if declared is None or declared.kind is not Kind.INTEGER:
            raise PduError(f"the value of TLV 0x{tag:04X} must be bytes")
        try:
            return int(tag), value.to_bytes(declared.most, "big")
        except OverflowError:
            raise PduError(f"{value} does not fit TLV 0x{tag:04X} of {declared.most} octets") from None
    if declared is not None and declared.kind is Kind.STRING:
        value += b"\0"
    if len(value) > 0xFFFF:
        raise PduError(f"{len(value)} octets do not fit TLV 0x{tag:04X}")
    return int(tag), value


def read_tlvs(frame: bytes, at: int, size: int) -> list[Tlv]:
    """Read the TLVs at the end of a frame; up to 3 trailing octets (stray NULs of some peers) are ignored.

    Raises ValueError if a TLV runs past the end (the text gives its offset) or there are more than MOST_TLVS.
    """
    found: list[Tlv] = []
    head = _HEAD.unpack_from
    while size - at > 3:
        tag, length = head(frame, at)
        start = at + 4
        end = start + length
        if end > size:
            raise ValueError(f"TLV 0x{tag:04X} at offset {at} has {length} octets, but {size - start} remain")
        found.append((tag, frame[start:end]))
        at = end
    if len(found) > MOST_TLVS:
        raise ValueError(f"{len(found)} TLVs in one PDU")
    return found


def write_tlvs(tlvs: Sequence[Tlv]) -> bytes:
    """Return the octets of the TLVs in order; raises struct.error or TypeError for a value that does not fit."""
    head = _HEAD.pack
    return b"".join([head(tag, len(octets)) + octets for tag, octets in tlvs])

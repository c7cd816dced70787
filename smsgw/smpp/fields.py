"""The wire types of SMPP: the values of each, and functions that read and write one field with exact errors.

A PDU class declares each field with one of the functions at the end of this module (``int1``, ``cstr``, ...).
The fast functions of the codec are generated from these declarations. The functions here are slower: their errors name
the field and the offset, and they read the rare shapes that the fast ones decline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import attrs

from smsgw.smpp.consts import DestFlag, Status
from smsgw.smpp.errors import PduError

CSTRING_LIMIT: Final = 256
"""The most octets of a C-Octet String, NUL included, that the codec reads; ``maxima`` checks the limits of a peer."""


class Unreadable(Exception):
    """A field cannot be read; the codec turns this into an Answerable with the header of the request."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Wire(Protocol):
    """The wire type of one field."""

    def read(self, frame: bytes, at: int, name: str) -> tuple[Any, int]:
        """Return the value at offset ``at`` and the offset after it; raises Unreadable."""

    def write(self, value: Any, name: str) -> bytes:
        """Return the octets of a value; raises PduError."""

    def size(self, value: Any) -> int:
        """Return how many octets a value takes."""


def _octets(frame: bytes, at: int, count: int, name: str) -> bytes:
    if at + count > len(frame):
        raise Unreadable(Status.ESME_RINVCMDLEN, f"the PDU ends before {name} at offset {at}")
    return frame[at : at + count]


@attrs.frozen
class Integer:
    """An unsigned integer of 1, 2 or 4 octets, most significant first."""

    octets: int

    def read(self, frame: bytes, at: int, name: str) -> tuple[int, int]:
        return int.from_bytes(_octets(frame, at, self.octets, name), "big"), at + self.octets

    def write(self, value: Any, name: str) -> bytes:
        try:
            return int(value).to_bytes(self.octets, "big")
        except (OverflowError, TypeError, ValueError):
            raise PduError(f"{name} must be an integer of {self.octets} octets") from None

    def size(self, value: Any) -> int:
        return self.octets


@attrs.frozen
class CString:
    """A C-Octet String. ``maximum`` is the specification's in octets, NUL included; a longer one is answered
    ``status``."""

    maximum: int
    status: int
    lengths: tuple[int, ...] = ()
    """If not empty, the only lengths (without NUL) that the specification allows."""
    usually_empty: bool = False
    """A hint that makes the generated code faster; the result is the same."""

    def read(self, frame: bytes, at: int, name: str) -> tuple[bytes, int]:
        if at >= len(frame):
            raise Unreadable(Status.ESME_RINVCMDLEN, f"the PDU ends before {name} at offset {at}")
        end = frame.find(0, at, at + CSTRING_LIMIT)
        if end < 0:
            raise Unreadable(self.status, f"{name} at offset {at} has no NUL within {CSTRING_LIMIT} octets")
        return frame[at:end], end + 1

    def write(self, value: Any, name: str) -> bytes:
        if not isinstance(value, bytes):
            raise PduError(f"{name} must be bytes")
        if 0 in value:
            raise PduError(f"{name} holds a NUL")
        return value + b"\0"

    def size(self, value: Any) -> int:
        return len(value) + 1


@attrs.frozen
class Text:
    """sm_length and short_message; the length is derived from the octets and is no attribute of a PDU."""

    def read(self, frame: bytes, at: int, name: str) -> tuple[bytes, int]:
        length = _octets(frame, at, 1, "sm_length")[0]
        end = at + 1 + length
        if end > len(frame):
            left = len(frame) - at - 1
            raise Unreadable(Status.ESME_RINVMSGLEN, f"sm_length at offset {at} is {length}, but {left} octets remain")
        return frame[at + 1 : end], end

    def write(self, value: Any, name: str) -> bytes:
        if not isinstance(value, bytes):
            raise PduError(f"{name} must be bytes")
        if len(value) > 255:
            raise PduError(f"{name} of {len(value)} octets does not fit; put long text into message_payload")
        return b"%c%b" % (len(value), value)

    def size(self, value: Any) -> int:
        return 1 + len(value)


_ADDRESS: Final = CString(21, Status.ESME_RINVDSTADR)
_LIST_NAME: Final = CString(21, Status.ESME_RINVDLNAME)
_INT1: Final = Integer(1)
_INT4: Final = Integer(4)


@attrs.frozen
class SmeAddress:
    """An address among the destinations of submit_multi."""

    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: bytes = b""


@attrs.frozen
class DistributionList:
    """The name of a distribution list of the message centre among the destinations of submit_multi."""

    dl_name: bytes = b""


@attrs.frozen
class UnsuccessSme:
    """A destination that the message centre refused, and the command_status with the reason."""

    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: bytes = b""
    error_status_code: int = 0


@attrs.frozen
class Destinations:
    """number_of_dests and that many dest_address entries, each after its dest_flag."""

    def read(self, frame: bytes, at: int, name: str) -> tuple[tuple[SmeAddress | DistributionList, ...], int]:
        count, at = _INT1.read(frame, at, "number_of_dests")
        found: list[SmeAddress | DistributionList] = []
        for number in range(1, count + 1):
            place = f"{name} {number} of {count}"
            flag, after = _INT1.read(frame, at, f"dest_flag of {place}")
            if flag == DestFlag.SME_ADDRESS:
                ton, after = _INT1.read(frame, after, f"dest_addr_ton of {place}")
                npi, after = _INT1.read(frame, after, f"dest_addr_npi of {place}")
                address, at = _ADDRESS.read(frame, after, f"destination_addr of {place}")
                found.append(SmeAddress(ton, npi, address))
            elif flag == DestFlag.DISTRIBUTION_LIST:
                list_name, at = _LIST_NAME.read(frame, after, f"dl_name of {place}")
                found.append(DistributionList(list_name))
            else:
                raise Unreadable(Status.ESME_RINVDESTFLAG, f"dest_flag {flag} of {place} at offset {at}")
        return tuple(found), at

    def write(self, value: Sequence[SmeAddress | DistributionList], name: str) -> bytes:
        pieces = [_INT1.write(len(value), "number_of_dests")]
        for dest in value:
            if isinstance(dest, DistributionList):
                pieces += bytes([DestFlag.DISTRIBUTION_LIST]), _LIST_NAME.write(dest.dl_name, "dl_name")
            else:
                pieces += (
                    bytes([DestFlag.SME_ADDRESS]),
                    _INT1.write(dest.dest_addr_ton, "dest_addr_ton"),
                    _INT1.write(dest.dest_addr_npi, "dest_addr_npi"),
                    _ADDRESS.write(dest.destination_addr, "destination_addr"),
                )
        return b"".join(pieces)

    def size(self, value: Sequence[SmeAddress | DistributionList]) -> int:
        return 1 + sum(
            2 + len(dest.dl_name) if isinstance(dest, DistributionList) else 4 + len(dest.destination_addr)
            for dest in value
        )


@attrs.frozen
class Failures:
    """no_unsuccess and that many unsuccess_sme entries."""

    def read(self, frame: bytes, at: int, name: str) -> tuple[tuple[UnsuccessSme, ...], int]:
        count, at = _INT1.read(frame, at, "no_unsuccess")
        found = []
        for number in range(1, count + 1):
            place = f"{name} {number} of {count}"
            ton, at = _INT1.read(frame, at, f"dest_addr_ton of {place}")
            npi, at = _INT1.read(frame, at, f"dest_addr_npi of {place}")
            address, at = _ADDRESS.read(frame, at, f"destination_addr of {place}")
            status, at = _INT4.read(frame, at, f"error_status_code of {place}")
            found.append(UnsuccessSme(ton, npi, address, status))
        return tuple(found), at

    def write(self, value: Sequence[UnsuccessSme], name: str) -> bytes:
        pieces = [_INT1.write(len(value), "no_unsuccess")]
        for entry in value:
            pieces += (
                _INT1.write(entry.dest_addr_ton, "dest_addr_ton"),
                _INT1.write(entry.dest_addr_npi, "dest_addr_npi"),
                _ADDRESS.write(entry.destination_addr, "destination_addr"),
                _INT4.write(entry.error_status_code, "error_status_code"),
            )
        return b"".join(pieces)

    def size(self, value: Sequence[UnsuccessSme]) -> int:
        return 1 + sum(7 + len(entry.destination_addr) for entry in value)


WIRE: Final = "wire"
"""Key of the wire type in the metadata of an attribute."""


def wire_of(attribute: attrs.Attribute[Any]) -> Wire | None:
    """Return the wire type of an attribute of a PDU class; None for fields of the header and for the TLVs."""
    wire: Wire | None = attribute.metadata.get(WIRE)
    return wire


def _field(wire: Wire, default: object) -> Any:
    return attrs.field(default=default, metadata={WIRE: wire})


def int1() -> Any:
    """Declare an Integer of one octet."""
    return _field(_INT1, 0)


def cstr(maximum: int, status: int = Status.ESME_RINVCMDLEN, *, usually_empty: bool = False) -> Any:
    """Declare a C-Octet String of at most ``maximum`` octets with its NUL; a longer one is answered ``status``."""
    return _field(CString(maximum, int(status), usually_empty=usually_empty), b"")


def time(status: int, *, short: bool = False) -> Any:
    """Declare a time: empty or 16 characters; ``short`` also allows the 12 characters that older message centres
    report."""
    return _field(CString(17, int(status), (0, 12, 16) if short else (0, 16), usually_empty=True), b"")


def text() -> Any:
    """Declare sm_length and short_message."""
    return _field(Text(), b"")


def destinations() -> Any:
    """Declare number_of_dests and the dest_address entries."""
    return _field(Destinations(), ())


def failures() -> Any:
    """Declare no_unsuccess and the unsuccess_sme entries."""
    return _field(Failures(), ())

"""User Data Headers, which stand before the text if esm_class has the bit 0x40. Source: 3GPP TS 23.040 section
9.2.3.24.

Parsing never raises: the result lists the faults of a bad header or element.
"""

import enum
from collections.abc import Iterable

import attrs

from smsgw.text import gsm0338

CONCATENATION_8, CONCATENATION_16 = 0x00, 0x08
PORTS_8, PORTS_16 = 0x04, 0x05
SINGLE_SHIFT, LOCKING_SHIFT = 0x24, 0x25
_CONCATENATIONS = frozenset({CONCATENATION_8, CONCATENATION_16})
_PORTS = frozenset({PORTS_8, PORTS_16})
_LENGTHS = {CONCATENATION_8: 3, CONCATENATION_16: 4, PORTS_8: 2, PORTS_16: 4, SINGLE_SHIFT: 1, LOCKING_SHIFT: 1}


class Fault(enum.Enum):
    """A fault of a header; the value describes it to the administrator."""

    EMPTY = "the header has no length octet"
    BEYOND_DATA = "the header is longer than the user data"
    ELEMENT_OVERRUN = "an element is longer than the rest of the header"
    BAD_LENGTH = "an element of the wrong length was ignored"
    BAD_CONCATENATION = "a concatenation element with impossible total or part was ignored"


@attrs.define
class Concatenation:
    """Part `part` of `total` (both 1 to 255) of the text with a `reference` of 16 bits if `wide`, else 8."""

    reference: int
    total: int
    part: int
    wide: bool


@attrs.define
class Ports:
    """Application ports: 16 bits each if `wide`, else 8."""

    destination: int
    source: int
    wide: bool


@attrs.define
class Header:
    """A parsed header.

    `length` is in octets with UDHL, so the text begins at that offset; 0 means that the user data is to be read without
    a header. `elements` are all (iei, data) pairs in order, including unknown, faulty and superseded ones. `locking`
    and `single` are national languages, 0 for none.
    """

    length: int
    elements: list[tuple[int, bytes]]
    concatenation: Concatenation | None
    ports: Ports | None
    locking: int
    single: int
    faults: tuple[Fault, ...]


def parse(octets: bytes) -> Header:
    """Read the header at the start of user data.

    Of repeated elements the last valid one counts; an 8-bit and a 16-bit concatenation are the same kind of element,
    and so are the two widths of ports. Reserved languages and unknown elements are no fault.
    """
    if not octets:
        return Header(0, [], None, None, 0, 0, (Fault.EMPTY,))
    length = octets[0] + 1
    if length > len(octets):
        return Header(0, [], None, None, 0, 0, (Fault.BEYOND_DATA,))

    elements: list[tuple[int, bytes]] = []
    parts: Concatenation | None = None
    addressed: Ports | None = None
    locking = single = 0
    faults: list[Fault] = []
    at = 1
    while at < length:
        begin = at + 2
        end = begin + octets[at + 1] if begin <= length else begin
        if end > length:
            faults.append(Fault.ELEMENT_OVERRUN)
            break
        iei, data = octets[at], octets[begin:end]
        elements.append((iei, data))
        if iei in _LENGTHS and len(data) != _LENGTHS[iei]:
            faults.append(Fault.BAD_LENGTH)
        elif iei in _CONCATENATIONS:
            total, part = data[-2:]
            if 1 <= part <= total:
                parts = Concatenation(int.from_bytes(data[:-2], "big"), total, part, iei == CONCATENATION_16)
            else:
                faults.append(Fault.BAD_CONCATENATION)
        elif iei in _PORTS:
            half = len(data) // 2
            addressed = Ports(int.from_bytes(data[:half], "big"), int.from_bytes(data[half:], "big"), iei == PORTS_16)
        elif iei == SINGLE_SHIFT and data[0] in gsm0338.SINGLE_LANGUAGES:
            single = data[0]
        elif iei == LOCKING_SHIFT and data[0] in gsm0338.LOCKING_LANGUAGES:
            locking = data[0]
        at = end
    return Header(length, elements, parts, addressed, locking, single, tuple(faults))


def build(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """Build the header of (iei, data) elements, UDHL first; without elements the result is empty.

    Raises ValueError if an element or the header is longer than 255 octets.
    """
    body = b"".join(bytes((iei, len(data))) + data for iei, data in elements)
    return bytes((len(body),)) + body if body else b""


def concatenation(reference: int, total: int, part: int, wide: bool = False) -> tuple[int, bytes]:
    """Build a concatenation element; raises ValueError unless 1 <= part <= total <= 255 and the reference fits."""
    if not 1 <= part <= total <= 255:
        raise ValueError(f"no part {part} of {total}")
    if wide:
        return CONCATENATION_16, _octets(reference, 2) + bytes((total, part))
    return CONCATENATION_8, _octets(reference, 1) + bytes((total, part))


def national(locking: int = 0, single: int = 0) -> list[tuple[int, bytes]]:
    """Build the elements for the national languages, none, one or two; raises ValueError above 255."""
    chosen = ((SINGLE_SHIFT, single), (LOCKING_SHIFT, locking))
    return [(iei, _octets(language, 1)) for iei, language in chosen if language]


def _octets(value: int, size: int) -> bytes:
    if not 0 <= value < 1 << 8 * size:
        raise ValueError(f"{value} does not fit in {size} octets")
    return value.to_bytes(size, "big")

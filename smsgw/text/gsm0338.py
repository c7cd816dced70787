"""GSM 03.38 (3GPP TS 23.038), unpacked: one septet value per octet; an extension character is ESC and a value.

The functions translate a whole text by C functions, without a Python call per character.
`locking` and `single` are national language numbers of a User Data Header (elements 0x25 and 0x24); 0 is the
default table. Sources: TS 23.038 section 6, smpp 3.4 data_coding 0.
"""

import codecs
import re
from functools import cache
from typing import Any

import attrs

from smsgw.text import tables

ESC = 0x1B
LOCKING_LANGUAGES = frozenset(tables.LOCKING)
SINGLE_LANGUAGES = frozenset(tables.SINGLE)

_ESC = b"\x1b"
_SEPTETS = bytes(range(0x80))
_ESCAPED = re.compile(rb"\x1b([^\x1b])", re.DOTALL)
# Octets above 0x7F all become 0x9B: the one mark that means no escape pair, because ESC ESC is a space.
_JUNK = 0x9B
_JUNKED = _SEPTETS + bytes((_JUNK,)) * 0x80
_BITS = [format(septet, "07b") for septet in range(0x80)]
_SEPTET_OF = {bits: septet for septet, bits in enumerate(_BITS)}
_SEVEN = re.compile(".{7}")


def encode(text: str, locking: int = 0, single: int = 0, fallbacks: bool = False) -> bytes | None:
    """Encode `text`; None if the alphabet lacks a character.

    The result is None and no exception, because about half of all texts are not in this alphabet. With `fallbacks`,
    Greek capitals are replaced by Latin letters of the same shape, and ç by Ç. Raises ValueError for a language without
    the requested table.
    """
    shift = _shift(locking, single, fallbacks) if locking or single or fallbacks else _DEFAULT
    # Leaving characters out and comparing lengths is much cheaper than an exception.
    octets = codecs.charmap_encode(text, "ignore", shift.charmap)[0]
    if len(octets) != len(text) or 0 in octets:  # only U+0000 becomes 0 at this point
        return None
    return octets if octets.isascii() else _without_marks(octets, shift.marks)


def encode_known(text: str) -> bytes:
    """Encode `text`, with a question mark for each character that the alphabet lacks."""
    octets = codecs.charmap_encode(text, "replace", _DEFAULT.charmap)[0].replace(b"\0", b"?")  # as in encode
    return octets if octets.isascii() else _without_marks(octets, _DEFAULT.marks)


def _without_marks(octets: bytes, marks: dict[int, bytes]) -> bytes:
    """Replace the marks of a charmap by the octets that they stand for."""
    for mark in set(octets.translate(None, _SEPTETS)):
        octets = octets.replace(bytes((mark,)), marks[mark])
    return octets


def septets(text: str, locking: int = 0, single: int = 0) -> int | None:
    """How many septets `text` takes (an extension character takes two); None if the alphabet lacks a character."""
    octets = encode(text, locking, single)
    return None if octets is None else len(octets)


def decode(octets: bytes, locking: int = 0, single: int = 0) -> str:
    """Decode unpacked septets; never raises.

    ESC before a value without an extension character gives the main table's character; ESC ESC, and ESC at the end,
    give a space; cells without a character and octets from 0x80 up give U+FFFD. An unknown language is ignored.
    """
    if locking or single:
        shift = _shift(
            locking if locking in LOCKING_LANGUAGES else 0, single if single in SINGLE_LANGUAGES else 0, False
        )
    else:
        shift = _DEFAULT
    if ESC in octets:
        octets = octets.translate(_JUNKED).replace(b"\x1b\x1b", b" ")
        for value in set(_ESCAPED.findall(octets)):
            octets = octets.replace(_ESC + value, bytes((value[0] | 0x80,)))
        return codecs.charmap_decode(octets, "strict", shift.escaped)[0]
    return codecs.charmap_decode(octets, "strict", shift.plain)[0]


def fill_bits(header_octets: int) -> int:
    """Zero bits between a User Data Header of so many octets (UDHL included) and packed text on a septet boundary."""
    return (7 - 8 * header_octets % 7) % 7


def pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Pack septets, eight into seven octets, least significant bit first.

    Raises ValueError for an octet above 0x7F. A packed text of a multiple of eight septets that ends in the septet 0
    equals the text without it: transmit the count as well.
    """
    if not septets.isascii():
        raise ValueError("an octet above 0x7F is no septet")
    if not septets:
        return bytes((fill_bits + 7) // 8)
    bits = int("".join(map(_BITS.__getitem__, septets[::-1])), 2) << fill_bits
    return bits.to_bytes((7 * len(septets) + fill_bits + 7) // 8, "little")


def unpack(packed: bytes, count: int | None = None, fill_bits: int = 0) -> bytes:
    """Unpack `count` septets, at most as many as the octets hold; without a count all of them."""
    held = max(0, 8 * len(packed) - fill_bits) // 7
    count = held if count is None else min(count, held)
    if count <= 0:
        return b""
    bits = (int.from_bytes(packed, "little") >> fill_bits) & ((1 << 7 * count) - 1)
    return bytes(map(_SEPTET_OF.__getitem__, _SEVEN.findall(format(bits, f"0{7 * count}b"))))[::-1]


@attrs.frozen(eq=False)
class _Shift:
    """One pair of tables in the form that the C functions take.

    `charmap` encodes a character as its septet, or as a mark from 0x80 up that `marks` maps to octets: an escape pair,
    the value 0 (which the C encoder keeps for U+0000), or a fallback. `plain` and `escaped` decode; the latter takes
    octets whose escape pairs were merged into value + 0x80.
    """

    charmap: Any  # codecs.charmap_build returns a class without a public name
    marks: dict[int, bytes]
    plain: str
    escaped: str


@cache
def _shift(locking: int, single: int, fallbacks: bool) -> _Shift:
    try:
        main = tables.LOCKING[locking] if locking else tables.DEFAULT
        extension = tables.SINGLE[single] if single else tables.EXTENSION
    except KeyError as unknown:
        raise ValueError(f"no national table for language {unknown}") from None

    written = {character: bytes((value,)) for value, character in enumerate(main) if character != tables.UNDEFINED}
    del written["\x1b"]
    for value, character in sorted(extension.items()):
        written.setdefault(character, bytes((ESC, value)))
    if fallbacks:
        for character, stand_in in tables.FALLBACKS.items():
            if stand_in in written:
                written.setdefault(character, written[stand_in])

    cells = ["\0"] + ["\ufffe"] * 255  # the C encoder takes U+FFFE for "no character"
    marks: dict[int, bytes] = {}
    for character, octets in written.items():
        if len(octets) == 1 and octets != b"\0" and cells[octets[0]] == "\ufffe":
            cells[octets[0]] = character
        else:
            mark = 0x80 + len(marks)
            marks[mark] = octets
            cells[mark] = character

    read = main.replace("\x1b", " ")
    after_esc = extension | tables.READ_ONLY.get(single, {})
    escaped = [after_esc.get(value, character) for value, character in enumerate(read)]
    escaped[_JUNK - 0x80] = tables.UNDEFINED
    return _Shift(codecs.charmap_build("".join(cells)), marks, read + tables.UNDEFINED * 0x80, read + "".join(escaped))


_DEFAULT = _shift(0, 0, False)

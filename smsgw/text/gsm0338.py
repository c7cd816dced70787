"""GSM 03.38 (3GPP TS 23.038), unpacked: one septet value per octet, an extension character as ESC and a value.

Every function works at C speed: one table look-up per text, no Python call per character.
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
# Octets that are no septets all become 0x9B, the one mark that stands for no escape pair (ESC ESC is a space).
_JUNK = 0x9B
_JUNKED = _SEPTETS + bytes((_JUNK,)) * 0x80
_BITS = [format(septet, "07b") for septet in range(0x80)]
_SEPTET_OF = {bits: septet for septet, bits in enumerate(_BITS)}
_SEVEN = re.compile(".{7}")


def encode(text: str, locking: int = 0, single: int = 0, fallbacks: bool = False) -> bytes | None:
    """Write `text` in the alphabet; None if a character is missing there.

    None and not an exception, because "not in this alphabet" is an everyday answer and half of all traffic.
    With `fallbacks`, Greek capitals may go out as the Latin letters of the same shape, and ç as Ç.
    Raises ValueError for a language without the table asked for.
    """
    shift = _shift(locking, single, fallbacks) if locking or single or fallbacks else _DEFAULT
    # To leave characters out and see that octets are missing is much cheaper than to have an exception raised.
    octets = codecs.charmap_encode(text, "ignore", shift.charmap)[0]
    if len(octets) != len(text) or 0 in octets:  # only U+0000 becomes 0 at this point
        return None
    if not octets.isascii():
        for mark in set(octets.translate(None, _SEPTETS)):
            octets = octets.replace(bytes((mark,)), shift.marks[mark])
    return octets


def septets(text: str, locking: int = 0, single: int = 0) -> int | None:
    """How many septets `text` takes (extension characters two); None if the alphabet cannot express it."""
    octets = encode(text, locking, single)
    return None if octets is None else len(octets)


def decode(octets: bytes, locking: int = 0, single: int = 0) -> str:
    """Read unpacked septets; any octets give a text.

    ESC before a value without an extension character shows the main table's character; ESC ESC, and ESC at the end,
    show a space; cells without a character and octets from 0x80 up show U+FFFD. An unknown language is ignored.
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
    """Zero bits that a packed text needs after a User Data Header (UDHL included) to start on a septet border."""
    return (7 - 8 * header_octets % 7) % 7


def pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Put unpacked septets together, eight to seven octets, least significant bit first.

    Raises ValueError if an octet is no septet. Eight times n septets that end in zeros cannot be told from one fewer:
    send the count along.
    """
    if not septets.isascii():
        raise ValueError("an octet above 0x7F is no septet")
    if not septets:
        return bytes((fill_bits + 7) // 8)
    bits = int("".join(map(_BITS.__getitem__, septets[::-1])), 2) << fill_bits
    return bits.to_bytes((7 * len(septets) + fill_bits + 7) // 8, "little")


def unpack(packed: bytes, count: int | None = None, fill_bits: int = 0) -> bytes:
    """Take packed septets apart: `count` of them, or as many as the octets hold (never more)."""
    held = max(0, 8 * len(packed) - fill_bits) // 7
    count = held if count is None else min(count, held)
    if count <= 0:
        return b""
    bits = (int.from_bytes(packed, "little") >> fill_bits) & ((1 << 7 * count) - 1)
    return bytes(map(_SEPTET_OF.__getitem__, _SEVEN.findall(format(bits, f"0{7 * count}b"))))[::-1]


@attrs.frozen(eq=False)
class _Shift:
    """One pair of tables made ready for C-speed translation.

    `charmap` writes a character as its septet, or as a mark from 0x80 up that `marks` resolves to octets: an escape
    pair, the value 0 (which the C encoder keeps for U+0000), or a fallback. `plain` and `escaped` read: the latter
    after escape pairs were merged into value + 0x80.
    """

    charmap: Any  # the class of what codecs.charmap_build makes has no public name
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

    cells = ["\0"] + ["\ufffe"] * 255  # U+FFFE: no such character, in the C encoder's convention
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

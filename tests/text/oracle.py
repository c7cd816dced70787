"""A slow and literal GSM 03.38 codec from gsm0338.json, the reference for the fast one."""

import json
from pathlib import Path
from typing import Any

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("gsm0338.json").read_text("utf-8"))


def character(point: str) -> str:
    """The character for a code point such as 'U+0041'."""
    return chr(int(point.removeprefix("U+"), base=16))


def cells(table: dict[str, str]) -> dict[int, str]:
    """A table of the file as {value: character}."""
    return {int(value, 16): character(point) for value, point in table.items()}


DEFAULT = cells(PUBLISHED["default"])
EXTENSION = cells(PUBLISHED["extension"])
LOCKING = {0: DEFAULT} | {int(language): cells(table) for language, table in PUBLISHED["locking_shift"].items()}
SINGLE = {0: EXTENSION} | {int(language): cells(table) for language, table in PUBLISHED["single_shift"].items()}
# The file follows the consortium's mapping, which gives capital upsilon as U; the Latin letter of its shape is Y.
FALLBACKS = {character(point): DEFAULT[int(value, 16)] for point, value in PUBLISHED["encode_alternates"].items()} | {
    "\N{GREEK CAPITAL LETTER UPSILON}": "Y"
}


def encode(text: str, locking: int = 0, single: int = 0) -> bytes | None:
    """Encode by character: the main table first, then the extension after ESC; the lowest value that has the
    character."""
    octets = b""
    for wanted in text:
        for table, prefix in ((LOCKING[locking], b""), (SINGLE[single], b"\x1b")):
            values = [value for value, cell in table.items() if cell == wanted]
            if values:
                octets += prefix + bytes((min(values),))
                break
        else:
            return None
    return octets


def decode(octets: bytes, locking: int = 0, single: int = 0) -> str:
    """Decode octet by octet."""
    main = LOCKING[locking]
    after_esc = SINGLE[single] | ({0x65: "€"} if single == 12 else {})
    text = ""
    at = 0
    while at < len(octets):
        value = octets[at]
        at += 1
        if value != 0x1B:
            text += main.get(value, "\ufffd")
        elif at == len(octets) or octets[at] == 0x1B:
            text += " "
            at += 1
        else:
            text += after_esc.get(octets[at], main.get(octets[at], "\ufffd"))
            at += 1
    return text

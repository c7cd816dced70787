"""Choice of the alphabet for a text; the alphabet and class that each data_coding stands for.

Two peers agree on the meaning of data_coding 0 (`default`: GSM 03.38, Latin-1 or ASCII). The message classes and
waiting indications of GSM 03.38 TP-DCS are supported. Sources: smpp 3.4 section 5.2.19, 3GPP TS 23.038 section 4.
"""

import enum
import re
from collections.abc import Iterable, Iterator

import attrs

from smsgw.text import gsm0338


class Alphabet(enum.StrEnum):
    """The encoding of user data; the settings use the values of the first three."""

    GSM = "gsm"
    LATIN1 = "latin1"
    ASCII = "ascii"
    OCTETS = "octets"
    UCS2 = "ucs2"
    SHIFT_JIS = "shift_jis"
    CYRILLIC = "cyrillic"
    HEBREW = "hebrew"
    ISO_2022_JP = "iso_2022_jp"
    EUC_JP = "euc_jp"
    EUC_KR = "euc_kr"


DEFAULTS = frozenset({"gsm", "latin1", "ascii"})


class NotEncodable(ValueError):
    """The text has a character that the requested alphabet lacks."""


CODECS = {
    Alphabet.LATIN1: "iso8859-1",
    Alphabet.ASCII: "ascii",
    Alphabet.OCTETS: "iso8859-1",
    Alphabet.SHIFT_JIS: "shift_jis",
    Alphabet.CYRILLIC: "iso8859-5",
    Alphabet.HEBREW: "iso8859-8",
    Alphabet.ISO_2022_JP: "iso2022_jp",
    Alphabet.EUC_JP: "euc_jp",
    Alphabet.EUC_KR: "euc_kr",
}

# The alphabet of each data_coding; None is the default alphabet, and a value not listed is reserved.
_ALPHABETS: dict[int, Alphabet | None] = {
    0x00: None,
    0x01: Alphabet.ASCII,
    0x02: Alphabet.OCTETS,
    0x03: Alphabet.LATIN1,
    0x04: Alphabet.OCTETS,
    0x05: Alphabet.SHIFT_JIS,
    0x06: Alphabet.CYRILLIC,
    0x07: Alphabet.HEBREW,
    0x08: Alphabet.UCS2,
    0x09: Alphabet.OCTETS,
    0x0A: Alphabet.ISO_2022_JP,
    0x0D: Alphabet.EUC_JP,
    0x0E: Alphabet.EUC_KR,
    **dict.fromkeys(range(0x10, 0x14)),  # message class with the default alphabet,
    **dict.fromkeys(range(0x14, 0x18), Alphabet.OCTETS),
    **dict.fromkeys(range(0x18, 0x1C), Alphabet.UCS2),
    **dict.fromkeys(range(0xC0, 0xE0)),  # message waiting
    **dict.fromkeys(range(0xE0, 0xF0), Alphabet.UCS2),
    **dict.fromkeys(range(0xF0, 0xF4)),  # message class, the older group
    **dict.fromkeys(range(0xF4, 0xF8), Alphabet.OCTETS),
}
_OF_PEER = {
    default: [_ALPHABETS.get(octet, Alphabet.OCTETS) or Alphabet(default) for octet in range(0x100)]
    for default in DEFAULTS
}
_PLAIN = {alphabet: octet for octet, alphabet in reversed(_ALPHABETS.items()) if octet < 0x10 and alphabet} | {
    Alphabet.OCTETS: 0x04
}
_WITH_CLASS = {Alphabet.OCTETS: 0x14, Alphabet.UCS2: 0x18}


_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")


def find_control(text: str) -> int:
    """The index of the first control character that a text for people does not have, -1 if there is none.

    Allowed are tab, LF, FF (a page break in GSM 03.38, section 6.2.1.1) and CR. ESC is none of them: it is the value in
    GSM 03.38 that comes before those of the extension table, whose characters Unicode has itself.
    """
    found = _CONTROL.search(text)
    return -1 if found is None else found.start()


def known(data_coding: int) -> bool:
    """Whether a data_coding is defined; the octets of a reserved one can only be passed on unchanged."""
    return data_coding in _ALPHABETS


def alphabet(data_coding: int, default: str = "gsm") -> Alphabet:
    """The alphabet of a data_coding (0-255); reserved values are raw octets."""
    return _of_peer(default)[data_coding]


def data_coding(alphabet: Alphabet, default: str = "gsm", message_class: int | None = None) -> int:
    """The data_coding for `alphabet`, with a GSM message class (0 flash, 1 phone, 2 SIM, 3 terminal) if given.

    Raises ValueError if none exists: GSM 03.38 to a peer with another default, a class with e.g. Latin-1.
    """
    is_default = alphabet == _of_peer(default)[0]
    if message_class is None:
        if is_default:
            return 0x00
        if alphabet in _PLAIN:
            return _PLAIN[alphabet]
    elif 0 <= message_class <= 3:
        if is_default:
            return 0x10 | message_class
        if alphabet in _WITH_CLASS:
            return _WITH_CLASS[alphabet] | message_class
    raise ValueError(f"no data_coding for {alphabet} with class {message_class} where 0 means {default}")


def encode(
    text: str, data_coding: int | None = None, default: str = "gsm", fallbacks: bool = False
) -> tuple[int, bytes]:
    """Encode `text` for a peer; returns (data_coding, octets).

    Without a data_coding the default alphabet is used if it has every character, otherwise UCS-2 (UTF-16BE).
    `fallbacks` applies to GSM 03.38 (see `gsm0338.encode`). Raises NotEncodable for a lone surrogate, and for a text
    with a character that the given data_coding lacks.
    """
    if data_coding is None:
        octets = gsm0338.encode(text, 0, 0, fallbacks) if default == "gsm" else _write(text, _of_peer(default)[0])
        if octets is not None:
            return 0x00, octets
        return 0x08, _ucs2(text)
    written_in = _of_peer(default)[data_coding]
    octets = _write(text, written_in, fallbacks)
    if octets is None:
        raise NotEncodable(f"the text has a character that {written_in} lacks")
    return data_coding, octets


def decode(octets: bytes, data_coding: int, default: str = "gsm", locking: int = 0, single: int = 0) -> str:
    """Decode octets by their data_coding (0-255); never raises, invalid octets become U+FFFD.

    A byte order mark is removed and followed, an odd octet at the end of UCS-2 becomes U+FFFD. Raw octets are decoded
    as Latin-1. `locking` and `single` are the national languages of the part's header, used for GSM 03.38 only.
    """
    return read(octets, _of_peer(default)[data_coding], locking, single)


def read(octets: bytes, alphabet: Alphabet, locking: int = 0, single: int = 0) -> str:
    """Decode octets of an alphabet, as `decode` does."""
    if alphabet is Alphabet.GSM:
        return gsm0338.decode(octets, locking, single)
    if alphabet is Alphabet.UCS2:
        if octets[:2] == b"\xfe\xff":
            return octets[2:].decode("utf-16-be", "replace")
        if octets[:2] == b"\xff\xfe":
            return octets[2:].decode("utf-16-le", "replace")
        return octets.decode("utf-16-be", "replace")
    return octets.decode(CODECS[alphabet], "replace")


def recode(octets: bytes, data_coding: int, default: str, other: str) -> tuple[int, bytes]:
    """Convert user data from a peer whose data_coding 0 means `default` for a peer where it means `other`.

    Returns (data_coding, octets). Octets in any but the default alphabet are unchanged. A text with a character that
    `other` lacks becomes UCS-2 and keeps its class or its kind of waiting indication.
    """
    before, after = _of_peer(default)[data_coding], _of_peer(other)[data_coding]
    if before is after:
        return data_coding, octets
    text = read(octets, before)
    rewritten = _write(text, after)
    if rewritten is not None:
        return data_coding, rewritten
    if data_coding == 0x00:
        in_ucs2 = 0x08
    elif 0xC0 <= data_coding <= 0xDF:
        in_ucs2 = 0xE0 | data_coding & 0x0F
    else:
        in_ucs2 = 0x18 | data_coding & 0x03
    return in_ucs2, _ucs2(text)


@attrs.frozen
class National:
    """GSM 03.38 octets and the languages of their locking and single shift tables; 0 is the default table."""

    octets: bytes
    locking: int
    single: int


def encode_national(text: str, languages: Iterable[int]) -> National | None:
    """Encode `text` with the national tables of one of `languages`; None if each lacks a character.

    The default tables are preferred. Otherwise the shortest result wins, header elements of 3 octets each included;
    among equals the first language.
    """
    octets = gsm0338.encode(text)
    if octets is not None:
        return National(octets, 0, 0)
    best, cost = None, 0.0
    for locking, single in _table_pairs(languages):
        octets = gsm0338.encode(text, locking, single)
        spent = 0.0 if octets is None else len(octets) * 7 / 8 + 3 * (locking > 0) + 3 * (single > 0)
        if octets is not None and (best is None or spent < cost):
            best, cost = National(octets, locking, single), spent
    return best


def _table_pairs(languages: Iterable[int]) -> Iterator[tuple[int, int]]:
    for language in languages:
        locking = language if language in gsm0338.LOCKING_LANGUAGES else 0
        single = language if language in gsm0338.SINGLE_LANGUAGES else 0
        if single:
            yield 0, single
        if locking:
            yield locking, 0
            yield locking, single


def _of_peer(default: str) -> list[Alphabet]:
    try:
        return _OF_PEER[default]
    except KeyError:
        known = ", ".join(sorted(DEFAULTS))
        raise ValueError(f"the default alphabet must be one of {known}, not {default!r}") from None


def _ucs2(text: str) -> bytes:
    try:
        return text.encode("utf-16-be")
    except UnicodeEncodeError as flaw:
        raise NotEncodable(f"the text has a lone surrogate at character {flaw.start}") from None


def _write(text: str, alphabet: Alphabet, fallbacks: bool = False) -> bytes | None:
    if alphabet is Alphabet.GSM:
        return gsm0338.encode(text, 0, 0, fallbacks)
    if alphabet is Alphabet.UCS2:
        return _ucs2(text)
    try:
        return text.encode(CODECS[alphabet])
    except UnicodeEncodeError:
        return None

"""Cutting a text into parts that fit a GSM short message of 140 octets, and joining parts.

Works on octets as they go into the user data (GSM 03.38 unpacked). Source: 3GPP TS 23.040 sections 9.2.3.16 and
9.2.3.24.1.
"""

import codecs
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise

import attrs

from smsgw.text import coding, gsm0338
from smsgw.text.coding import Alphabet

USER_DATA = 140
NARROW, WIDE = 6, 7  # octets of a header that holds only an 8- or 16-bit concatenation element
MOST_PARTS = 255

_SEPTETS = [(USER_DATA - header) * 8 // 7 for header in range(USER_DATA + 1)]
_UNITS = [(USER_DATA - header) // 2 * 2 for header in range(USER_DATA + 1)]
_OCTETS = [USER_DATA - header for header in range(USER_DATA + 1)]
_CAPACITIES = dict.fromkeys(Alphabet, _OCTETS) | {Alphabet.GSM: _SEPTETS, Alphabet.UCS2: _UNITS}
_CONVERTED = frozenset({Alphabet.LATIN1, Alphabet.ASCII})
_LONGEST_CHARACTER = 4  # octets, in any alphabet whose characters must not be cut


class TooManyParts(ValueError):
    """The text needs more than 255 parts, the most that a concatenation element can count."""


def capacity(alphabet: Alphabet, header_octets: int = 0) -> int:
    """How many octets of text (septets in GSM 03.38) fit after a header of `header_octets`, UDHL included.

    Raises ValueError if the header alone is longer than 140 octets.
    """
    if not 0 <= header_octets <= USER_DATA:
        raise ValueError(f"a header of {header_octets} octets does not fit")
    return _CAPACITIES[alphabet][header_octets]


def split(
    octets: bytes, alphabet: Alphabet = Alphabet.GSM, header_octets: int = NARROW, single_octets: int = 0
) -> list[bytes]:
    """Cut a text into pieces, each for one part after its header; the pieces joined are the text.

    `single_octets` is the size of the header if one part is enough (0: none), `header_octets` its size in each of
    several parts. An escape pair, a surrogate pair and a character of several octets are never cut. Latin-1 and ASCII
    are measured in GSM 03.38 septets if that alphabet has every character (message centres convert them), otherwise in
    octets. Raises TooManyParts above 255 parts, and ValueError if the header leaves no room for text or is smaller than
    `single_octets`.
    """
    cuts = _cuts(octets, alphabet, header_octets, single_octets)
    if not cuts:
        return [octets]
    if len(cuts) >= MOST_PARTS:
        raise TooManyParts(f"the text needs {len(cuts) + 1} parts, at most {MOST_PARTS} are possible")
    return [octets[start:end] for start, end in pairwise((0, *cuts, len(octets)))]


def count(octets: bytes, alphabet: Alphabet = Alphabet.GSM, header_octets: int = NARROW, single_octets: int = 0) -> int:
    """How many pieces `split` would make; may exceed 255."""
    return len(_cuts(octets, alphabet, header_octets, single_octets)) + 1


def _cuts(octets: bytes, alphabet: Alphabet, header_octets: int, single_octets: int) -> Sequence[int]:
    """The offsets at which the second and later pieces begin."""
    if alphabet in _CONVERTED:
        on_the_air = gsm0338.encode(octets.decode("iso8859-1"))
        if on_the_air is not None:
            cuts = _cuts(on_the_air, Alphabet.GSM, header_octets, single_octets)
            if gsm0338.ESC in on_the_air:  # one octet here is an escape pair there
                return [cut - on_the_air.count(gsm0338.ESC, 0, cut) for cut in cuts]
            return cuts
    length = len(octets)
    if length <= capacity(alphabet, single_octets):
        return ()
    if header_octets < single_octets:
        raise ValueError(f"a header of {header_octets} octets cannot contain one of {single_octets}")
    size = capacity(alphabet, header_octets)
    if size < _LONGEST_CHARACTER:
        raise ValueError(f"a header of {header_octets} octets leaves no room for text")
    torn = _TORN.get(alphabet)
    if torn is None or (torn is _torn_escape and gsm0338.ESC not in octets):
        return range(size, length, size)
    found = []
    start = 0
    while length - start > size:
        end = start + size
        start = end - torn(octets, start, end)
        found.append(start)
    return found


def _torn_escape(octets: bytes, start: int, end: int) -> int:
    """1 if a cut at `end` would separate ESC from its value (an odd number of ESC stands before it), else 0."""
    return (end - start - len(octets[start:end].rstrip(b"\x1b"))) & 1


def _torn_surrogates(octets: bytes, _: int, end: int) -> int:
    """2 if a cut at `end` would separate a surrogate pair, else 0."""
    return 2 if octets[end - 2] & 0xFC == 0xD8 and octets[end] & 0xFC == 0xDC else 0


def _torn_by(codec: str) -> Callable[[bytes, int, int], int]:
    make = codecs.getincrementaldecoder(codec)

    def torn(octets: bytes, start: int, end: int) -> int:
        """How many octets before `end` begin a character that ends after it."""
        decoder = make("replace")
        decoder.decode(octets[start:end])
        return len(decoder.getstate()[0])

    return torn


_TORN = {Alphabet.GSM: _torn_escape, Alphabet.UCS2: _torn_surrogates} | {
    alphabet: _torn_by(coding.CODECS[alphabet]) for alphabet in (Alphabet.SHIFT_JIS, Alphabet.EUC_JP, Alphabet.EUC_KR)
}


@attrs.frozen
class Piece:
    """The user data of one part after its header; `locking` and `single` are the header's national languages."""

    octets: bytes
    data_coding: int
    locking: int = 0
    single: int = 0


def join(pieces: Iterable[Piece], default: str = "gsm") -> str:
    """Decode the text of all parts in order; never raises (see `coding.decode`).

    Adjacent parts with the same coding are joined before they are decoded, so a character that the sender cut in two is
    restored.
    """

    def written(piece: Piece) -> tuple[Alphabet, int, int]:
        return coding.alphabet(piece.data_coding, default), piece.locking, piece.single

    texts = []
    for (alphabet, locking, single), run in groupby(pieces, written):
        together = [piece.octets for piece in run]
        if alphabet is Alphabet.UCS2:  # an odd octet in one part must not shift the parts after it
            together = [octets[:-1] + b"\xff\xfd" if len(octets) & 1 else octets for octets in together]
        texts.append(coding.read(b"".join(together), alphabet, locking, single))
    return "".join(texts)

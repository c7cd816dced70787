"""The character tables of 3GPP TS 23.038: the default alphabet, its extension, and the national language tables.

A main table is a string of 128 characters, indexed by septet value; U+FFFD marks a cell without a character, 0x1B is
ESC itself. An extension table is a dict from the septet value after ESC to the character.
Misprints of the published tables are corrected: Kannada locking 24, Tamil single 24, Telugu single 22 and 23,
Punjabi single 23.
"""

from collections.abc import Iterable, Iterator

UNDEFINED = "\ufffd"

DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)

EXTENSION = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip

# One-way replacements on encoding: Greek capitals shaped like Latin ones, and the small letter of Ç.
FALLBACKS = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧç", "ABEZHIKMNOPTYXÇ", strict=True))


def _points(runs: str) -> Iterator[str]:
    """Expand runs of code points: '0041' is one, '0041-0043' three in a row, '.' an undefined cell."""
    for run in runs.split():
        first, _, last = run.partition("-")
        if first == ".":
            yield UNDEFINED
        else:
            yield from map(chr, range(int(first, 16), int(last or first, 16) + 1))


def _with(base: str, cells: Iterable[int], characters: Iterable[str]) -> str:
    table = list(base)
    for cell, character in zip(cells, characters, strict=True):
        table[cell] = character
    return "".join(table)


# The tables of the Indian languages and Urdu share these cells; the other cells hold the script.
_SHARED = {code: chr(code) for code in b"\n\r !,.0123456789:;?abcdefghijklmnopqrstuvwxyz"} | {0x28: ")", 0x29: "("}
_SCRIPT = [code for code in range(0x80) if code not in _SHARED and code != 0x1B]
_SKELETON = _with(DEFAULT, _SHARED, _SHARED.values())

LOCKING = {
    1: _with(DEFAULT, b"\x04\x07\x0b\x0c\x1c\x1d\x40\x60", "€ıĞğŞşİç"),
    3: _with(
        DEFAULT,
        b"\x04\x06\x07\x08\x09\x0b\x0c\x0e\x0f\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1c\x1d\x1e"
        b"\x24\x40\x5b\x5c\x5d\x60\x7b\x7c\x7d",
        "êúíóçÔôÁáªÇÀ∞^\\€Ó|ÂâÊºÍÃÕÚ~ãõ`",
    ),
} | {
    language: _with(_SKELETON, _SCRIPT, _points(runs))
    for language, runs in {
        4: "0981-0983 0985-098C . . 098F 0990 . . 0993-09A8 . 09AA-09B0 . 09B2 . . . 09B6-09B9 09BC-09C4 . ."
        " 09C7 09C8 . . 09CB-09CE 09D7 09DC 09DD 09F0 09F1",
        5: "0A81-0A83 0A85-0A8D . 0A8F-0A91 . 0A93-0AA8 . 0AAA-0AB0 . 0AB2 0AB3 . 0AB5-0AB9 0ABC-0AC5 ."
        " 0AC7-0AC9 . 0ACB-0ACD 0AD0 0AE0-0AE3 0AF1",
        6: "0901-0903 0905-0939 093C-094D 0950 0972 097B 097C 097E 097F",
        7: ". 0C82 0C83 0C85-0C8C . 0C8E-0C90 . 0C92-0CA8 . 0CAA-0CB3 . 0CB5-0CB9 0CBC-0CC4 . 0CC6-0CC8 ."
        " 0CCA-0CCD 0CD5 0CD6 0CE0-0CE3",
        8: ". 0D02 0D03 0D05-0D0C . 0D0E-0D10 . 0D12-0D28 . 0D2A-0D39 . 0D3D-0D44 . 0D46-0D48 . 0D4A-0D4D"
        " 0D57 0D60-0D63 0D79",
        9: "0B01-0B03 0B05-0B0C . . 0B0F 0B10 . . 0B13-0B28 . 0B2A-0B30 . 0B32 0B33 . 0B35-0B39 0B3C-0B44 . ."
        " 0B47 0B48 . . 0B4B-0B4D 0B56 0B57 0B60-0B63",
        10: "0A01-0A03 0A05-0A0A . . . . 0A0F 0A10 . . 0A13-0A28 . 0A2A-0A30 . 0A32 0A33 . 0A35 0A36 . 0A38 0A39"
        " 0A3C . 0A3E-0A42 . . . . 0A47 0A48 . . 0A4B-0A4D 0A51 0A70-0A74",
        11: ". 0B82 0B83 0B85-0B8A . . . 0B8E-0B90 . 0B92-0B95 . . . 0B99 0B9A . 0B9C . 0B9E 0B9F . . . 0BA3 0BA4"
        " . . . 0BA8-0BAA . . . 0BAE-0BB9 . . 0BBE-0BC2 . . . 0BC6-0BC8 . 0BCA-0BCD 0BD0 0BD7 0BF0-0BF2 0BF9",
        12: "0C01-0C03 0C05-0C0C . 0C0E-0C10 . 0C12-0C28 . 0C2A-0C33 . 0C35-0C39 . 0C3D-0C44 . 0C46-0C48 ."
        " 0C4A-0C4D 0C55 0C56 0C60-0C63",
        13: "0627 0622 0628 067B 0680 067E 06A6 062A 06C2 067F 0679 067D 067A 067C 062B 062C 0681 0684 0683"
        " 0685-0687 062D-062F 068C 0688-068A 068F 068D 0630 0631 0691 0693 0699 0632 0696 0698 069A 0633-0639"
        " 0641 0642 06A9-06AB 06AF 06B3 06B1 0644-0646 06BA-06BC 0648 06C4 06D5 06C1 06BE 0621 06CC 06D0 06D2"
        " 064D 0650 064F 0657 0654 0655 0651 0653 0656 0670",
    }.items()
}

# Their extension tables share punctuation and Latin capitals; the cells between hold the digits and signs of the
# script.
_SHARED_AFTER_ESC = (
    dict(enumerate("@£$¥¿\"¤%&'\f*+", 0x00))
    | dict(enumerate("-/<=>¡^¡_#*", 0x0E))
    | dict(enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0x41))
    | {code: character for code, character in EXTENSION.items() if character != "€"}
)
_SIGNS = [code for code in range(0x19, 0x40) if code not in _SHARED_AFTER_ESC and code != 0x1B]

SINGLE = {
    1: EXTENSION | dict(zip(b"GIScgis", "ĞİŞçğış", strict=True)),
    2: EXTENSION | dict(zip(b"\x09AIOUaiou", "çÁÍÓÚáíóú", strict=True)),
    3: EXTENSION
    | dict(
        zip(
            b"\x05\x09\x0b\x0c\x0e\x0f\x12\x13\x15\x16\x17\x18\x19\x1fAIOU\x5b\x5caiou\x7b\x7c\x7f",
            "êçÔôÁáΦΓΩΠΨΣΘÊÀÍÓÚÃÕÂíóúãõâ",
            strict=True,
        )
    ),
} | {
    language: _SHARED_AFTER_ESC
    | {code: sign for code, sign in zip(_SIGNS, _points(runs), strict=False) if sign != UNDEFINED}
    | {0x65: "€"}
    for language, runs in {
        4: "09E6-09EF 09DF-09E3 09F2-09FA",
        5: "0964 0965 0AE6-0AEF",
        6: "0964-096F 0951-0954 0958-0963 0970 0971",
        7: "0964 0965 0CE6-0CEF 0CDE 0CF1 0CF2",
        8: "0964 0965 0D66-0D75 0D7A-0D7F",
        9: "0964 0965 0B66-0B6F 0B5C 0B5D 0B5F 0B70 0B71",
        10: "0964 0965 0A66-0A6F 0A59-0A5C 0A5E 0A75",
        11: "0964 0965 0BE6-0BEF 0BF3-0BF8 0BFA",
        12: ". . 0C66-0C6F 0C58 0C59 0C78-0C7F",
        13: "0600 0601 06F0-06F9 060C-0614 061B 061F 0640 0652 0658 066B 066C 0672 0673 06CD 06D4",
    }.items()
}

# The published Telugu table has no euro sign, but some senders use it: it is decoded and never encoded.
del SINGLE[12][0x65]
READ_ONLY = {12: {0x65: "€"}}

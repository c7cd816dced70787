"""The text of a mail: transfer encoding and charset undone (000-24, 000-25). Pure; bounded by what the session took in.

Only what is needed of the header is looked at, by patterns that go over it once: a hostile header costs no more than
its octets.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator, Mapping
from encodings import normalize_encoding
from encodings.aliases import aliases
from typing import Final

from smsgw.model.errors import Refusal, Refused

CHARSETS: Final = (
    *("us-ascii", "utf-8", "koi8-r", "koi8-u", "cp866", "utf-16", "utf-16be", "utf-16le"),
    *(f"windows-125{n}" for n in range(9)),
    *(f"iso-8859-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
    *("gb2312", "gb18030", "big5", "shift_jis", "iso-2022-jp", "euc-jp", "euc-kr"),
)
"""Charsets that are taken, under these and all their other names; no other codec is ever asked to decode."""


def _codecs() -> Iterator[tuple[str, codecs.CodecInfo]]:
    """Each name of each charset in the form that :func:`encodings.normalize_encoding` gives, with its codec."""
    taken = {normalize_encoding(codecs.lookup(name).name): codecs.lookup(name) for name in CHARSETS}
    taken["latin_1"] = taken["iso8859_1"]
    yield from taken.items()
    yield from ((alias, taken[module]) for alias, module in aliases.items() if module in taken)


_CODECS: Final[Mapping[str, codecs.CodecInfo]] = dict(_codecs())
_DEFAULT_TYPE: Final = "text/plain"
_PARAMETER: Final = re.compile(r';\s*([^\s;="]*)\s*(?:=\s*("(?:[^"\\]|\\.)*+"?|[^;]*))?[^;]*', re.DOTALL)
_CHARSET: Final = re.compile(r"[A-Za-z0-9._:-]{1,40}")
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_FIELD: Final = re.compile(
    rb"(?:^|\r\n)(content-type|content-transfer-encoding)[ \t]*:((?:[^\r]|\r\n[ \t])*)", re.IGNORECASE
)
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_FOLD: Final = re.compile(rb"\r\n(?=[ \t])")
_IDENTITY: Final = frozenset({"7bit", "8bit", "binary", ""})
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def plain_text(octets: bytes) -> str | Refused:
    """The SMS text of a mail with one plain text body, its lines ended by LF, without blank lines at the end.

    Refused BAD_ENCODING says which charset, transfer encoding or content type cannot be taken.
    """
    head, separator, body = octets.partition(b"\r\n\r\n")
    if octets.startswith(b"\r\n"):
        head, body = b"", octets[2:]
    elif not separator:
        body = b""
    content_type, transfer = _fields(head)
    kind, charset = _kind_and_charset(content_type)
    if kind != _DEFAULT_TYPE:
        return _unreadable(f"content type {kind[:40]} cannot be sent as a text, only text/plain")
    decoded = _transferred(body, transfer.lower())
    if decoded is None:
        return _unreadable(f"the {transfer[:40]} transfer encoding is not known or not kept to")
    codec = _CODECS.get(normalize_encoding(charset.lower())) if _CHARSET.fullmatch(charset) else None
    if codec is None:
        return _unreadable(f"charset {charset[:40]!a} is not taken")
    if codec.name == "ascii" and not decoded.isascii():
        codec = codecs.lookup("utf-8")  # 8-bit text without a charset: what today's programs mean by it
    try:
        text, _ = codec.decode(decoded, "strict")
    except UnicodeError:
        return _unreadable(f"the body is not in charset {charset[:40]}")
    text = text.replace("\r\n", "\n").rstrip("\n")
    if _CONTROL.search(text):
        return _unreadable("the text holds control characters")
    return text


def _unreadable(why: str) -> Refused:
    return Refused(Refusal.BAD_ENCODING, why)


def _fields(head: bytes) -> tuple[str, str]:
    """Values of Content-Type and Content-Transfer-Encoding, the first of each, unfolded."""
    found: dict[bytes, str] = {}
    for match in _FIELD.finditer(head + b"\r\n"):
        found.setdefault(match[1].lower(), _FOLD.sub(b"", match[2]).decode("ascii", "replace").strip())
    return found.get(b"content-type", ""), found.get(b"content-transfer-encoding", "")


def _kind_and_charset(content_type: str) -> tuple[str, str]:
    """The type in lower case, and the first charset parameter; without them text/plain and us-ascii.

    What is no type at all counts as text/plain (RFC 2045, 5.2).
    """
    kind, separator, rest = content_type.partition(";")
    kind = kind.strip().lower()
    charset = ""
    for name, value in _PARAMETER.findall(separator + rest):
        if name.lower() == "charset":
            charset = _QUOTED_PAIR.sub(r"\1", value[1:].removesuffix('"')) if value.startswith('"') else value
            break
    return kind if kind.count("/") == 1 else _DEFAULT_TYPE, charset.strip() or "us-ascii"


def _transferred(body: bytes, encoding: str) -> bytes | None:
    """The body with its transfer encoding undone, None if that is not possible."""
    if encoding in _IDENTITY:
        return body
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    if encoding == "base64":
        packed = body.translate(None, b"\r\n \t")
        # Python's decoder skips what it does not understand; a text must not be guessed at.
        if len(packed) % 4 or not _BASE64.fullmatch(packed):
            return None
        return binascii.a2b_base64(packed)
    return None

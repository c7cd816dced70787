"""The text of a mail, decoded from transfer encoding and charset (000-24, 000-25). Pure; bounded by the mail's size.

Patterns search the header once for the fields that are needed, so a hostile header costs time linear in its size.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Callable
from typing import Final

from smsgw.model.errors import Refusal, Refused
from smsgw.protocols.smtp.charsets import charset_codec
from smsgw.protocols.smtp.mailparts import MOST_DEPTH, MOST_PARTS, BadParts, Fields, html_text, split, unfold

INLINE: Final = 16_384
"""The largest plain mail in octets that is read in the reactor's thread."""

_DEFAULT_TYPE: Final = "text/plain"
_HTML: Final = "text/html"
_PARAMETER: Final = re.compile(r';\s*([^\s;="]*)\s*(?:=\s*("(?:[^"\\]|\\.)*+"?|[^;]*))?[^;]*', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_FIELD: Final = re.compile(
    rb"(?:^|\r\n)(content-type|content-transfer-encoding|content-disposition)[ \t]*:((?:[^\r]|\r\n[ \t])*)",
    re.IGNORECASE,
)
_MESSAGE_ID: Final = re.compile(rb"(?:^|\r\n)message-id[ \t]*:([^\r]{1,998})", re.IGNORECASE)
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_FOLD: Final = re.compile(rb"\r\n(?=[ \t])")
_IDENTITY: Final = frozenset({"7bit", "8bit", "binary", ""})
# Half of a surrogate pair counts as one: UTF-7 can hold it.
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f\ud800-\udfff]")


def is_plain(octets: bytes) -> bool:
    """Whether a mail is one short plain text, fast enough for the reactor's thread; others go to a worker thread."""
    return len(octets) <= INLINE and _fields(_halves(octets)[0]).kind == _DEFAULT_TYPE


def mail_text(octets: bytes, rest: Callable[[], None] = lambda: None) -> str | Refused:
    """Return the SMS text of a mail: its first plain text, else its first HTML as text. Lines end with LF; those of
    ``format=flowed`` are joined to paragraphs; blank lines at the end are removed.

    Refused BAD_ENCODING names the charset, transfer encoding or content type that is not supported.

    :param rest: called often, for a computation in a thread that leaves time to others.
    """
    try:
        found = _first(octets, _DEFAULT_TYPE) or _first(octets, _HTML)
    except BadParts as error:
        return _unreadable(str(error))
    if found is None:
        kind = _fields(_halves(octets)[0]).kind
        return _unreadable(f"content type {kind[:40]} has no text, only text/plain and text/html have")
    fields, body = found
    text = _decoded(fields, body)
    if isinstance(text, Refused):
        return text
    if fields.kind == _HTML:
        text = html_text(text, rest)
    text = text.replace("\r\n", "\n")
    if fields.flowed and fields.kind == _DEFAULT_TYPE:
        text = unfold(text, fields.delsp, rest)
    text = text.rstrip("\n")
    if _CONTROL.search(text):
        return _unreadable("the text holds control characters")
    return text


def _first(octets: bytes, kind: str) -> tuple[Fields, bytes] | None:
    """Return the first part of a content type that is no attachment, depth first."""
    left = MOST_PARTS
    stack = [(octets, 0)]
    while stack:
        entity, depth = stack.pop()
        head, body = _halves(entity)
        fields = _fields(head)
        if fields.kind.startswith("multipart/"):
            if depth >= MOST_DEPTH:
                raise BadParts(f"parts nested deeper than {MOST_DEPTH}")
            if fields.transfer.lower() not in _IDENTITY:
                raise BadParts("a multipart under a transfer encoding")
            parts = split(body, fields.boundary)
            left -= len(parts)
            if left < 0:
                raise BadParts(f"more than {MOST_PARTS} parts")
            stack += [(part, depth + 1) for part in reversed(parts)]
        elif fields.kind == kind and (not depth or not fields.attached):
            return fields, body
    return None


def _halves(octets: bytes) -> tuple[bytes, bytes]:
    """Split a mail into header and body."""
    if octets.startswith(b"\r\n"):
        return b"", octets[2:]
    head, _, body = octets.partition(b"\r\n\r\n")
    return head, body


def _decoded(fields: Fields, body: bytes) -> str | Refused:
    """Decode a body from its transfer encoding and charset."""
    decoded = _transferred(body, fields.transfer.lower())
    if decoded is None:
        return _unreadable(f"the {fields.transfer[:40]} transfer encoding is not known or not kept to")
    charset = fields.charset
    codec = charset_codec(charset)
    if codec is None:
        return _unreadable(f"charset {charset[:40]!a} is not taken")
    if codec.name == "ascii" and not decoded.isascii():
        codec = codecs.lookup("utf-8")  # 8-bit text without a charset is UTF-8 in today's programs
    try:
        return codec.decode(decoded, "strict")[0]
    except UnicodeError:
        return _unreadable(f"the body is not in charset {charset[:40]}")


def message_id(octets: bytes) -> str:
    """Return the Message-ID of a mail, empty if it has none."""
    found = _MESSAGE_ID.search(_halves(octets)[0] + b"\r\n")
    return found[1].strip().decode("ascii", "replace") if found is not None else ""


def _unreadable(why: str) -> Refused:
    return Refused(Refusal.BAD_ENCODING, why)


def _fields(head: bytes) -> Fields:
    """Return the used fields of a header, unfolded; the first of each counts.

    Without a valid content type it is text/plain in us-ascii (RFC 2045, 5.2).
    """
    found: dict[bytes, str] = {}
    for match in _FIELD.finditer(head + b"\r\n"):
        found.setdefault(match[1].lower(), _FOLD.sub(b"", match[2]).decode("ascii", "replace").strip())
    kind, separator, rest = found.get(b"content-type", "").partition(";")
    kind = kind.strip().lower()
    parameters: dict[str, str] = {}
    for name, value in _PARAMETER.findall(separator + rest):
        value = _QUOTED_PAIR.sub(r"\1", value[1:].removesuffix('"')) if value.startswith('"') else value
        parameters.setdefault(name.lower(), value.strip())
    return Fields(
        kind if kind.count("/") == 1 else _DEFAULT_TYPE,
        parameters.get("charset") or "us-ascii",
        parameters.get("boundary", ""),
        found.get(b"content-transfer-encoding", ""),
        found.get(b"content-disposition", "").lower().startswith("attachment"),
        parameters.get("format", "").lower() == "flowed",
        parameters.get("delsp", "").lower() == "yes",
    )


def _transferred(body: bytes, encoding: str) -> bytes | None:
    """Decode a transfer encoding; None if the body is not valid in it."""
    if encoding in _IDENTITY:
        return body
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    if encoding == "base64":
        packed = body.translate(None, b"\r\n \t")
        # Python's decoder skips invalid characters, which would change the text.
        if len(packed) % 4 or not _BASE64.fullmatch(packed):
            return None
        return binascii.a2b_base64(packed)
    return None

"""Splits multipart mails, converts HTML to text, joins flowed lines. Pure, and bounded in depth and number of parts."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Final

import attrs

MOST_DEPTH: Final = 8
"""The most levels of nested parts."""

MOST_PARTS: Final = 100
"""The most parts of one mail."""

PIECE: Final = 4096
"""The most characters of visible text that one search looks at."""

_BOUNDARY: Final = re.compile(r"[ -~]{1,70}")
_HIDDEN: Final = frozenset({"script", "style", "head", "title", "template", "noscript"})
_BREAKS: Final = frozenset({"br", "p", "div", "tr", "li", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "hr"})
_TAG: Final = re.compile(r"<(/?)([a-z][a-z0-9]{0,20}|[!?])")
_QUOTE_OR_END: Final = re.compile("[\"'>]")
_SIGNATURE: Final = "-- "
_SPACES: Final = re.compile(r"[ \t\r\n\f\xa0]+")


class BadParts(ValueError):
    """A multipart mail that cannot be split, or has too many parts; the text gives the reason."""


@attrs.frozen
class Fields:
    """The used fields of a header: content type in lower case, its parameters, transfer encoding, disposition.

    :ivar flowed: whether the text is ``format=flowed``. :ivar delsp: whether it is ``delsp=yes`` (RFC 3676).
    """

    kind: str
    charset: str
    boundary: str
    transfer: str
    attached: bool
    flowed: bool
    delsp: bool


def split(body: bytes, boundary: str) -> list[bytes]:
    """Split a body into the parts between its delimiter lines, without preamble and epilogue (RFC 2046, 5.1.1).

    A missing last delimiter is accepted, as mail programs do.

    :raises BadParts: if there is no delimiter, or too many.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise BadParts("a multipart without a boundary")
    delimiter = re.compile(rb"\r\n--%b(--)?[ \t]*(?=\r\n|\Z)" % re.escape(boundary.encode("ascii")))
    lines = b"\r\n" + body
    parts: list[bytes] = []
    begin = -1
    for found in delimiter.finditer(lines):
        if begin >= 0:
            parts.append(lines[begin : found.start()])
            if len(parts) > MOST_PARTS:
                raise BadParts(f"more than {MOST_PARTS} parts")
        if found[1]:
            break
        begin = found.end() + 2
    else:
        if begin >= 0:
            parts.append(lines[begin:])
    if not parts:
        raise BadParts("a multipart without parts")
    return parts


def html_text(text: str, rest: Callable[[], None] = lambda: None) -> str:
    """Convert HTML to its visible text: a line for each block, without comments, scripts and styles.

    :param rest: called often, for a computation in a thread that leaves time to others.

    It reads each character a bounded number of times for any HTML. The parser of the standard library takes a minute
    for a quarter of a megabyte of ``<!--``.
    """
    pieces: list[str] = []
    lower = text.lower()
    size = len(text)
    at = 0
    while at < size:
        rest()
        tag = text.find("<", at)
        if tag < 0:
            tag = size
        while tag - at > PIECE:
            # Not inside a character reference: "&" begins one, and it has no space.
            end = max(text.rfind("&", at + 1, at + PIECE), text.rfind(" ", at + 1, at + PIECE))
            end = end if end > 0 else at + PIECE
            pieces.append(_SPACES.sub(" ", html.unescape(text[at:end])))
            at = end
            rest()
        pieces.append(_SPACES.sub(" ", html.unescape(text[at:tag])))
        if tag == size:
            break
        if text.startswith("<!--", tag):
            end = text.find("-->", tag + 4)
            if end < 0:
                break
            at = end + 3
            continue
        found = _TAG.match(lower, tag)
        if found is None:
            pieces.append("<")
            at = tag + 1
            continue
        end = _end_of_tag(text, found.end(), rest)
        if end < 0:
            break
        at = end + 1
        name = found[2]
        if name in _BREAKS and not (found[1] and name == "br"):
            pieces.append("\n")
        elif name in _HIDDEN and not found[1]:
            closing = lower.find(f"</{name}", at)
            if closing < 0:
                break
            at = closing
    lines = (_one_spaced(line, rest) for line in "".join(pieces).split("\n"))
    return "\n".join(_without_gaps(lines)).strip("\n")


def unfold(text: str, delsp: bool, rest: Callable[[], None] = lambda: None) -> str:
    """Join the flowed lines of a ``format=flowed`` text to paragraphs (RFC 3676, 4); lines end with LF.

    A line that ends with a space continues in the next one of the same quote depth. The signature's separator does not,
    and no line continues in it. A space that was put before a line in transport is removed, and with `delsp` the space
    at the end of each continued line. Quote marks stay at the beginning of a paragraph.

    :param rest: called often, for a computation in a thread that leaves time to others.
    """
    paragraphs: list[str] = []
    pieces: list[str] = []
    depth = -1  # of the paragraph that goes on
    for line in text.split("\n"):
        rest()
        bare = line.lstrip(">")
        quotes = len(line) - len(bare)
        content = bare.removeprefix(" ")
        flows = content.endswith(" ") and content != _SIGNATURE
        if pieces and (quotes != depth or content == _SIGNATURE):
            paragraphs.append("".join(pieces))
            pieces = []
        if not pieces and quotes:
            pieces.append(line[: len(line) - len(content)])
        depth = quotes
        pieces.append(content[:-1] if flows and delsp else content)
        if not flows:
            paragraphs.append("".join(pieces))
            pieces = []
    if pieces:
        paragraphs.append("".join(pieces))
    return "\n".join(paragraphs)


def _one_spaced(line: str, rest: Callable[[], None]) -> str:
    """Return a line with each run of spaces reduced to one, and without those at its ends."""
    rest()
    if len(line) <= PIECE:
        return _SPACES.sub(" ", line).strip()
    pieces = [""]
    for at in range(0, len(line), PIECE):
        rest()
        piece = _SPACES.sub(" ", line[at : at + PIECE])
        pieces.append(piece.lstrip() if pieces[-1].endswith(" ") else piece)
        if not pieces[-1]:
            del pieces[-1]
    return "".join(pieces).strip()


def _end_of_tag(text: str, at: int, rest: Callable[[], None]) -> int:
    """Return the offset of the ``>`` of a tag, outside quotes; -1 if there is none, which hides the rest of the
    text."""
    while True:
        rest()
        found = _QUOTE_OR_END.search(text, at)
        if found is None or found[0] == ">":
            return found.start() if found is not None else -1
        at = text.find(found[0], found.end()) + 1
        if not at:
            return -1


def _without_gaps(lines: Iterator[str]) -> Iterator[str]:
    """Yield lines, with runs of empty ones reduced to one."""
    empty = False
    for line in lines:
        if line or not empty:
            yield line
        empty = not line

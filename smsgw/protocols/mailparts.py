"""Mails of several parts: which part is the text, and what HTML says as text. Pure, and bounded in depth and number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final

import attrs

MOST_DEPTH: Final = 8
"""Parts within parts."""

MOST_PARTS: Final = 100
"""Parts of one mail."""

_BOUNDARY: Final = re.compile(r"[ -~]{1,70}")
_HIDDEN: Final = frozenset({"script", "style", "head", "title", "template", "noscript"})
_BREAKS: Final = frozenset({"br", "p", "div", "tr", "li", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "hr"})
_SPACES: Final = re.compile(r"[ \t\r\n\f\xa0]+")


class BadParts(ValueError):
    """The parts of a mail cannot be told apart, or are too many; the text says why."""


@attrs.frozen
class Fields:
    """What is needed of a header: type in lower case, its parameters, transfer encoding, disposition."""

    kind: str
    charset: str
    boundary: str
    transfer: str
    attached: bool


def split(body: bytes, boundary: str) -> list[bytes]:
    """The parts between the delimiter lines, without preamble and epilogue (RFC 2046, 5.1.1).

    A last delimiter that is missing is forgiven, as mail programs do.

    :raises BadParts: no such delimiter, or too many.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise BadParts("a multipart without a boundary")
    delimiter = b"--" + boundary.encode("ascii")
    parts: list[bytes] = []
    at = 0 if body.startswith(delimiter) else _next(body, delimiter, 0)
    while at >= 0:
        end = at + len(delimiter)
        if body.startswith(b"--", end):
            return parts
        start = body.find(b"\r\n", end)
        if start < 0:
            break
        if body[end:start].strip(b" \t"):
            at = _next(body, delimiter, end)
            continue
        at = _next(body, delimiter, start)
        parts.append(body[start + 2 : at - 2 if at >= 0 else len(body)])
        if len(parts) > MOST_PARTS:
            raise BadParts(f"more than {MOST_PARTS} parts")
    if not parts:
        raise BadParts("a multipart without parts")
    return parts


def _next(body: bytes, delimiter: bytes, after: int) -> int:
    """Where the next line that begins with the delimiter begins; -1 for none."""
    at = body.find(b"\r\n" + delimiter, after)
    return at + 2 if at >= 0 else -1


class _Text(HTMLParser):
    """Gathers the text of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag in _BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        if tag in _HIDDEN:
            self._hidden = max(self._hidden - 1, 0)
        elif tag in _BREAKS and tag != "br":
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        """Text."""
        if not self._hidden:
            self.pieces.append(_SPACES.sub(" ", data))


def html_text(html: str) -> str:
    """What a reader sees of HTML: the text, a line for each block, without scripts and styles."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    lines = (_SPACES.sub(" ", line).strip() for line in "".join(reader.pieces).split("\n"))
    return "\n".join(_without_gaps(lines)).strip("\n")


def _without_gaps(lines: Iterator[str]) -> Iterator[str]:
    """At most one empty line at a time."""
    empty = False
    for line in lines:
        if line or not empty:
            yield line
        empty = not line

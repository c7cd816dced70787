"""Strict JSON: ambiguous texts are refused with an error that has the position.

The standard library accepts UTF-16, a byte order mark, repeated keys, NaN, infinities, numbers of any length, any depth
and lone surrogates; programs differ in how they read these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import isinf
from typing import Any, Final, NoReturn

LONGEST_INTEGER: Final = 20
"""Characters of the longest integer of 64 bits, with its sign."""

_BOM: Final = b"\xef\xbb\xbf"
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[][{}]', re.DOTALL)


class BadJson(ValueError):
    """A text that is not JSON, or is ambiguous.

    :ivar what: the error in words, without a value of the text.
    :ivar where: the position: ``octet 14``, ``character 3``, or the path of the value, ``$.recipients[2]``.
    """

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} at {where}")
        self.what = what
        self.where = where


class _Marked(ValueError):
    """A value is wrong; :func:`_locate` finds its position."""


def strict_json(octets: bytes, depth: int = 8) -> Any:
    """Parse `octets`: UTF-8 without a byte order mark, integers of 64 bits, finite numbers, unique keys, no lone
    surrogates, objects and arrays at most `depth` deep.

    :raises BadJson: for all other texts.
    """
    if octets.startswith(_BOM):
        raise BadJson("a byte order mark", "octet 0")
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        raise BadJson("not UTF-8", f"octet {error.start}") from None
    if octets.count(b"{") + octets.count(b"[") > depth:
        _check_depth(text, depth)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadJson(error.msg, f"character {error.pos}") from None
    except _Marked:
        _locate(text)
    if _SURROGATE.search(octets):
        _check_characters(value)
    return value


def is_integer(value: object) -> bool:
    """Return whether a value is an integer; a bool, which is an int in Python, is not."""
    return type(value) is int


def compact(value: object) -> bytes:
    """Return a value as JSON in UTF-8, keys sorted, without blanks (004-192). A lone surrogate becomes ``?``."""
    return _ENCODER.encode(value).encode("utf-8", "replace")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _check_depth(text: str, depth: int) -> None:
    """Check the depth of brackets outside of strings before parsing: the parser recurses."""
    level = 0
    for match in _STRUCTURE.finditer(text):
        sign = match[0]
        if sign in "{[":
            level += 1
            if level > depth:
                raise BadJson(f"nested deeper than {depth}", f"character {match.start()}")
        elif sign in "}]":
            level -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Marked("a repeated key")
    return value


def _integer(digits: str) -> int:
    if len(digits) <= LONGEST_INTEGER:
        value = int(digits)
        if -(1 << 63) <= value < 1 << 63:
            return value
    raise _Marked("an integer beyond 64 bits")


def _number(digits: str) -> float:
    value = float(digits)
    if isinf(value):
        raise _Marked("a number out of range")
    return value


def _constant(name: str) -> NoReturn:
    raise _Marked(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


class _Fault:
    """Marks the position of a wrong value."""

    def __init__(self, what: str) -> None:
        self.what = what


def _marking(parse: Any) -> Any:
    """Check a value as `parse` does, but return a mark instead of raising an exception."""

    def mark(argument: Any) -> Any:
        try:
            return parse(argument)
        except _Marked as error:
            return _Fault(str(error))

    return mark


def _marked_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, member in pairs:
        value[key] = _Fault("a repeated key") if key in value else member
    return value


_MARKER: Final = json.JSONDecoder(
    object_pairs_hook=_marked_object,
    parse_int=_marking(_integer),
    parse_float=_marking(_number),
    parse_constant=_marking(_constant),
)


def _locate(text: str) -> NoReturn:
    """Parse `text`, which has an error, again, and return the position of the first error."""
    try:
        value = _MARKER.decode(text)
    except json.JSONDecodeError as error:
        raise BadJson(error.msg, f"character {error.pos}") from None
    for path, member in _walk(value, "$"):
        if isinstance(member, _Fault):
            raise BadJson(member.what, path)
    raise AssertionError("an error was reported but not found again")


def _check_characters(value: object) -> None:
    for path, member in _walk(value, "$"):
        if isinstance(member, str) and not _whole(member):
            raise BadJson("a lone surrogate", path)


def _whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _walk(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield every value with its path, in the order of the text; a key is yielded with the path of its object."""
    yield path, value
    if isinstance(value, dict):
        for key, member in value.items():
            yield path, key
            yield from _walk(member, f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]")
    elif isinstance(value, list):
        for place, member in enumerate(value):
            yield from _walk(member, f"{path}[{place}]")

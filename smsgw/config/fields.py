"""Documented settings: attrs fields with a parser, a documentation and a default.

A settings class is a frozen attrs class whose attributes are made by the functions below; each takes its documentation
first and its default second. This one declaration is used to parse a file, to explain a mistake and to write the
sample file::

    @attrs.frozen(kw_only=True)
    class PigeonSettings(ConnectorSettings):
        loft: str = fields.text("Where the pigeons live.")
        pause: float = fields.duration("Rest between two flights.", "10m")

A key without a default is required. A default of None means "not given"; the documentation of the key says what
happens then. A default is a Python value, or a text in the form of the file.
"""

from __future__ import annotations

import pathlib
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar, cast, overload

import attrs

from smsgw.config import types
from smsgw.config.types import Kind
from smsgw.config.values import AllowList, Globs, Secret, Way

T = TypeVar("T")

_DECLARED: Final = "smsgw.config"


class _Needed:
    """The default of a required key."""

    def __repr__(self) -> str:
        return "needed"


NEEDED: Final = _Needed()


@attrs.frozen
class Declared:
    """The declaration of one key of a settings class."""

    attribute: str
    key: str
    doc: str
    kind: Kind[Any]
    default: object

    @property
    def needed(self) -> bool:
        """Whether the file must give the key."""
        return self.default is NEEDED

    def show(self, value: object) -> str:
        """Return a value in the form of the file, without quotes; empty if the file has no form for it."""
        nothing = value is NEEDED or (value is None and self.kind.blank is not None)
        return "" if nothing else self.kind.show(value)


def declare(kind: Kind[T], doc: str, default: object = NEEDED, key: str = "") -> T:
    """Declare a key of any kind, also of a kind that another package defines.

    `key` is the name in the file if it differs from the attribute's.

    :raises InvalidValue: if the default is a text that the kind cannot parse.
    """
    if isinstance(default, str) and not isinstance(kind.blank, str):
        default = kind.take(default)
    metadata = {_DECLARED: (key, doc, kind, default)}
    if default is NEEDED:
        return cast(T, attrs.field(metadata=metadata))
    if isinstance(default, dict):
        return cast(T, attrs.field(metadata=metadata, factory=lambda: dict(default)))
    return cast(T, attrs.field(metadata=metadata, default=default))


def declared(settings: type) -> list[Declared]:
    """List the keys of a settings class in the order of declaration, those of the base classes first."""
    places: dict[str, None] = {}
    for ancestor in reversed(settings.__mro__):
        if attrs.has(ancestor):
            places.update(dict.fromkeys(attrs.fields_dict(ancestor)))
    found = attrs.fields_dict(settings)
    return [
        Declared(name, key or name, doc, kind, default)
        for name in places if _DECLARED in found[name].metadata
        for key, doc, kind, default in [found[name].metadata[_DECLARED]]
    ]


def text(doc: str, default: object = NEEDED, *, at_most: int = 1024, pattern: str = ".*", allowed: str = "",
         key: str = "") -> str:
    """A text; `allowed` describes in words what matches `pattern`."""
    return declare(types.text(at_most, pattern, allowed), doc, default, key)


def flag(doc: str, default: object = NEEDED, *, key: str = "") -> bool:
    """`yes` or `no`."""
    return declare(types.flag(), doc, default, key)


@overload
def integer(doc: str, default: None, *, at_least: int = 0, at_most: int | None = None, key: str = "") -> int | None: ...
@overload
def integer(doc: str, default: object = NEEDED, *, at_least: int = 0, at_most: int | None = None,
            key: str = "") -> int: ...
def integer(doc: str, default: object = NEEDED, *, at_least: int = 0, at_most: int | None = None,
            key: str = "") -> int | None:
    """A whole number."""
    return declare(types.integer(at_least, at_most), doc, default, key)


@overload
def number(doc: str, default: None, *, at_least: float = 0, at_most: float | None = None,
           key: str = "") -> float | None: ...
@overload
def number(doc: str, default: object = NEEDED, *, at_least: float = 0, at_most: float | None = None,
           key: str = "") -> float: ...
def number(doc: str, default: object = NEEDED, *, at_least: float = 0, at_most: float | None = None,
           key: str = "") -> float | None:
    """A decimal number."""
    return declare(types.number(at_least, at_most), doc, default, key)


def duration(doc: str, default: object = NEEDED, *, at_least: float = 0, at_most: float | None = None,
             key: str = "") -> float:
    """Seconds, in the file `10`, `30s`, `10m`, `24h` or `7d`."""
    return declare(types.duration(at_least, at_most), doc, default, key)


def duration_or_never(doc: str, default: object = NEEDED, *, at_least: float = 0, key: str = "") -> float | None:
    """Seconds, or None for the word `never`."""
    return declare(types.never_or(types.duration(at_least)), doc, default, key)


def octets(doc: str, default: object = NEEDED, *, at_least: int = 0, at_most: int | None = None,
           key: str = "") -> int:
    """Octets, in the file `500`, `64K` or `1M`."""
    return declare(types.octets(at_least, at_most), doc, default, key)


def choice(doc: str, options: Sequence[str], default: object = NEEDED, *, key: str = "") -> str:
    """One of a few words."""
    return declare(types.choice(options), doc, default, key)


def texts(doc: str, default: object = NEEDED, *, entry: Kind[str] | None = None, at_least: int = 0,
          key: str = "") -> tuple[str, ...]:
    """A comma-separated list; `entry` is the kind of each text in it."""
    return declare(types.texts(entry, at_least), doc, default, key)


def choices(doc: str, options: Sequence[str], default: object = NEEDED, *, key: str = "") -> tuple[str, ...]:
    """A comma-separated list of at least one of a few words."""
    return declare(types.texts(types.choice(options), 1), doc, default, key)


def globs(doc: str, default: object = "", *, key: str = "") -> Globs:
    """A comma-separated list of patterns with `*` and `?`."""
    return declare(types.globs(), doc, default, key)


def networks(doc: str, default: object = "", *, key: str = "") -> AllowList:
    """`any`, or up to 15 addresses and networks."""
    return declare(types.networks(), doc, default, key)


def pairs(doc: str, default: object = "", *, left: Kind[str], right: Kind[str], key: str = "") -> Mapping[str, str]:
    """A comma-separated list of `left:right`."""
    return declare(types.pairs(left, right), doc, default, key)


def ways(doc: str, default: object = NEEDED, *, name: Kind[str], key: str = "") -> tuple[Way, ...]:
    """Connector names, each alone or with `:weight`."""
    return declare(types.ways(name), doc, default, key)


@overload
def secret(doc: str, default: None, *, kind: Kind[Secret] | None = None, key: str = "") -> Secret | None: ...
@overload
def secret(doc: str, default: object = NEEDED, *, kind: Kind[Secret] | None = None, key: str = "") -> Secret: ...
def secret(doc: str, default: object = NEEDED, *, kind: Kind[Secret] | None = None, key: str = "") -> Secret | None:
    """A text that no log and no message shows; `.reveal()` returns it."""
    return declare(kind or types.secret(), doc, default, key)


def timezone(doc: str, default: object = NEEDED, *, key: str = "") -> zoneinfo.ZoneInfo:
    """A time zone by name."""
    return declare(types.timezone(), doc, default, key)


@overload
def path(doc: str, default: None, *, key: str = "") -> pathlib.Path | None: ...
@overload
def path(doc: str, default: object = NEEDED, *, key: str = "") -> pathlib.Path: ...
def path(doc: str, default: object = NEEDED, *, key: str = "") -> pathlib.Path | None:
    """A file or directory."""
    return declare(types.path(), doc, default, key)

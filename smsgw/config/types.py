"""The kinds of values: how each is parsed, written and described to the administrator."""

from __future__ import annotations

import decimal
import pathlib
import re
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import attrs

from smsgw.config.errors import InvalidValue
from smsgw.config.values import AllowList, Globs, Network, Secret, Way, folded_network

T = TypeVar("T")

MOST_NETWORKS = 15
"""The highest number of entries in an allow-list (004-184)."""

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_SIZES = {"M": 1 << 20, "K": 1 << 10}
_SIZE = re.compile(r"([0-9]{1,15})([KM]?)")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_LONGEST = 24
_CENTURY = 100 * 365 * 86400


@attrs.frozen
class Kind(Generic[T]):
    """One kind of value.

    `read` turns a value of the file into a Python value or raises ValueError. The text of an `InvalidValue` is shown as
    it is; any other ValueError is shown as `"value" is not <allowed>`. `show` is the inverse of `read`. `blank` takes
    the place of a value that could not be read, so that the rest of the section can be checked. A `listed` kind reads
    an empty value as an empty list; for all other kinds an empty value means the default.
    """

    allowed: str
    read: Callable[[str], T]
    show: Callable[[T], str]
    blank: T
    secret: bool = False
    listed: bool = False

    def take(self, value: str) -> T:
        """Parse a value.

        :raises InvalidValue: with a text that says what is wrong and what is allowed.
        """
        try:
            return self.read(value)
        except InvalidValue:
            raise
        except ValueError:
            shown = "the value" if self.secret else f'"{value}"'
            raise InvalidValue(f"{shown} is not {self.allowed}") from None


def text(at_most: int = 1024, pattern: str = ".*", allowed: str = "") -> Kind[str]:
    """A text of at most so many characters that matches a regular expression, which `allowed` describes in words."""
    regex = re.compile(pattern, re.DOTALL)

    def read(value: str) -> str:
        if len(value) > at_most:
            raise InvalidValue(f"{len(value)} characters are too many; at most {at_most} are allowed")
        if not regex.fullmatch(value):
            raise ValueError
        return value

    return Kind(allowed or f"text of at most {at_most} characters", read, str, "")


def secret() -> Kind[Secret]:
    """A text that no message shows."""
    return Kind("text", Secret, Secret.reveal, Secret(""), secret=True)


def secret_like(pattern: str, allowed: str) -> Kind[Secret]:
    """A secret of a fixed form, such as a hash."""
    regex = re.compile(pattern)

    def read(value: str) -> Secret:
        if not regex.fullmatch(value):
            raise ValueError
        return Secret(value)

    return Kind(allowed, read, Secret.reveal, Secret(""), secret=True)


_FLAGS = {"yes": True, "no": False}


def flag() -> Kind[bool]:
    """Yes or no."""
    return Kind("yes or no", lambda value: _look_up(_FLAGS, value), lambda value: "yes" if value else "no", False)


def _look_up(table: Mapping[str, T], value: str) -> T:
    if value not in table:
        raise ValueError
    return table[value]


def _bounds(what: str, at_least: float, at_most: float | None, show: Callable[[float], str] = "{:g}".format) -> str:
    return what + (f" of {show(at_least)} or more" if at_most is None else f" from {show(at_least)} to {show(at_most)}")


def _bounded(value: float, at_least: float, at_most: float | None) -> None:
    if value < at_least or (at_most is not None and value > at_most):
        raise ValueError


def integer(at_least: int = 0, at_most: int | None = None) -> Kind[int]:
    """A whole number in decimal digits."""

    def read(value: str) -> int:
        if not _INTEGER.fullmatch(value):
            raise ValueError
        _bounded(int(value), at_least, at_most)
        return int(value)

    return Kind(_bounds("a whole number", at_least, at_most, lambda value: f"{value:.0f}"), read, str, at_least)


def number(at_least: float = 0, at_most: float | None = None) -> Kind[float]:
    """A decimal number."""

    def read(value: str) -> float:
        if not _NUMBER.fullmatch(value) or len(value) > _LONGEST:
            raise ValueError
        _bounded(float(value), at_least, at_most)
        return float(value)

    return Kind(_bounds("a number", at_least, at_most), read, _show_number, at_least)


def _show_number(value: float) -> str:
    return str(int(value)) if value == int(value) else format(decimal.Decimal(repr(value)), "f")


def duration(at_least: float = 0, at_most: float | None = None) -> Kind[float]:
    """A length of time in seconds: `10`, `30s`, `10m`, `24h`, `7d`."""

    def read(value: str) -> float:
        written = _DURATION.fullmatch(value)
        if written is None or len(value) > _LONGEST:
            raise ValueError
        seconds = float(written[1]) * _UNITS.get(written[2], 1)
        if seconds > _CENTURY:
            raise InvalidValue(f'"{value}" is more than a hundred years')
        _bounded(seconds, at_least, at_most)
        return seconds

    allowed = _bounds("a duration such as 10, 30s, 10m, 24h or 7d,", at_least, at_most, show_duration)
    return Kind(allowed, read, show_duration, at_least)


def show_duration(seconds: float) -> str:
    """Write seconds in the largest unit that divides them into a whole number above one."""
    for unit, size in _UNITS.items():
        if seconds % size == 0 and (seconds > size or size == seconds == 1):
            return f"{int(seconds // size)}{unit}"
    return _show_number(seconds)


def never_or(kind: Kind[float]) -> Kind[float | None]:
    """The same as another kind, or the word `never`, which reads as None."""
    return Kind(
        f"never or {kind.allowed}",
        lambda value: None if value == "never" else kind.read(value),
        lambda value: "never" if value is None else kind.show(value),
        None,
    )


def octets(at_least: int = 0, at_most: int | None = None) -> Kind[int]:
    """An amount of memory in octets: `500`, `64K`, `1M` (units of 1024)."""

    def read(value: str) -> int:
        written = _SIZE.fullmatch(value)
        if written is None:
            raise ValueError
        size = int(written[1]) * _SIZES.get(written[2], 1)
        _bounded(size, at_least, at_most)
        return size

    allowed = _bounds("a size such as 500, 64K or 1M,", at_least, at_most, _show_octets)
    return Kind(allowed, read, _show_octets, at_least)


def _show_octets(size: float) -> str:
    for unit, octets_in_unit in _SIZES.items():
        if size and size % octets_in_unit == 0:
            return f"{int(size // octets_in_unit)}{unit}"
    return f"{size:.0f}"


def choice(options: Sequence[str]) -> Kind[str]:
    """One of a few words."""
    table = {option: option for option in options}
    allowed = options[0] if len(options) == 1 else f"one of {', '.join(options)}"
    return Kind(allowed, lambda value: _look_up(table, value), str, options[0])


def split_list(value: str) -> list[str]:
    """Split at the commas and strip the blanks; an empty value has no entries.

    :raises InvalidValue: for an empty entry."""
    entries = [entry.strip() for entry in value.split(",")] if value.strip() else []
    if not all(entries):
        raise InvalidValue("an entry of the list is empty; entries are separated by single commas")
    return entries


def texts(entry: Kind[str] | None = None, at_least: int = 0) -> Kind[tuple[str, ...]]:
    """A comma-separated list of texts, each of the given kind; no entry may come twice."""
    one = entry or text()

    def read(value: str) -> tuple[str, ...]:
        entries = split_list(value)
        for index, item in enumerate(entries):
            one.take(item)
            if item in entries[:index]:
                raise InvalidValue(f'"{item}" comes twice in the list')
        if len(entries) < at_least:
            raise InvalidValue(f"the list is empty; it needs {one.allowed}")
        return tuple(one.take(item) for item in entries)

    return Kind(f"a list of {one.allowed}", read, ", ".join, (), listed=True)


def globs() -> Kind[Globs]:
    """A comma-separated list of patterns with `*` and `?`."""
    return Kind("a list of patterns", lambda value: Globs(tuple(split_list(value))),
                lambda value: ", ".join(value.patterns), Globs(), listed=True)


def networks() -> Kind[AllowList]:
    """`any`, or up to 15 addresses and networks; empty allows no address (004-184)."""
    allowed = f"any, or at most {MOST_NETWORKS} addresses and networks such as 10.0.0.0/8 or ::1"

    def one(entry: str) -> Network:
        try:
            return folded_network(entry)
        except ValueError as why:
            hint = "has address bits behind its prefix" if "host bits" in str(why) else "is not an address or network"
            raise InvalidValue(f'"{entry}" {hint}; allowed: {allowed}') from None

    def read(value: str) -> AllowList:
        if value == "any":
            return AllowList(everyone=True)
        entries = split_list(value)
        if len(entries) > MOST_NETWORKS:
            raise InvalidValue(f"{len(entries)} entries are too many; allowed: {allowed}")
        return AllowList(tuple(one(entry) for entry in entries))

    def show(value: AllowList) -> str:
        return "any" if value.everyone else ", ".join(_show_network(network) for network in value.networks)

    return Kind(allowed, read, show, AllowList(), listed=True)


def _show_network(network: Network) -> str:
    return str(network.network_address if network.num_addresses == 1 else network)


def pairs(left: Kind[str], right: Kind[str]) -> Kind[Mapping[str, str]]:
    """A comma-separated list of `left:right`, as a mapping; the left sides are stored in lower case."""
    allowed = f"a list of A:B, where A is {left.allowed} and B is {right.allowed}"

    def read(value: str) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for entry in split_list(value):
            first, colon, second = (part.strip() for part in entry.rpartition(":"))
            if not colon:
                raise InvalidValue(f'"{entry}" has no colon; allowed: {allowed}')
            known = left.take(first).lower()
            if known in found:
                raise InvalidValue(f'"{first}" comes twice in the list')
            found[known] = right.take(second)
        return found

    return Kind(allowed, read, lambda value: ", ".join(f"{a}:{b}" for a, b in value.items()), {}, listed=True)


def ways(name: Kind[str]) -> Kind[tuple[Way, ...]]:
    """Connector names, each alone or with `:weight`, such as `mts:3, other:1, spare`."""
    weight = integer(1, 1_000_000)

    def read(value: str) -> tuple[Way, ...]:
        found: list[Way] = []
        for entry in split_list(value):
            first, colon, second = (part.strip() for part in entry.partition(":"))
            way = Way(name.take(first), weight.take(second) if colon else 0)
            if any(way.connector == other.connector for other in found):
                raise InvalidValue(f'"{first}" comes twice in the list')
            found.append(way)
        if not found:
            raise InvalidValue("the list is empty; it needs the name of at least one connector")
        return tuple(found)

    def show(value: tuple[Way, ...]) -> str:
        return ", ".join(f"{way.connector}:{way.weight}" if way.weight else way.connector for way in value)

    return Kind("a list of connectors, each alone or with :weight", read, show, (), listed=True)


def timezone() -> Kind[zoneinfo.ZoneInfo]:
    """A time zone by its name in the zone database."""

    def read(value: str) -> zoneinfo.ZoneInfo:
        try:
            return zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, OSError):
            raise ValueError from None

    return Kind("a time zone such as Europe/Moscow or UTC", read, str, zoneinfo.ZoneInfo("UTC"))


def path() -> Kind[pathlib.Path]:
    """A file or directory; a relative one starts at the working directory."""
    return Kind("a path", pathlib.Path, str, pathlib.Path())



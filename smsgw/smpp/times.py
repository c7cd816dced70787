"""The time formats of SMPP: ``YYMMDDhhmmsstnn+`` absolute, ``YYMMDDhhmmss000R`` relative (5.0 section 4.7.23).

An absolute time has tenths of a second and its distance from UTC in quarter hours; its year is in this century. A
relative time counts from the receiver's clock. Message centres of 3.3 and 3.4 also report 12 characters
``YYMMDDhhmmss`` in their local time, without the zone.
"""

from __future__ import annotations

import calendar
import datetime
import re
from typing import Final

_LONG: Final = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d\d)([+\-R])")
_SHORT: Final = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)")
_CENTURY: Final = 2000
_QUARTER: Final = datetime.timedelta(minutes=15)
_MOST_QUARTERS: Final = 48


def read_time(octets: bytes, now: datetime.datetime) -> datetime.datetime | None:
    """Return an absolute or relative time as an aware datetime, or None for an empty one.

    Relative times count from ``now``, which is aware; their tenths and quarters are ignored. Raises ValueError, whose
    text names the fault.
    """
    if not octets:
        return None
    if not octets.endswith(b"R"):
        return _absolute(octets)
    years, months, days, hours, minutes, seconds, _, _ = _numbers(octets)
    try:
        return _later(now, years, months) + datetime.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError(f"{octets!r} is too far away") from None


def read_reported(octets: bytes, zone: datetime.tzinfo) -> datetime.datetime | None:
    """Return a time reported by a message centre: absolute, or 12 characters in ``zone``; None if empty.

    Raises ValueError, whose text names the fault, also for a relative time.
    """
    if not octets:
        return None
    parts = _SHORT.fullmatch(octets)
    if parts is None:
        return _absolute(octets)
    return _moment(octets, [int(part) for part in parts.groups()], 0, zone)


def write_absolute(moment: datetime.datetime) -> bytes:
    """Write an aware datetime with tenths, in its own zone, or in UTC if its offset is not whole quarter hours.

    Raises ValueError for a naive datetime or a year outside this century.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("a time without a zone has no absolute form")
    quarters, odd = divmod(offset, _QUARTER)
    if odd or abs(quarters) > _MOST_QUARTERS:
        moment, quarters = moment.astimezone(datetime.UTC), 0
    if moment.year // 100 != _CENTURY // 100:
        raise ValueError(f"the year {moment.year} has no absolute form")
    sign = "-" if quarters < 0 else "+"
    tenths = moment.microsecond // 100_000
    return f"{moment:%y%m%d%H%M%S}{tenths}{abs(quarters):02d}{sign}".encode("ascii")


def _absolute(octets: bytes) -> datetime.datetime:
    *parts, tenths, quarters = _numbers(octets)
    if octets.endswith(b"R"):
        raise ValueError(f"{octets!r} is relative")
    if quarters > _MOST_QUARTERS:
        raise ValueError(f"{octets!r} is {quarters} quarter hours from UTC, more than {_MOST_QUARTERS}")
    offset = quarters * (_QUARTER if octets.endswith(b"+") else -_QUARTER)
    return _moment(octets, parts, tenths, datetime.timezone(offset))


def _numbers(octets: bytes) -> list[int]:
    parts = _LONG.fullmatch(octets)
    if parts is None:
        raise ValueError(f"{octets!r} is not of the form YYMMDDhhmmsstnn and +, - or R")
    return [int(part) for part in parts.groups()[:8]]


def _moment(octets: bytes, parts: list[int], tenths: int, zone: datetime.tzinfo) -> datetime.datetime:
    years, months, days, hours, minutes, seconds = parts
    try:
        return datetime.datetime(_CENTURY + years, months, days, hours, minutes, seconds, tenths * 100_000, tzinfo=zone)
    except ValueError as wrong:
        raise ValueError(f"{octets!r}: {wrong}") from None


def _later(now: datetime.datetime, years: int, months: int) -> datetime.datetime:
    """Return the same day of a later month, or the last day of that month if it is shorter."""
    month = now.month - 1 + months
    year, month = now.year + years + month // 12, month % 12 + 1
    if year > datetime.MAXYEAR:
        raise ValueError(f"{years} years and {months} months are too far away")
    return now.replace(year=year, month=month, day=min(now.day, calendar.monthrange(year, month)[1]))

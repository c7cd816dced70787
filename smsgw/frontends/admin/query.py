"""Parses the queries of the admin listener."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from twisted.web.server import Request

from smsgw.frontends.admin import views
from smsgw.model.lifecycle import State
from smsgw.protocols.http.jsonresource import query

LIMIT: Final = 50
"""Rows of a list by default."""

MOST: Final = 1000
"""The most rows of a list."""

_YES: Final = {"1": True, "yes": True, "0": False, "no": False, "": False}


class BadQuery(ValueError):
    """The query of a request is invalid; the text gives the reason."""


@attrs.frozen
class Query:
    """The query of a list or a message.

    :ivar account: None for all accounts. :ivar states: empty for all states.
    :ivar before: only smaller ids; 0 from the newest on. :ivar after: only events after this message id and kind.
    :ivar text: whether to show texts and whole numbers.
    """

    account: str | None
    states: Sequence[State]
    before: int
    after: tuple[int, int]
    limit: int
    text: bool

    @classmethod
    def read(cls, request: Request, *names: str) -> Query:
        """Parse the query of a request, which may have `names`.

        :raises BadQuery: with the fault.
        """
        try:
            given = query(request)
            unknown = sorted(given.keys() - set(names))
            if unknown:
                raise ValueError(f"{unknown[0]!r} is unknown here; allowed: {', '.join(names)}")
            return cls(
                given.get("account") or None,
                views.states(given.get("state", "")),
                _number("before", given.get("before", "0"), 0, 10**18 - 1),
                _event("after", given.get("after", "0.0")),
                _number("limit", given.get("limit", str(LIMIT)), 1, MOST),
                _flag("text", given.get("text", "")),
            )
        except ValueError as error:
            raise BadQuery(str(error)) from error


def _number(name: str, value: str, least: int, most: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 18 and least <= int(value) <= most):
        raise ValueError(f"{name}: {value!r} is not a number from {least} to {most}")
    return int(value)


def _event(name: str, value: str) -> tuple[int, int]:
    """Parse the message id and kind of an event, such as ``12.2``."""
    id, _, kind = value.partition(".")
    return _number(name, id, 0, 10**18 - 1), _number(name, kind, 0, 9)


def _flag(name: str, value: str) -> bool:
    if value not in _YES:
        raise ValueError(f"{name}: {value!r} is neither 1 nor 0")
    return _YES[value]

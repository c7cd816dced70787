"""Parses the request bodies of the admin listener."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from smsgw.model.message import Incoming, IncomingKind
from smsgw.protocols.http.strictjson import BadJson, is_integer, strict_json

LONGEST_TEXT: Final = 10_000
"""The most characters of a simulated text."""

MOST_IDS: Final = 1000
"""The most message ids in one request."""

_NUMBER: Final = re.compile(r"\+?[0-9]{3,15}")
_SENDER: Final = re.compile(r"[ -~]{1,20}")
_KEYS: Final = re.compile(r"[0-9*#]{1,100}")
_MOST_ID: Final = 10**18 - 1
_A_DAY: Final = 86_400

_FIELDS: Final[Mapping[str, tuple[IncomingKind, frozenset[str]]]] = {
    "message": (IncomingKind.MESSAGE, frozenset({"from", "to", "text", "answers"})),
    "call": (IncomingKind.CALL, frozenset({"from", "to", "seconds"})),
    "keys": (IncomingKind.KEYS, frozenset({"answers", "keys", "seconds"})),
}
"""The fields of each kind of simulated event."""


class BadBody(ValueError):
    """The body of a request is invalid; the text gives the reason."""


@attrs.frozen
class ReplayWish:
    """The dead letters to replay. :ivar account: None for all accounts. :ivar ids: of messages; empty for all."""

    account: str | None
    ids: Sequence[int]


def read_replay(octets: bytes) -> ReplayWish:
    """Parse ``{"ids": [7, 8]}`` or ``{"all": true}``, either optionally with ``"account"``.

    :raises BadBody: with the fault.
    """
    given = _object(octets, frozenset({"ids", "all", "account"}))
    ids, everything, account = given.get("ids"), given.get("all", False), given.get("account")
    if not isinstance(everything, bool) or everything == (ids is not None):
        raise BadBody('either "ids" or "all": true is needed')
    if account is not None and not isinstance(account, str):
        raise BadBody('"account" is the name of one')
    if ids is None:
        return ReplayWish(account, ())
    if not isinstance(ids, list) or not 1 <= len(ids) <= MOST_IDS:
        raise BadBody(f'"ids" is a list of 1 to {MOST_IDS} message ids')
    return ReplayWish(account, [_integer("ids", id, 1, _MOST_ID) for id in ids])


def read_incoming(octets: bytes) -> tuple[str, Incoming]:
    """Parse the connector (empty: any) and the event to simulate: ``{"kind": "message", "from": ..., "to": ..., "text":
    ...}``, ``{"kind": "call", "from": ..., "to": ...}`` or ``{"kind": "keys", "answers": 7, "keys": "12"}``.

    :raises BadBody: with the fault.
    """
    given = _object(octets)
    word = given.pop("kind", None)
    if word not in _FIELDS:
        raise BadBody(f'"kind" is one of {", ".join(_FIELDS)}')
    kind, fields = _FIELDS[word]
    connector = given.pop("connector", "")
    if not isinstance(connector, str):
        raise BadBody('"connector" is the name of one')
    _check_names(given, fields)
    source = _text(given, "from", _NUMBER, "a number of 3 to 15 digits") if "from" in fields else ""
    destination = _text(given, "to", _SENDER, "a number of ours") if "to" in fields else ""
    text = ""
    if kind is IncomingKind.MESSAGE:
        text = given.get("text", "")
        if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_TEXT:
            raise BadBody(f'"text" is a text of 1 to {LONGEST_TEXT} characters')
    elif kind is IncomingKind.KEYS:
        text = _text(given, "keys", _KEYS, "1 to 100 of the keys 0 to 9, * and #")
    answers = _integer("answers", given.get("answers", 0), int(kind is IncomingKind.KEYS), _MOST_ID)
    seconds = _integer("seconds", given.get("seconds", 0), 0, _A_DAY)
    return connector, Incoming(0, "", "", kind, "", source, destination, text, 0.0, answers, seconds)


def _object(octets: bytes, fields: frozenset[str] | None = None) -> dict[str, Any]:
    try:
        value = strict_json(octets)
    except BadJson as error:
        raise BadBody(str(error)) from error
    if not isinstance(value, dict):
        raise BadBody("a JSON object is needed")
    if fields is not None:
        _check_names(value, fields)
    return value


def _check_names(given: Mapping[str, Any], fields: frozenset[str]) -> None:
    unknown = sorted(given.keys() - fields)
    if unknown:
        raise BadBody(f"{unknown[0]!r} is unknown here; allowed: {', '.join(sorted(fields))}")


def _text(given: Mapping[str, Any], name: str, pattern: re.Pattern[str], what: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadBody(f'"{name}" is {what}')
    return value


def _integer(name: str, value: object, least: int, most: int) -> int:
    if not is_integer(value) or not least <= value <= most:  # type: ignore[operator]
        raise BadBody(f'"{name}" is a number from {least} to {most}')
    return value  # type: ignore[return-value]

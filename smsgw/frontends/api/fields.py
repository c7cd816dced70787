"""What a client of the native HTTP API writes: read from JSON and from queries, and refused field by field. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from smsgw.interfaces import Wanted
from smsgw.model.content import Labels
from smsgw.model.lifecycle import State
from smsgw.model.message import Options, Submission
from smsgw.protocols.http.strictjson import compact, is_integer

MOST_MESSAGES: Final = 100
"""Messages in one request."""

MOST_LISTED: Final = 1000
"""Messages in one page."""

LONGEST_VALIDITY: Final = 30 * 86_400
"""Seconds that a message may be valid."""

STATES: Final[Mapping[str, State]] = {state.word: state for state in State}
"""The states by the words of the API."""

_ENCODINGS: Final = {"auto": "", "gsm": "gsm", "ucs2": "ucs2"}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)")
_KEY: Final = re.compile(r"[!-~]{1,128}")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


@attrs.frozen
class Wrong:
    """What is wrong with one field: where it stands (a JSON pointer, or the name in a query) and why."""

    pointer: str
    detail: str


class BadFields(ValueError):
    """Something a client wrote cannot be used. :ivar errors: each thing that is wrong."""

    def __init__(self, *errors: Wrong) -> None:
        super().__init__("; ".join(f"{one.pointer}: {one.detail}" for one in errors))
        self.errors = errors


def moment(text: str) -> float:
    """Seconds since 1970 of a time as RFC 3339 writes it.

    :raises ValueError: it is none.
    """
    if not _TIME.fullmatch(text):
        raise ValueError("a time as in 2026-11-21T10:00:00Z or with an offset such as +03:00")
    try:
        at = datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("not a time that there is") from None
    if at <= 0:
        raise ValueError("a time before 1970")
    return at


def _text(value: object, least: int, most: int) -> str:
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise ValueError(f"a text of {least} to {most} characters")
    return value


def _whole(value: object, least: int, most: int) -> int:
    if not is_integer(value) or not least <= value <= most:  # type: ignore[operator]
        raise ValueError(f"a whole number from {least} to {most}")
    return value  # type: ignore[return-value]


def _time(value: object) -> float:
    if not isinstance(value, str):
        raise ValueError("a text with a time as in 2026-11-21T10:00:00Z")
    return moment(value)


def _number(value: object) -> str:
    """A phone number, as text or as a number."""
    if is_integer(value):
        value = str(value)
    return _text(value, 1, 30)


def _encoding(value: object) -> str:
    if not isinstance(value, str) or value not in _ENCODINGS:
        raise ValueError(f"one of {', '.join(_ENCODINGS)}")
    return _ENCODINGS[value]


def key(value: object) -> str:
    """An idempotency key.

    :raises ValueError: it is none.
    """
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ValueError("1 to 128 visible ASCII characters")
    return value


FIELDS: Final[Mapping[str, Callable[[object], Any]]] = {
    "to": _number,
    "text": lambda value: _text(value, 1, 40_000),
    "from": lambda value: _text(value, 0, 20),
    "callback": lambda value: _text(value, 0, 2048),
    "reference": lambda value: _text(value, 0, 255),
    "comment": lambda value: _text(value, 0, 1000),
    "idempotency_key": key,
    "validity": lambda value: _whole(value, 1, LONGEST_VALIDITY),
    "valid_until": _time,
    "send_at": _time,
    "priority": lambda value: _whole(value, 0, 3),
    "encoding": _encoding,
}
"""The fields of a message, and how each is read."""

_NEEDED: Final = ("to", "text")


@attrs.frozen
class Written:
    """One message as a client wrote it, checked by itself."""

    values: Mapping[str, Any]

    def submission(self, account: str, listener: str, now: float, request_key: str, digest: bytes) -> Submission:
        """What intake takes.

        :param request_key: of the whole request, used where the message has none of its own.
        """
        get = self.values.get
        labels = Labels(get("callback", ""), get("reference", ""), get("comment", ""))
        own = get("idempotency_key", "")
        used = f"http-own:{own}" if own else request_key
        if own:
            digest = hashlib.sha256(compact(dict(self.values))).digest()
        encoding = get("encoding", "")
        options = None
        if encoding or used or labels != _NO_LABELS:
            options = Options(encoding, used, digest if used else b"", None if labels == _NO_LABELS else labels)
        schedule = get("send_at", 0.0)
        expires = get("valid_until", 0.0)
        if get("validity"):
            expires = max(schedule, now) + get("validity")
        return Submission(
            account,
            "",
            get("from", ""),
            (self.values["to"],),
            self.values["text"],
            priority=get("priority", 0),
            schedule=schedule,
            expires=expires,
            options=options,
            login=account,
            listener=listener,
        )


_NO_LABELS: Final = Labels()


def read_message(value: object, pointer: str = "") -> Written:
    """One message.

    :raises BadFields: everything that is wrong with it.
    """
    if not isinstance(value, dict):
        raise BadFields(Wrong(pointer, "a message is an object"))
    errors = []
    read: dict[str, Any] = {}
    for name, given in value.items():
        reader = FIELDS.get(name)
        if reader is None:
            errors.append(Wrong(f"{pointer}/{_escaped(name)}", f"unknown; a message has {', '.join(FIELDS)}"))
            continue
        try:
            read[name] = reader(given)
        except ValueError as error:
            errors.append(Wrong(f"{pointer}/{name}", str(error)))
    errors += [Wrong(f"{pointer}/{name}", "missing") for name in _NEEDED if name not in value]
    if "validity" in read and "valid_until" in read:
        errors.append(Wrong(f"{pointer}/validity", "given beside valid_until"))
    if errors:
        raise BadFields(*errors)
    return Written(read)


def _escaped(name: str) -> str:
    """A step of a JSON pointer (RFC 6901), of a key that a client made up."""
    return name[:64].replace("~", "~0").replace("/", "~1")


# Queries of lists


def read_wanted(given: Mapping[str, str]) -> Wanted:
    """Which messages a list is to show.

    :raises BadFields: what is wrong with the query.
    """
    errors: list[Wrong] = []

    def read(name: str, reader: Callable[[str], Any], default: Any) -> Any:
        if name not in given:
            return default
        try:
            return reader(given[name])
        except ValueError as error:
            errors.append(Wrong(name, str(error)))
            return default

    wanted = Wanted(
        read("state", _states, ()),
        read("to", _digits, ""),
        read("since", moment, 0.0),
        read("until", moment, 0.0),
        read("comment", lambda text: _text(text, 1, 1000), ""),
        read("reference", lambda text: _text(text, 1, 255), ""),
    )
    if errors:
        raise BadFields(*errors)
    return wanted


def _states(text: str) -> tuple[State, ...]:
    words = text.split(",")
    unknown = [word for word in words if word not in STATES]
    if unknown:
        raise ValueError(f"words of {', '.join(STATES)}, with commas between")
    return tuple(STATES[word] for word in words)


def _digits(text: str) -> str:
    if not re.fullmatch(r"\+?[0-9]{1,15}", text):
        raise ValueError("a number in international form")
    return text.removeprefix("+")


def read_page(given: Mapping[str, str], allowed: frozenset[str]) -> tuple[int, int]:
    """The cursor (0: from the newest) and the length of a page.

    :raises BadFields: what is wrong with the query, names that are not allowed too.
    """
    unknown = sorted(given.keys() - allowed)
    errors = [Wrong(name[:64], f"unknown; there are {', '.join(sorted(allowed))}") for name in unknown]
    values = {"cursor": 0, "limit": 100}
    for name, most in (("cursor", 10**18 - 1), ("limit", MOST_LISTED)):
        if name in given:
            text = given[name]
            if _NUMBER.fullmatch(text) and 1 <= int(text) <= most:
                values[name] = int(text)
            else:
                errors.append(Wrong(name, f"a number from 1 to {most}"))
    if errors:
        raise BadFields(*errors)
    return values["cursor"], values["limit"]

"""Parses and checks the fields of requests to the native HTTP API, from JSON and queries. Pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from smsgw.interfaces import MessageFilter
from smsgw.model.content import Labels
from smsgw.model.lifecycle import State
from smsgw.model.message import Options, Submission
from smsgw.protocols.http.strictjson import compact, is_integer
from smsgw.text.coding import find_control

MOST_MESSAGES: Final = 100
"""The most messages in one request."""

MOST_LISTED: Final = 1000
"""The most messages in one page."""

LONGEST_VALIDITY: Final = 30 * 86_400
"""The longest validity period in seconds."""

STATES: Final[Mapping[str, State]] = {state.word: state for state in State}
"""The states by the words of the API."""

_ENCODINGS: Final = {"auto": "", "gsm": "gsm", "ucs2": "ucs2"}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)")
_KEY: Final = re.compile(r"[!-~]{1,128}")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


@attrs.frozen
class Wrong:
    """The fault of one field: its place (a JSON pointer, or the name in a query) and the reason."""

    pointer: str
    detail: str


class BadFields(ValueError):
    """A request has invalid fields.

    :ivar errors: every fault. :ivar read: the fields that could be read; None if there is nothing to read.
    """

    def __init__(self, *errors: Wrong, read: Mapping[str, Any] | None = None) -> None:
        super().__init__("; ".join(f"{one.pointer}: {one.detail}" for one in errors))
        self.errors = errors
        self.read = read


def moment(text: str) -> float:
    """Parse a time of RFC 3339; return seconds since 1970.

    :raises ValueError: if it is invalid.
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


def _written(value: object, least: int, most: int) -> str:
    """Parse a text that people have written."""
    text = _text(value, least, most)
    place = find_control(text)
    if place >= 0:
        raise ValueError(
            f"character {place + 1} is the control character U+{ord(text[place]):04X}; allowed are tab, LF, FF and CR"
        )
    return text


def _reference(value: object) -> str:
    """Parse a reference, which is one line."""
    text = _text(value, 0, 255)
    place = next((place for place, character in enumerate(text) if unicodedata.category(character) == "Cc"), -1)
    if place >= 0:
        raise ValueError(f"character {place + 1} is the control character U+{ord(text[place]):04X}; none is allowed")
    return text


def _whole(value: object, least: int, most: int) -> int:
    if not is_integer(value) or not least <= value <= most:  # type: ignore[operator]
        raise ValueError(f"a whole number from {least} to {most}")
    return value  # type: ignore[return-value]


def _time(value: object) -> float:
    if not isinstance(value, str):
        raise ValueError("a text with a time as in 2026-11-21T10:00:00Z")
    return moment(value)


def _number(value: object) -> str:
    """Parse a phone number, given as text or as a number."""
    if is_integer(value):
        value = str(value)
    return _text(value, 1, 30)


def _encoding(value: object) -> str:
    if not isinstance(value, str) or value not in _ENCODINGS:
        raise ValueError(f"one of {', '.join(_ENCODINGS)}")
    return _ENCODINGS[value]


def key(value: object) -> str:
    """Check an idempotency key.

    :raises ValueError: if it is invalid.
    """
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ValueError("1 to 128 visible ASCII characters")
    return value


FIELDS: Final[Mapping[str, Callable[[object], Any]]] = {
    "to": _number,
    "text": lambda value: _written(value, 1, 40_000),
    "from": lambda value: _text(value, 0, 20),
    "callback": lambda value: _text(value, 0, 2048),
    "reference": _reference,
    "comment": lambda value: _written(value, 0, 1000),
    "idempotency_key": key,
    "validity": lambda value: _whole(value, 1, LONGEST_VALIDITY),
    "valid_until": _time,
    "send_at": _time,
    "priority": lambda value: _whole(value, 0, 3),
    "encoding": _encoding,
}
"""The fields of a message, and the function that parses each."""

_NEEDED: Final = ("to", "text")


@attrs.frozen
class Written:
    """The checked fields of one message in a request."""

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
    """Parse one message.

    :raises BadFields: with every fault.
    """
    if not isinstance(value, dict):
        raise BadFields(Wrong(pointer, "a message is an object"))
    errors = []
    read: dict[str, Any] = {}
    for name, given in value.items():
        reader = FIELDS.get(name)
        if reader is None:
            errors.append(Wrong(f"{pointer}/{escaped(name)}", f"unknown; a message has {', '.join(FIELDS)}"))
            continue
        try:
            read[name] = reader(given)
        except ValueError as error:
            errors.append(Wrong(f"{pointer}/{name}", str(error)))
    errors += [Wrong(f"{pointer}/{name}", "missing") for name in _NEEDED if name not in value]
    if "validity" in read and "valid_until" in read:
        errors.append(Wrong(f"{pointer}/validity", "given beside valid_until"))
    if errors:
        raise BadFields(*errors, read=read)
    return Written(read)


def escaped(name: str) -> str:
    """Escape a key of a client for a JSON pointer (RFC 6901)."""
    return name[:64].replace("~", "~0").replace("/", "~1")


# Queries of lists

PAGE: Final = frozenset({"cursor", "limit"})
_LIST: Final = PAGE | {"state", "to", "since", "until", "comment", "reference"}


def read_wanted(given: Mapping[str, str]) -> MessageFilter:
    """Parse the query of a list of messages.

    :raises BadFields: with every fault of the query.
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

    wanted = MessageFilter(
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


def read_list(given: Mapping[str, str]) -> tuple[MessageFilter, int, int]:
    """Parse the whole query of a list of messages: filter, cursor, length of the page.

    :raises BadFields: with every fault of the query.
    """
    errors: list[Wrong] = []
    cursor = limit = 0
    wanted = MessageFilter()
    try:
        cursor, limit = read_page(given, _LIST)
    except BadFields as bad:
        errors += bad.errors
    try:
        wanted = read_wanted(given)
    except BadFields as bad:
        errors += bad.errors
    if errors:
        raise BadFields(*errors)
    return wanted, cursor, limit


def read_page(given: Mapping[str, str], allowed: frozenset[str] = PAGE) -> tuple[int, int]:
    """Parse the cursor (0: from the newest on) and the length of a page.

    :raises BadFields: with every fault of the query, also for names that are not allowed.
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

"""Templates of requests to an upstream, and the locations of values in its answers. Pure.

The value of a placeholder is percent-encoded in addresses and forms, and a JSON string in JSON. A value of a message is
never parsed as part of a template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote

import attrs

from smsgw.config import InvalidValue
from smsgw.config.types import Kind
from smsgw.interfaces import WebhookRequest
from smsgw.protocols.http.strictjson import BadJson, strict_json

NAMES: Final = ("to", "from", "text", "uid", "id")
"""The placeholders: recipient (digits), sender, text, the gateway's id of the attempt, the upstream's id."""

_FIELD: Final = re.compile(r"\{([a-z_]*)(:int)?\}")
_SEARCHED: Final = 64 * 1024
"""Octets of a body that a pattern searches."""

Values = Mapping[str, str]


@attrs.frozen
class Template:
    """A text with placeholders; `pieces` alternate between literal text and names."""

    source: str
    pieces: tuple[str, ...]

    def fill(self, values: Values, encode: Callable[[str], str]) -> str:
        """The text with the values, each encoded."""
        return "".join(
            encode(values[piece]) if place % 2 else piece for place, piece in enumerate(self.pieces)
        )


def _template(text: str) -> Template:
    pieces: list[str] = []
    at = 0
    for found in _FIELD.finditer(text):
        if found[1] not in NAMES or found[2]:
            raise InvalidValue(f'"{found[0]}": in braces may stand {", ".join(NAMES)}')
        pieces += (text[at : found.start()], found[1])
        at = found.end()
    pieces.append(text[at:])
    return Template(text, tuple(pieces))


TEMPLATE: Final = Kind("a text with {to}, {from}, {text} ...", _template, lambda one: one.source, Template("", ("",)))
"""An address or a form, with placeholders."""


@attrs.frozen
class JsonTemplate:
    """A JSON value with placeholders inside its strings; a string that is just ``{to:int}`` becomes a number."""

    source: str
    value: Any = None

    def fill(self, values: Values) -> bytes:
        """The document with the values.

        :raises ValueError: a value that must be a number is not one.
        """
        return json.dumps(_filled(self.value, values), ensure_ascii=False, separators=(",", ":")).encode()


def _filled(value: Any, values: Values) -> Any:
    if isinstance(value, Template):
        return value.fill(values, str)
    if isinstance(value, _Number):
        return int(values[value.name])
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return value


@attrs.frozen
class _Number:
    name: str


def _json_template(text: str) -> JsonTemplate:
    if not text:
        return JsonTemplate("")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidValue(f"not JSON: {error}") from None
    return JsonTemplate(text, _prepared(value))


def _prepared(value: Any) -> Any:
    if isinstance(value, str):
        whole = _FIELD.fullmatch(value)
        if whole is not None and whole[2]:
            if whole[1] not in NAMES:
                raise InvalidValue(f'"{value}": in braces may stand {", ".join(NAMES)}')
            return _Number(whole[1])
        return _template(value)
    if isinstance(value, dict):
        return {key: _prepared(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_prepared(item) for item in value]
    return value


JSON: Final = Kind("a JSON document with {to}, {from}, {text} ...", _json_template, lambda one: one.source,
                   JsonTemplate(""))  # fmt: skip
"""A JSON body, with placeholders."""


def percent_encoder(charset: str) -> Callable[[str], str]:
    """A function that encodes a value for an address or a form in `charset`; ``?`` replaces unknown characters."""

    def encode(value: str) -> str:
        return quote(value, safe="", encoding=charset, errors="replace")

    return encode


# Locations of values in a response or a webhook


@attrs.frozen
class Location:
    """The location of a value: `kind` is json, regex, header, query or form, `name` the path, pattern or name there; an
    empty kind: there is no value."""

    kind: str = ""
    name: str = ""

    def __bool__(self) -> bool:
        return bool(self.kind)


def _location(text: str) -> Location:
    if not text:
        return Location()
    kind, _, name = text.partition(":")
    if kind not in ("json", "regex", "header", "query", "form") or not name:
        raise InvalidValue(f'"{text}" is not json:path, regex:pattern, header:name, query:name or form:name')
    if kind == "regex":
        try:
            if re.compile(name).groups != 1:
                raise InvalidValue(f'"{name}": a pattern has one group, which is the value')
        except re.error as error:
            raise InvalidValue(f'"{name}": {error}') from None
    return Location(kind, name)


LOCATION: Final = Kind(
    "json:path, regex:pattern, header:name, query:name or form:name", _location,
    lambda one: f"{one.kind}:{one.name}" if one else "", Location(),
)  # fmt: skip
"""The location of a value."""


@attrs.frozen
class HttpData:
    """An HTTP response or a webhook of an upstream, from which values are read.

    :ivar headers: by lower-case name.
    """

    headers: Mapping[str, str]
    body: bytes
    query: str = ""
    charset: str = "utf-8"

    @classmethod
    def of(cls, webhook: WebhookRequest, charset: str) -> HttpData:
        """The data of a webhook."""
        return cls(webhook.headers, webhook.body, webhook.query, charset)

    def value(self, where: Location) -> str:
        """The value at a location as text; empty if there is none or the body has another format."""
        return _READERS[where.kind](self, where.name) if where else ""


def _at_path(data: HttpData, name: str) -> str:
    try:
        value = strict_json(data.body)
    except BadJson:
        return ""
    for step in name.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float | str) else ""


def _by_pattern(data: HttpData, name: str) -> str:
    found = re.search(name, data.body[:_SEARCHED].decode(data.charset, "replace"))
    return found[1] or "" if found is not None else ""


def _pairs(octets: str, data: HttpData, name: str) -> str:
    try:
        pairs = parse_qsl(octets, keep_blank_values=True, encoding=data.charset, errors="replace", max_num_fields=200)
    except ValueError:
        return ""
    return next((value for key, value in pairs if key == name), "")


_READERS: Final[Mapping[str, Callable[[HttpData, str], str]]] = {
    "json": _at_path,
    "regex": _by_pattern,
    "header": lambda data, name: data.headers.get(name.lower(), ""),
    "query": lambda data, name: _pairs(data.query, data, name),
    "form": lambda data, name: _pairs(data.body.decode("ascii", "replace"), data, name),
}

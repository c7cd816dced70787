"""The dialect ``smsc``: the callbacks of smsc.ru (provider document 002)."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import md5, sha1
from typing import Final, Literal
from urllib.parse import quote_plus, unquote_plus
from xml.sax.saxutils import escape

import attrs

from smsgw.dialects.manners import CallbackContext, CallbackManner, CallbackRequest, Dialect
from smsgw.model.callbackurl import place_of
from smsgw.model.errorcodes import ASSUMED, ErrorCode
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, IncomingKind, Message

STATUSES: Final[Mapping[State, int]] = {
    State.SCHEDULED: -1,
    State.QUEUED: -1,
    State.ENROUTE: 0,
    State.DELIVERED: 1,
    State.EXPIRED: 3,
    State.CANCELLED: -2,
    State.UNDELIVERABLE: 20,
    State.REJECTED: 20,
    State.REFUSED: 23,
    State.NO_MONEY: 24,
    State.FAILED: 20,
    State.UNKNOWN: 20,
}
"""The status of each state (002-131)."""

STATUSES_BY_ERROR: Final[Mapping[tuple[State, int], int]] = {
    (State.REFUSED, ErrorCode.BAD_NUMBER): 22,
    (State.REFUSED, ErrorCode.NO_ROUTE): 25,
    (State.UNDELIVERABLE, ErrorCode.NO_ROUTE): 25,
}
"""Other statuses, for a state with an error code."""

DIGESTS: Final[frozenset[str]] = frozenset({"md5", "sha1", "crc32"})
"""The parameters of a handler's address whose value, a secret, is replaced by a hash (002-116)."""

CHARSETS: Final[Mapping[str, str]] = {"windows-1251": "cp1251", "utf-8": "utf-8", "koi8-r": "koi8-r"}
"""The charsets that a handler may choose, with Python's names (002-108, 002-109)."""

FORMS: Final[Mapping[str, Literal["xml", "json"]]] = {"2": "xml", "3": "json"}
"""The formats that `fmt` chooses (002-111, 002-112)."""

_SECRET: Final = re.compile(r"[A-Za-z0-9_-]+")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Value = int | str


def status(state: State, error: int) -> int:
    """Return the status of a message in `state` with the error code `error`."""
    return STATUSES_BY_ERROR.get((state, error), STATUSES[state])


# The options inside a handler's address


@attrs.frozen
class Parameter:
    """One parameter of an address: its name, its value as text, both as written, and the hash that replaces the value
    (empty: none)."""

    name: str
    value: str
    written: str
    digest: str = ""


@attrs.frozen
class Handler:
    """A handler's address, parsed as smsc.ru does (provider document 002.2).

    :ivar url: the address without the parameters. :ivar query: the parameters that stay in the address (002-115).
    :ivar body: the parameters that go into the body (002-114).
    :ivar charset: Python's name of the charset of the values. :ivar form: the format of the body.
    """

    url: str
    query: tuple[Parameter, ...]
    body: tuple[Parameter, ...]
    charset: str
    form: Literal["form", "xml", "json"]


def read_handler(url: str) -> Handler:
    """Parse the options inside a handler's address.

    Without ``!`` all parameters after ``?`` go into the body; with ``!`` those between ``!`` and ``?`` stay in the
    address. A charset of koi8-r is ignored if there is a `fmt` (002-113).

    :raises ValueError: for a bad address, a secret with other characters than Latin letters, digits, minus and
        underscore (002-122), and an unknown `charset` or `fmt`.
    """
    place_of(url)
    head, _, behind = url.partition("?")
    base, mark, query = head.partition("!")
    kept = _read(query) if mark else ()
    body = _read(behind)
    charset = "cp1251"
    form: Literal["form", "xml", "json"] = "form"
    for one in (*kept, *body):
        if one.name == "fmt":
            if one.value not in FORMS:
                raise ValueError("fmt: 2 (XML) or 3 (JSON); without fmt the body has form fields")
            form = FORMS[one.value]
    for one in (*kept, *body):
        if one.name == "charset":
            named = one.value.lower()
            if named not in CHARSETS:
                raise ValueError(f"charset: one of {', '.join(CHARSETS)}")
            if form == "form" or named != "koi8-r":
                charset = CHARSETS[named]
    if form == "xml":
        for one in body:
            if not _NAME.fullmatch(one.name):
                raise ValueError(f"parameter {one.name!r}: not a name that XML allows")
    return Handler(base, kept, body, charset, form)


def _read(text: str) -> tuple[Parameter, ...]:
    parameters = []
    for written in filter(None, text.split("&")):
        name, _, value = written.partition("=")
        name, value = unquote_plus(name), unquote_plus(value)
        digest = name if name in DIGESTS else ""
        if digest and not _SECRET.fullmatch(value):
            raise ValueError(f"{digest}: a secret has Latin letters, digits, minus and underscore")
        parameters.append(Parameter(name, value, written, digest))
    return tuple(parameters)


_handler = lru_cache(1024)(read_handler)


# The request


def write_callback(url: str, event: Event, context: CallbackContext) -> CallbackRequest:
    """Return POST with a status, an incoming message, a call or the keys of a voice menu (002-104..134)."""
    handler = _handler(url)
    message = event.message
    moment = datetime.fromtimestamp(event.at, context.zone).strftime("%d.%m.%Y %H:%M:%S")
    when: dict[str, Value] = {"time": moment, "ts": int(event.at)}
    values: dict[str, Value]
    signed: tuple[str, ...]
    if isinstance(message, Message):
        error = event.error or ASSUMED.get(event.state, 0)
        values = {"id": message.id, "phone": message.recipient, "status": status(event.state, error), **when}
        values |= {"err": error, "cnt": message.parts, "type": 0, "flag": 0, "sender": message.content.sender}
        signed = ("id", "phone", "status")
    elif message.kind is IncomingKind.MESSAGE:
        values = {"id": message.id, "phone": message.sender, "mes": message.text, "to": message.recipient, **when}
        if message.answers:
            values["sms_id"] = message.answers
        signed = ("phone", "mes", "to")
    elif message.kind is IncomingKind.CALL:
        values = {"phone": message.sender, "waitcall": message.recipient, **when}
        signed = ("phone", "ts")
    else:
        values = {"id": message.answers, "phone": message.sender, "status": STATUSES[State.DELIVERED], **when}
        values |= {"err": 0, "cnt": message.seconds, "type": 0, "flag": 0}
        values |= {"key": message.text, "duration": message.seconds}
        signed = ("id", "phone", "status")
    base = ":".join(str(values[name]) for name in signed).encode(handler.charset, "replace")
    body, kind = _WRITERS[handler.form](values, handler, base)
    to = handler.url
    if handler.query:
        to += "?" + "&".join(_echoed(one, base) for one in handler.query)
    return CallbackRequest(b"POST", to, [(b"Content-Type", kind)], body)


def digest(kind: str, base: bytes, secret: str) -> str:
    """Return the hash that replaces a secret: md5 and sha1 in lower-case hex (002-120), crc32 in decimal."""
    octets = base + b":" + secret.encode("ascii")
    if kind == "crc32":
        return str(zlib.crc32(octets))
    hashed = md5 if kind == "md5" else sha1
    return hashed(octets, usedforsecurity=False).hexdigest()


def _shown(one: Parameter, base: bytes) -> str:
    return digest(one.digest, base, one.value) if one.digest else one.value


def _echoed(one: Parameter, base: bytes) -> str:
    """Return a parameter of the URL unchanged, or the hash that replaces a secret (002-116)."""
    return f"{one.digest}={_shown(one, base)}" if one.digest else one.written


def _as_form(values: Mapping[str, Value], handler: Handler, base: bytes) -> tuple[bytes, bytes]:
    """Return the form fields: the standard ones, the hashes, the other parameters of the URL (002-110)."""
    charset = handler.charset
    pairs = [f"{name}={quote_plus(str(value), encoding=charset, errors='replace')}" for name, value in values.items()]
    pairs += [_echoed(one, base) for one in sorted(handler.body, key=_hashes_first)]
    named = "windows-1251" if charset == "cp1251" else charset
    return "&".join(pairs).encode("ascii", "replace"), f"application/x-www-form-urlencoded; charset={named}".encode()


def _all(values: Mapping[str, Value], handler: Handler, base: bytes) -> dict[str, Value]:
    """Return the standard values and the parameters of the URL; these cannot replace standard values."""
    added = {one.name: _shown(one, base) for one in sorted(handler.body, key=_hashes_first)}
    return {**values, **{name: value for name, value in added.items() if name not in values}}


def _as_xml(values: Mapping[str, Value], handler: Handler, base: bytes) -> tuple[bytes, bytes]:
    named = "windows-1251" if handler.charset == "cp1251" else handler.charset
    fields = {name: escape(_NOT_XML.sub("", str(value))) for name, value in _all(values, handler, base).items()}
    elements = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    text = f'<?xml version="1.0" encoding="{named}"?><sms>{elements}</sms>'
    return text.encode(handler.charset, "xmlcharrefreplace"), f"application/xml; charset={named}".encode()


def _as_json(values: Mapping[str, Value], handler: Handler, base: bytes) -> tuple[bytes, bytes]:
    """Return ASCII with escapes for all other characters, which is valid in every character set."""
    text = json.dumps(_all(values, handler, base), separators=(",", ":"))
    return text.encode("ascii"), b"application/json"


_WRITERS: Final = {"form": _as_form, "xml": _as_xml, "json": _as_json}


def _hashes_first(one: Parameter) -> bool:
    return not one.digest


SMSC: Final = Dialect(name="smsc", callback=CallbackManner(write=write_callback, check=read_handler))
"""It supports no protocol of listeners, only callbacks."""

"""The HTTP request of a callback, in each of the three forms. Pure."""

from __future__ import annotations

import hmac
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from hashlib import md5, sha1
from typing import Any, Final
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import attrs

from smsgw.dialects.rostelecom import WORDS
from smsgw.model.callbackurl import Handler, Parameter, read_handler
from smsgw.model.errorcodes import ASSUMED, ErrorCode, meaning
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import Event, Incoming, IncomingKind, Message
from smsgw.model.moments import utc

SMSC_STATUSES: Final[Mapping[State, int]] = {
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
"""smsc.ru's number of each state (002-131)."""

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Value = int | str


@attrs.frozen
class CallbackRequest:
    """One HTTP request. `headers` does not contain those that the client adds (Host, Content-Length)."""

    method: bytes
    url: str
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes | None = None


def rostelecom(url: str, event: Event) -> CallbackRequest | None:
    """Return GET with id, status, parts and, of a rejected message, err (004-198, 004-199).

    None for an incoming message, which this form cannot represent."""
    message = event.message
    if isinstance(message, Incoming):
        return None
    status = WORDS[event.state]
    query = f"id=message-id-{message.id}&status={status}&parts={max(message.parts, 1)}"
    if status == "rejected":
        query += f"&err={event.error or ErrorCode.UNEXPLAINED}"
    return CallbackRequest(b"GET", f"{url}{'&' if '?' in url else '?'}{query}")


# The form of smsc.ru


def smsc(handler: Handler, event: Event, zone: tzinfo) -> CallbackRequest:
    """Return POST with a status, an incoming message, a call or the keys of a voice menu (002-104..134).

    :param zone: time zone of the readable times.
    """
    message = event.message
    moment = datetime.fromtimestamp(event.at, zone).strftime("%d.%m.%Y %H:%M:%S")
    when: dict[str, Value] = {"time": moment, "ts": int(event.at)}
    values: dict[str, Value]
    signed: tuple[str, ...]
    if isinstance(message, Message):
        status = SMSC_STATUSES[event.state]
        values = {"id": message.id, "phone": message.recipient, "status": status, **when}
        values |= {"err": _error(event), "cnt": message.parts, "type": 0, "flag": 0, "sender": message.content.sender}
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
        values = {"id": message.answers, "phone": message.sender, "status": SMSC_STATUSES[State.DELIVERED], **when}
        values |= {"err": 0, "cnt": message.seconds, "type": 0, "flag": 0}
        values |= {"key": message.text, "duration": message.seconds}
        signed = ("id", "phone", "status")
    base = ":".join(str(values[name]) for name in signed).encode(handler.charset, "replace")
    body, kind = _WRITERS[handler.form](values, handler, base)
    url = handler.url
    if handler.query:
        url += "?" + "&".join(_echoed(one, base) for one in handler.query)
    return CallbackRequest(b"POST", url, [(b"Content-Type", kind)], body)


def _error(event: Event) -> int:
    """Return the error code of a status; two states have a default if the upstream gave none."""
    return event.error or ASSUMED.get(event.state, 0)


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


# The native form


def native(url: str, event: Event, keys: Sequence[str], now: float) -> CallbackRequest:
    """Return POST with a JSON document, signed with each of `keys` at the time `now` (two during a change of keys)."""
    about = f"{event.message.id}.{event.kind + 0}"
    body = json.dumps(document(event), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    headers = [(b"Content-Type", b"application/json; charset=utf-8"), (b"X-Smsgw-Event", about.encode())]
    if keys:
        moment = str(int(now))
        signatures = ",".join(f"v1={signature(key, moment, about, body)}" for key in keys)
        headers += [(b"X-Smsgw-Timestamp", moment.encode()), (b"X-Smsgw-Signature", signatures.encode())]
    return CallbackRequest(b"POST", url, headers, body)


def signature(key: str, timestamp: str, event: str, body: bytes) -> str:
    """Return the HMAC-SHA256, in hex, of timestamp, event id and body, joined by points."""
    return hmac.digest(key.encode("utf-8"), b"%b.%b." % (timestamp.encode(), event.encode()) + body, "sha256").hex()


def document(event: Event) -> dict[str, Any]:
    """Return the content of a native callback; it is the same at every repetition."""
    message = event.message
    content: dict[str, Any] = {"event": f"{message.id}.{event.kind + 0}"}
    if isinstance(message, Message):
        labels = message.content.labels
        return content | {
            "type": "status",
            "id": message.id,
            "batch": message.batch or None,
            "reference": labels.reference if labels is not None else "",
            "to": message.recipient,
            "from": message.content.sender,
            "state": event.state.word,
            "final": event.state in FINAL,
            "error": event.error,
            "error_meaning": meaning(event.error),
            "upstream_words": event.words,
            "parts": message.parts,
            "accepted_at": utc(message.created),
            "at": utc(event.at),
        }
    content |= {"type": message.kind.name.lower(), "id": message.id, "from": message.sender, "to": message.recipient}
    if message.kind is not IncomingKind.CALL:
        content["keys" if message.kind is IncomingKind.KEYS else "text"] = message.text
    if message.kind is not IncomingKind.MESSAGE:
        content["seconds"] = message.seconds
    return content | {"answers": message.answers or None, "at": utc(event.at)}


# The forms by name


@attrs.frozen
class Context:
    """The values that a form uses beside the event.

    :ivar zone: of readable times. :ivar keys: to sign the native form. :ivar now: absolute time.
    """

    zone: tzinfo
    keys: Sequence[str]
    now: float


@attrs.frozen
class Form:
    """One form of callbacks.

    :ivar once: the event is acknowledged before the request, which is never repeated.
    :ivar write: returns the request to a URL; None if the form cannot represent the event.
    """

    once: bool
    write: Callable[[str, Event, Context], CallbackRequest | None]


_handler = lru_cache(1024)(read_handler)

FORMS: Final[Mapping[str, Form]] = {
    "rostelecom": Form(True, lambda url, event, _: rostelecom(url, event)),
    "smsc": Form(False, lambda url, event, context: smsc(_handler(url), event, context.zone)),
    "native": Form(False, lambda url, event, context: native(url, event, context.keys, context.now)),
}
"""The forms by the value of ``callback_dialect``."""

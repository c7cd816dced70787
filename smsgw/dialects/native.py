"""The dialect ``native``: smsgw's own callbacks, JSON documents with signatures."""

from __future__ import annotations

import hmac
import json
from typing import Any, Final

from smsgw.dialects.manners import CallbackContext, CallbackManner, CallbackRequest, Dialect
from smsgw.model.errorcodes import meaning
from smsgw.model.lifecycle import FINAL
from smsgw.model.message import Event, IncomingKind, Message
from smsgw.model.moments import utc


def write_callback(url: str, event: Event, context: CallbackContext) -> CallbackRequest:
    """Return POST with a JSON document, signed with each of the account's keys at the present time."""
    about = f"{event.message.id}.{event.kind + 0}"
    body = json.dumps(document(event), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    headers = [(b"Content-Type", b"application/json; charset=utf-8"), (b"X-Smsgw-Event", about.encode())]
    if context.keys:
        moment = str(int(context.now))
        signatures = ",".join(f"v1={signature(key, moment, about, body)}" for key in context.keys)
        headers += [(b"X-Smsgw-Timestamp", moment.encode()), (b"X-Smsgw-Signature", signatures.encode())]
    return CallbackRequest(b"POST", url, headers, body)


def signature(key: str, timestamp: str, event: str, body: bytes) -> str:
    """Return the HMAC-SHA256, in hex, of timestamp, event id and body, joined by points."""
    return hmac.digest(key.encode("utf-8"), b"%b.%b." % (timestamp.encode(), event.encode()) + body, "sha256").hex()


def document(event: Event) -> dict[str, Any]:
    """Return the content of a callback; it is the same at every repetition."""
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


CALLBACK: Final = CallbackManner(write=write_callback)

NATIVE: Final = Dialect(name="native", callback=CALLBACK)

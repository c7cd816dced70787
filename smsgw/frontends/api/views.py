"""JSON values of the native HTTP API: messages, incoming texts, accounts, and problem details (RFC 9457).

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from smsgw.config import AccountSettings
from smsgw.frontends.api.fields import Wrong
from smsgw.model.errorcodes import meaning
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import FINAL
from smsgw.model.message import Accepted, Incoming, Message, Previewed
from smsgw.model.moments import utc
from smsgw.model.outcome import LastWords, reason
from smsgw.protocols.http.jsonresource import Answer, compact
from smsgw.protocols.http.responses import PROBLEM

STATUSES: Final[Mapping[Refusal, tuple[int, str]]] = {
    Refusal.WRONG_CREDENTIALS: (401, ""),
    Refusal.ADDRESS_NOT_ALLOWED: (403, ""),
    Refusal.NOT_ALLOWED: (403, ""),
    Refusal.TOO_MANY_CHECKS: (429, ""),
    Refusal.TOO_MANY_BINDS: (429, ""),
    Refusal.UNKNOWN_ID: (404, ""),
    Refusal.ALREADY_FINAL: (409, ""),
    Refusal.BAD_SCHEDULE: (422, "/send_at"),
    Refusal.BAD_VALIDITY: (422, "/valid_until"),
    Refusal.BAD_RECIPIENT: (422, "/to"),
    Refusal.BAD_SENDER: (422, "/from"),
    Refusal.SENDER_NOT_AGREED: (422, "/from"),
    Refusal.SENDER_NOT_AGREED_FOR_OPERATOR: (422, "/from"),
    Refusal.EMPTY_TEXT: (422, "/text"),
    Refusal.TEXT_TOO_LONG: (422, "/text"),
    Refusal.BAD_ENCODING: (422, "/encoding"),
    Refusal.NO_ROUTE: (422, "/to"),
    Refusal.OVER_RATE: (429, ""),
    Refusal.QUEUE_FULL: (503, ""),
    Refusal.STORE_DOWN: (503, ""),
    Refusal.CANNOT_REGISTER: (422, ""),
    Refusal.UPSTREAM_DOWN: (503, ""),
    Refusal.KEY_REUSED: (409, ""),
    Refusal.BAD_CALLBACK: (422, "/callback"),
}
"""The HTTP status of every refusal, and the field concerned."""

WAITS: Final = {429: b"1", 503: b"5"}
"""The value of Retry-After in seconds by status."""

_CHALLENGES: Final = (b"WWW-Authenticate", b'Bearer realm="smsgw", Basic realm="smsgw", charset="UTF-8"')


def problem(
    status: int, kind: str, title: str, errors: Sequence[Wrong] = (), detail: str = ""
) -> dict[str, Any]:  # fmt: skip
    """Build problem details. `kind` is the constant of the type, `title` the sentence, `errors` the fields."""
    problem: dict[str, Any] = {"type": f"/v1/problems/{kind}", "title": title, "status": status}
    if detail:
        problem["detail"] = detail
    if errors:
        problem["errors"] = [{"pointer": one.pointer, "detail": one.detail} for one in errors]
    return problem


def error(status: int, reason: str) -> tuple[bytes, bytes]:
    """Content-Type and body of what leads to no operation: no such path, too long, not to be understood."""
    return PROBLEM, compact(problem(status, reason.replace("_", "-"), reason.replace("_", " ")))


def problem_answer(problem: Mapping[str, Any]) -> Answer:
    """Build the response with problem details."""
    status = problem["status"]
    headers: list[tuple[bytes, bytes]] = []
    if status == 401:
        headers.append(_CHALLENGES)
    if status in WAITS:
        headers.append((b"Retry-After", WAITS[status]))
    return Answer(status, compact(dict(problem)), headers, PROBLEM)


def refused(refusal: Refused, pointer: str = "", faults: Sequence[Refused] = ()) -> dict[str, Any]:
    """Convert a refusal into problem details; `pointer` is the JSON pointer of its message, `faults` is what is wrong
    with its other fields."""
    status, field = STATUSES[refusal.refusal]
    kind = refusal.refusal.name.lower().replace("_", "-")
    detail = str(refusal)
    errors = also([Wrong(pointer + field, detail)] if field else [], faults, pointer)
    return problem(status, kind, refusal.refusal.value, errors, detail if detail != refusal.refusal.value else "")


def also(named: Sequence[Wrong], faults: Sequence[Refused], pointer: str = "") -> list[Wrong]:
    """Return the named faults, and of the others those of further fields."""
    found = {one.pointer: one for one in named}
    for fault in faults:
        field = STATUSES[fault.refusal][1]
        if field:
            found.setdefault(pointer + field, Wrong(pointer + field, str(fault)))
    return list(found.values())


def accepted(answer: Accepted) -> dict[str, Any]:
    """Return the response to an accepted message."""
    if answer.repeated:
        return {"id": answer.id, "repeated": True}
    return {"id": answer.id, "state": answer.state.word, "parts": answer.parts, "repeated": False}


def message(one: Message, words: Sequence[LastWords] = ()) -> dict[str, Any]:
    """Return a message for its own account, with all data; `words` are the upstreams' last words about its parts."""
    labels = one.content.labels
    return {
        "id": one.id,
        "batch": one.batch or None,
        "to": one.recipient,
        "from": one.content.sender,
        "text": one.content.text(),
        "state": one.state.word,
        "final": one.state in FINAL,
        "error": one.error,
        "error_meaning": meaning(one.error),
        "upstream_words": reason(words, one.state),
        "parts": one.parts,
        "priority": one.priority,
        "reference": labels.reference if labels is not None else "",
        "comment": labels.comment if labels is not None else "",
        "callback": labels.callback if labels is not None else "",
        "created_at": utc(one.created),
        "changed_at": utc(one.changed),
        "sent_at": _perhaps(one.sent),
        "send_at": _perhaps(one.due),
        "valid_until": _perhaps(one.expires),
    }


def _perhaps(moment: float) -> str | None:
    return utc(moment) if moment else None


def incoming(one: Incoming) -> dict[str, Any]:
    """Return an incoming text, call or keys."""
    return {
        "id": one.id,
        "type": one.kind.name.lower(),
        "from": one.sender,
        "to": one.recipient,
        "text": one.text,
        "answers": one.answers or None,
        "seconds": one.seconds,
        "at": utc(one.at),
    }


def previewed(one: Previewed) -> dict[str, Any]:
    """Return the preview of a message."""
    return {
        "to": one.number,
        "encoding": one.encoding,
        "characters": one.characters,
        "parts": one.parts,
        "connector": one.connector,
    }


def account(settings: AccountSettings) -> dict[str, Any]:
    """Return the settings of an account without secrets; of the callback only whether there is one, because its address
    may hold secrets."""
    return {
        "name": settings.name,
        "senders": list(settings.senders),
        "default_sender": settings.default_sender,
        "rate": settings.rate or None,
        "validity": settings.validity,
        "protocols": list(settings.protocols),
        "callback": bool(settings.callback),
        "callback_dialect": settings.callback_dialect if settings.callback else None,
        "callback_hosts": list(settings.callback_hosts),
    }

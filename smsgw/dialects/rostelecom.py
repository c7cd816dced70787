"""The dialect ``rostelecom``: the JSON API ``send_message`` and its callbacks (provider document 004)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from smsgw.dialects.manners import (
    CallbackContext,
    CallbackManner,
    CallbackRequest,
    Dialect,
    HttpManner,
    SendMessageManner,
)
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, Incoming

JSON: Final = b"application/json; charset=utf-8"
"""Content-Type of every answer (004-193)."""

AUTH_REQUIRED: Final = ("auth_required", 401)
WRONG_CREDENTIALS: Final = ("wrong_credentials", 403)
WRONG_IP: Final = ("wrong_ip", 403)
INVALID_BODY: Final = ("invalid_request_body", 200)
INVALID_MSISDN: Final = ("invalid_field_msisdn", 200)
INVALID_SHORTCODE: Final = ("invalid_field_shortcode", 200)
INVALID_SOURCE: Final = ("invalid_source_address", 200)
INVALID_TEXT: Final = ("invalid_field_text", 200)
NOT_FOUND: Final = ("transaction_not_found", 200)
SYSTEM_ERROR: Final = ("system_error", 200)

REASONS: Final[Mapping[Refusal, tuple[str, int]]] = {
    Refusal.WRONG_CREDENTIALS: WRONG_CREDENTIALS,
    Refusal.ADDRESS_NOT_ALLOWED: WRONG_IP,
    Refusal.NOT_ALLOWED: WRONG_CREDENTIALS,
    Refusal.TOO_MANY_CHECKS: SYSTEM_ERROR,
    Refusal.TOO_MANY_BINDS: SYSTEM_ERROR,
    Refusal.UNKNOWN_ID: NOT_FOUND,
    Refusal.ALREADY_FINAL: INVALID_BODY,
    Refusal.BAD_SCHEDULE: INVALID_BODY,
    Refusal.BAD_VALIDITY: INVALID_BODY,
    Refusal.BAD_RECIPIENT: INVALID_MSISDN,
    Refusal.BAD_SENDER: INVALID_SHORTCODE,
    Refusal.SENDER_NOT_AGREED: INVALID_SHORTCODE,
    Refusal.SENDER_NOT_AGREED_FOR_OPERATOR: INVALID_SOURCE,
    Refusal.EMPTY_TEXT: INVALID_TEXT,
    Refusal.TEXT_TOO_LONG: INVALID_TEXT,
    Refusal.BAD_ENCODING: INVALID_BODY,
    Refusal.NO_ROUTE: SYSTEM_ERROR,
    Refusal.OVER_RATE: SYSTEM_ERROR,
    Refusal.QUEUE_FULL: SYSTEM_ERROR,
    Refusal.STORE_DOWN: SYSTEM_ERROR,
    Refusal.CANNOT_REGISTER: SYSTEM_ERROR,
    Refusal.KEY_REUSED: INVALID_BODY,
    Refusal.BAD_CALLBACK: INVALID_BODY,
    Refusal.UPSTREAM_DOWN: SYSTEM_ERROR,
}
"""The reason and HTTP status of every refusal."""

AS_STATES: Final = frozenset({Refusal.NO_ROUTE})
"""Refusals that become states: the response accepts the message, its status is ``rejected``."""

WORDS: Final[Mapping[State, str]] = {
    State.SCHEDULED: "awaiting_report",
    State.QUEUED: "awaiting_report",
    State.ENROUTE: "awaiting_report",
    State.DELIVERED: "delivered",
    State.EXPIRED: "failed",
    State.CANCELLED: "failed",
    State.UNDELIVERABLE: "failed",
    State.REJECTED: "rejected",
    State.REFUSED: "rejected",
    State.NO_MONEY: "insufficient_balance",
    State.FAILED: "failed",
    State.UNKNOWN: "failed",
}
"""The word for each state, in answers (004-197) and in callbacks (004-198)."""

WITH_ERROR: Final = frozenset({State.REJECTED, State.REFUSED})
"""States that are reported with the error code, in answers and in callbacks (004-199)."""


def error(_: int, reason: str) -> tuple[bytes, bytes]:
    """Return Content-Type and body of an error response (004.3)."""
    return JSON, b'{"reason":"%b","status":"error"}' % reason.encode("ascii")


SEND_MESSAGE: Final = SendMessageManner(
    no_credentials=AUTH_REQUIRED,
    bad_request=INVALID_BODY,
    internal=SYSTEM_ERROR,
    reasons=REASONS,
    as_states=AS_STATES,
    words=WORDS,
    with_error=WITH_ERROR,
    error=error,
)


def write_callback(url: str, event: Event, _: CallbackContext) -> CallbackRequest | None:
    """Return GET with id, status, parts and, of a rejected message, err (004-198, 004-199).

    None for an incoming message, which this form cannot represent."""
    message = event.message
    if isinstance(message, Incoming):
        return None
    query = f"id=message-id-{message.id}&status={WORDS[event.state]}&parts={max(message.parts, 1)}"
    if event.state in WITH_ERROR:
        query += f"&err={event.error or ErrorCode.UNEXPLAINED}"
    return CallbackRequest(b"GET", f"{url}{'&' if '?' in url else '?'}{query}")


ROSTELECOM: Final = Dialect(
    name="rostelecom",
    http=HttpManner(send_message=SEND_MESSAGE, error=error),
    callback=CallbackManner(write=write_callback, once=True),
)

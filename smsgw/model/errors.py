"""Why the gateway says no: one list of refusals for every front end, and the two ways a store can fail.

A :class:`Refusal` knows nothing of command_status, SMTP codes or HTTP: each front end owns the table to its wire.
"""

from __future__ import annotations

from enum import Enum

import attrs


class Refusal(Enum):
    """Everything the domain refuses; the value is the sentence shown to people."""

    WRONG_CREDENTIALS = "wrong login or password"
    ADDRESS_NOT_ALLOWED = "this address may not use the account"
    NOT_ALLOWED = "the account is disabled or may not use this protocol"
    TOO_MANY_CHECKS = "too many password checks are waiting, try again later"
    TOO_MANY_BINDS = "the account has all its connections open"
    UNKNOWN_ID = "no such message"
    ALREADY_FINAL = "the message can no longer be changed"
    BAD_SCHEDULE = "the delivery time is malformed"
    BAD_VALIDITY = "the validity period is malformed"
    BAD_RECIPIENT = "the recipient is not a number that can be served"
    BAD_SENDER = "the sender is malformed"
    SENDER_NOT_AGREED = "the sender is not agreed for this account"
    SENDER_NOT_AGREED_FOR_OPERATOR = "the sender is not agreed for the recipient's operator"
    EMPTY_TEXT = "the text is empty"
    TEXT_TOO_LONG = "the text is too long"
    BAD_ENCODING = "the text's encoding is not recognised"
    NO_ROUTE = "no route leads to the recipient"
    OVER_RATE = "the account sends faster than agreed, try again later"
    QUEUE_FULL = "the queue is full, try again later"
    STORE_DOWN = "the message could not be stored, try again later"
    CANNOT_REGISTER = "the message could not be registered"
    UPSTREAM_DOWN = "no upstream of the route is available, try again later"
    KEY_REUSED = "the idempotency key was used before for another request"
    BAD_CALLBACK = "the callback address is malformed or its host is not allowed for this account"


@attrs.frozen
class Refused:
    """The gateway's no to one request: which refusal, and what exactly was wrong (for people, never secrets)."""

    refusal: Refusal
    why: str = ""

    def __str__(self) -> str:
        return self.why or self.refusal.value


class GatewayError(Exception):
    """Root of what the gateway raises on purpose."""


class StoreDown(GatewayError):
    """The store cannot take changes now; nothing of the call was kept."""


class StoreFull(StoreDown):
    """No room for new messages now: too many wait for the disk, or the disk is nearly full."""


class UnknownOutcome(GatewayError):
    """The commit may or may not have happened; answer a temporary error, never a permanent one."""

"""The refusals of the gateway, one list for every front end, and the failures of the store.

A :class:`Refusal` is independent of protocols: each front end has a table from refusals to its command_status, SMTP
code or HTTP status.
"""

from __future__ import annotations

from enum import Enum
from typing import final

import attrs


class Refusal(Enum):
    """The reasons of refusals; the value is the sentence shown to people."""

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


@final
@attrs.frozen
class Refused:
    """The refusal of one request: the reason, and details for people (without secrets).

    It has no subclasses, so the hot path may compare the class, which is faster than :func:`isinstance`.
    """

    refusal: Refusal
    why: str = ""

    def __str__(self) -> str:
        return self.why or self.refusal.value


class GatewayError(Exception):
    """The base class of the gateway's exceptions."""


class NotPossible(GatewayError):
    """A wish of an administrator cannot be fulfilled; the text says why.

    :ivar unknown: whether there is nothing of the given name or id.
    """

    def __init__(self, why: str, unknown: bool = False) -> None:
        super().__init__(why)
        self.unknown = unknown


class StoreDown(GatewayError):
    """The store cannot commit now; no change of the call was stored."""


class StoreFull(StoreDown):
    """The store accepts no new messages now: too many wait for the disk, or the disk is nearly full."""


class UnknownOutcome(GatewayError):
    """The commit may have happened; answer a temporary error, never a permanent one."""

"""JSON in, dialect rostelecom: what the API asks, answered by the gateway (doc 004)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import HttpListenSettings, Settings
from smsgw.frontends.rostelecom.resource import (
    INVALID_BODY,
    INVALID_MSISDN,
    INVALID_SHORTCODE,
    INVALID_TEXT,
    NOT_FOUND,
    SYSTEM_ERROR,
    MessageResource,
)
from smsgw.interfaces import ApiError, IIntake, IJsonDelegate, IMessageStore, MessageStatus
from smsgw.model.address import NATIONAL
from smsgw.model.errors import GatewayError, Refusal, Refused
from smsgw.model.lifecycle import State
from smsgw.model.message import Accepted, Message, Submission
from smsgw.protocols.http.jsonresource import WebLimits
from smsgw.services.accounts import Account, Accounts
from smsgw.services.senders import Sender, Senders

INVALID_SOURCE: Final = ApiError("invalid_source_address")
WRONG_CREDENTIALS: Final = ApiError("wrong_credentials", 403)
WRONG_IP: Final = ApiError("wrong_ip", 403)

REASONS: Final[Mapping[Refusal, ApiError | None]] = {
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
    Refusal.NO_ROUTE: None,
    Refusal.OVER_RATE: SYSTEM_ERROR,
    Refusal.QUEUE_FULL: SYSTEM_ERROR,
    Refusal.STORE_DOWN: SYSTEM_ERROR,
    Refusal.CANNOT_REGISTER: SYSTEM_ERROR,
    Refusal.KEY_REUSED: INVALID_BODY,
    Refusal.BAD_CALLBACK: INVALID_BODY,
    Refusal.UPSTREAM_DOWN: SYSTEM_ERROR,
}
"""The one table from the domain's refusals to this API's reasons; None: accepted, and the final state says so."""

AS_STATES: Final = frozenset(refusal for refusal, denied in REASONS.items() if denied is None)
"""Refusals that the API does not tell at once (see :class:`~smsgw.model.message.Submission`)."""

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
"""The API's word for each state (004-197)."""

UNEXPLAINED: Final = 255
"""error_code of a rejected message for which no code is known: rejected, no precise code given (001.11)."""


@implementer(IJsonDelegate)
class HttpFrontend:
    """One HTTP listener: what its requests ask, answered by the gateway.

    :param body_limit: octets of the longest body.
    :ivar resource: the API.
    """

    def __init__(
        self,
        settings: Settings,
        intake: IIntake,
        store: IMessageStore,
        accounts: Accounts,
        senders: Senders,
        body_limit: int,
    ) -> None:
        self._intake = intake
        self._store = store
        self._accounts = accounts
        self._senders = senders
        self.resource = MessageResource(self, settings.gateway.country, body_limit)

    def apply(self, settings: Settings) -> None:
        """Tell national numbers from others as is configured now."""
        self.resource.national = NATIONAL[settings.gateway.country]

    def login(self, login: bytes, password: bytes, peer: str) -> Deferred[str | ApiError]:
        """Check credentials against the accounts (004-179 to 004-183)."""
        return self._accounts.check(login, password, peer, "http").addCallback(_entered)

    def submit(self, account: str, msisdn: str, shortcode: str, text: str) -> Deferred[str | ApiError]:
        """Hand the message over; the id is told after the synced commit (004-189 to 004-191)."""
        denied = self._sender_denied(account, msisdn, shortcode)
        if denied is not None:
            return succeed(denied)
        submission = Submission(account, "", shortcode, (msisdn,), text, as_states=AS_STATES)
        return self._intake.submit([submission]).addCallbacks(_stored, _not_now)

    def status(self, account: str, id: str) -> Deferred[MessageStatus | ApiError]:
        """What became of one message of the account (004-194 to 004-197)."""
        if not id.isdecimal() or len(id) > 18 or id.startswith("0"):
            return succeed(NOT_FOUND)
        return self._store.find(account, [int(id)]).addCallbacks(_found, _not_now, callbackArgs=(int(id),))

    def _sender_denied(self, account: str, msisdn: str, shortcode: str) -> ApiError | None:
        """What intake would say of the sender, said before anything is said of the text (004.3)."""
        known = self._accounts.get(account)
        if known is None:
            return WRONG_CREDENTIALS
        sender = self._senders.resolve(known.settings, shortcode)
        if isinstance(sender, Sender):
            return None if sender.agreed_for(msisdn) else INVALID_SOURCE
        return reason(sender)


def reason(refused: Refused) -> ApiError:
    """The API's answer to a refusal."""
    return REASONS[refused.refusal] or SYSTEM_ERROR


def web_limits(settings: HttpListenSettings) -> WebLimits:
    """The bounds of a listener's connections."""
    return WebLimits(
        body=settings.body_limit,
        head_time=settings.header_time,
        body_time=settings.body_time,
        idle_time=settings.inactivity,
        requests=settings.requests,
    )


def shown(message: Message) -> MessageStatus:
    """One message as the API tells it."""
    word = WORDS[message.state]
    return MessageStatus(
        int(message.created),
        int(message.changed),
        message.dst,
        message.parts,
        word,
        message.content.text(),
        (message.error or UNEXPLAINED) if word == "rejected" else None,
    )


def _entered(answer: Account | Refused) -> str | ApiError:
    return reason(answer) if isinstance(answer, Refused) else answer.name


def _stored(answers: list[Accepted | Refused]) -> str | ApiError:
    (answer,) = answers
    return reason(answer) if isinstance(answer, Refused) else str(answer.id)


def _found(lists: list[list[Message]], id: int) -> MessageStatus | ApiError:
    """A batch of several messages is no transaction of this API."""
    (messages,) = lists
    return shown(messages[0]) if len(messages) == 1 and messages[0].id == id else NOT_FOUND


def _not_now(failure: Failure) -> ApiError:
    """The store's failures are the same word, whatever they were (004-187)."""
    failure.trap(GatewayError)
    return SYSTEM_ERROR

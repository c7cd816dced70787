"""The front end of the Rostelecom API (doc 004)."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import HttpListenSettings, Settings
from smsgw.dialects import SendMessageManner
from smsgw.frontends.rostelecom.resource import MessageResource
from smsgw.interfaces import ApiError, IIntake, IJsonDelegate, IMessageStore, MessageStatus
from smsgw.model.address import NATIONAL
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.errors import GatewayError, Refusal, Refused
from smsgw.model.message import Accepted, Message, Submission
from smsgw.services.accounts import Account, Accounts
from smsgw.services.senders import Senders


@implementer(IJsonDelegate)
class RostelecomFrontend:
    """Handles the requests of this API for one HTTP listener.

    :param listener: its settings. :param manner: the words of its dialect for this API.
    :ivar resource: the resource of the API.
    """

    def __init__(
        self,
        settings: Settings,
        listener: HttpListenSettings,
        manner: SendMessageManner,
        intake: IIntake,
        store: IMessageStore,
        accounts: Accounts,
        senders: Senders,
    ) -> None:
        self._name = listener.name
        self._manner = manner
        self._intake = intake
        self._store = store
        self._accounts = accounts
        self._senders = senders
        self.resource = MessageResource(self, manner, body_limit=listener.body_limit)
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Take the rule for national numbers from the settings."""
        self.resource.national = NATIONAL[settings.gateway.country]

    def login(self, login: bytes, password: bytes, peer: str) -> Deferred[str | ApiError]:
        """Check credentials against the accounts (004-179 to 004-183)."""
        return self._accounts.check(login, password, peer, "http").addCallback(self._entered)

    def _entered(self, answer: Account | Refused) -> str | ApiError:
        return self._error(answer.refusal) if isinstance(answer, Refused) else answer.name

    def submit(self, account: str, msisdn: str, shortcode: str, text: str) -> Deferred[str | ApiError]:
        """Submit the message; the response with the id follows the synced commit (004-189 to 004-191)."""
        return self._submit(account, msisdn, shortcode, text).addCallback(self._charged, account)

    def _charged(self, answer: str | ApiError, account: str) -> str | ApiError | Deferred[str | ApiError]:
        """Charge the account for a refusal."""
        return answer if isinstance(answer, str) else self._accounts.answer_after_work(account, 1, answer)

    def _submit(self, account: str, msisdn: str, shortcode: str, text: str) -> Deferred[str | ApiError]:
        denied = self._sender_denied(account, msisdn, shortcode)
        if denied is not None:
            return succeed(denied)
        submission = Submission(
            account,
            "",
            shortcode,
            (msisdn,),
            text,
            as_states=self._manner.as_states,
            login=account,
            listener=self._name,
        )
        return self._intake.submit([submission]).addCallbacks(self._stored, self._not_now)

    def _stored(self, answers: list[Accepted | Refused]) -> str | ApiError:
        (answer,) = answers
        return self._error(answer.refusal) if isinstance(answer, Refused) else str(answer.id)

    def status(self, account: str, id: str) -> Deferred[MessageStatus | ApiError]:
        """Return the status of one message of the account (004-194 to 004-197)."""
        return self._status(account, id).addCallback(partial(self._accounts.answer_after_work, account, 1))

    def _status(self, account: str, id: str) -> Deferred[MessageStatus | ApiError]:
        if not id.isdecimal() or len(id) > 18 or id.startswith("0"):
            return succeed(self._error(Refusal.UNKNOWN_ID))
        return self._store.find(account, [int(id)]).addCallbacks(self._found, self._not_now, callbackArgs=(int(id),))

    def _found(self, lists: list[list[Message]], id: int) -> MessageStatus | ApiError:
        """Return the status of the message; the id of a batch of several messages is unknown to this API."""
        (messages,) = lists
        if len(messages) != 1 or messages[0].id != id:
            return self._error(Refusal.UNKNOWN_ID)
        return shown(messages[0], self._manner)

    def _sender_denied(self, account: str, msisdn: str, shortcode: str) -> ApiError | None:
        """Check the sender as intake does, because this API reports its error before errors of the text (004.3)."""
        known = self._accounts.get(account)
        if known is None:
            return self._error(Refusal.NOT_ALLOWED)
        sender = self._senders.resolve(known.settings, shortcode)
        if isinstance(sender, Refused):
            return self._error(sender.refusal)
        return None if sender.agreed_for(msisdn) else self._error(Refusal.SENDER_NOT_AGREED_FOR_OPERATOR)

    def _error(self, refusal: Refusal) -> ApiError:
        """Return the API's error for a refusal."""
        return ApiError(*self._manner.reasons[refusal])

    def _not_now(self, failure: Failure) -> ApiError:
        """Return the same error for all failures of the store (004-187)."""
        failure.trap(GatewayError)
        return self._error(Refusal.STORE_DOWN)


def shown(message: Message, manner: SendMessageManner) -> MessageStatus:
    """Return the status of a message in the form of the API."""
    return MessageStatus(
        int(message.created),
        int(message.changed),
        message.recipient,
        message.parts,
        manner.words[message.state],
        message.content.text(),
        (message.error or ErrorCode.UNEXPLAINED) if message.state in manner.with_error else None,
    )

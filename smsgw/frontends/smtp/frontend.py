"""Mail in, dialect quicktel: a transaction becomes a submission, STATUS tells what became of it (doc 000)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import Settings, SmtpListenSettings
from smsgw.frontends.smtp.lists import ListSender
from smsgw.interfaces import IIntake, IMailDelegate, IMessageStore, Reply
from smsgw.model.address import NATIONAL, normalise
from smsgw.model.errors import GatewayError, Refusal, Refused
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import Accepted, Message, Submission
from smsgw.protocols.smtp.factory import Envelope, Session
from smsgw.protocols.smtp.mailtext import is_plain, mail_text, message_id
from smsgw.services.accounts import Account, Accounts
from smsgw.services.contacts import Contacts
from smsgw.services.intake.intake import BAD_NUMBER, NOT_REACHABLE
from smsgw.services.senders import Senders


@attrs.frozen
class Yes:
    """The positive replies; `accepted` has a gap for the id."""

    login: Reply
    sender: Reply
    recipient: Reply
    accepted: str


PLAIN: Final = Yes(Reply(235, "Authentication successful."), Reply(250, "Ok"), Reply(250, "Ok"), "{}")
"""As QUICKTEL says them (000-8, 000-27)."""

ENHANCED: Final = Yes(
    Reply(235, "2.7.0 Authentication successful"), Reply(250, "2.1.0 Ok"), Reply(250, "2.1.5 Ok"), "2.0.0 {}"
)
"""With the codes of RFC 3463, in the dialect standard."""

TRY_LATER: Final = Reply(451, "4.3.0 The message could not be stored, try again later")
NO_SUCH_RECIPIENT: Final = Reply(550, "5.1.1 The recipient is not known here")

REPLIES: Final[Mapping[Refusal, tuple[int, str]]] = {
    Refusal.WRONG_CREDENTIALS: (535, "5.7.8"),
    Refusal.ADDRESS_NOT_ALLOWED: (535, "5.7.8"),
    Refusal.NOT_ALLOWED: (535, "5.7.8"),
    Refusal.TOO_MANY_CHECKS: (454, "4.7.0"),
    Refusal.TOO_MANY_BINDS: (421, "4.7.0"),
    Refusal.UNKNOWN_ID: (550, "5.1.1"),
    Refusal.ALREADY_FINAL: (550, "5.5.0"),
    Refusal.BAD_SCHEDULE: (554, "5.6.0"),
    Refusal.BAD_VALIDITY: (554, "5.6.0"),
    Refusal.BAD_RECIPIENT: (550, "5.1.1"),
    Refusal.BAD_SENDER: (553, "5.1.7"),
    Refusal.SENDER_NOT_AGREED: (553, "5.7.1"),
    Refusal.SENDER_NOT_AGREED_FOR_OPERATOR: (550, "5.7.1"),
    Refusal.EMPTY_TEXT: (554, "5.6.0"),
    Refusal.TEXT_TOO_LONG: (552, "5.3.4"),
    Refusal.BAD_ENCODING: (554, "5.6.1"),
    Refusal.NO_ROUTE: (550, "5.4.4"),
    Refusal.OVER_RATE: (451, "4.7.1"),
    Refusal.QUEUE_FULL: (452, "4.3.1"),
    Refusal.STORE_DOWN: (451, "4.3.0"),
    Refusal.CANNOT_REGISTER: (554, "5.3.0"),
    Refusal.KEY_REUSED: (554, "5.6.0"),
    Refusal.BAD_CALLBACK: (554, "5.6.0"),
    Refusal.UPSTREAM_DOWN: (451, "4.4.1"),
}
"""The one table from the domain's refusals to SMTP codes (RFC 5321) and enhanced codes (RFC 3463)."""

CODES: Final[Mapping[State, int]] = {
    State.SCHEDULED: 0,
    State.QUEUED: 0,
    State.ENROUTE: 1,
    State.DELIVERED: 2,
    State.EXPIRED: 3,
    State.UNDELIVERABLE: 5,
    State.REJECTED: 8,
    State.CANCELLED: 20,
    State.REFUSED: 21,
    State.NO_MONEY: 21,
    State.FAILED: 21,
    State.UNKNOWN: 22,
}
"""status_code of STATUS for each state (000-35); see :func:`code_of`."""

BAD_NUMBERS: Final = frozenset({NOT_REACHABLE, BAD_NUMBER})
"""Errors of messages refused by rules because of their number, which is told as code 5."""

MEANINGS: Final[Mapping[int, str]] = {
    0: "Message is accepted for delivery",
    1: "Message is handed over to the operator",
    2: "Message is delivered",
    3: "Delivery time is over",
    5: "Message cannot be delivered",
    8: "Operator did not accept the message",
    20: "Message is cancelled",
    21: "Message could not be processed",
    22: "Operator reported no state in time",
}
"""The free text behind a status_code."""


def refusal_reply(refused: Refused) -> Reply:
    """The reply for a refusal."""
    code, enhanced = REPLIES[refused.refusal]
    return Reply(code, f"{enhanced} {str(refused)[:200]}")


LIST: Final = "list_"
"""What the local part of a contact list's address begins with (000-18)."""

MOST_IN_THREADS: Final = 32
"""Mails that are read in threads, or wait for one, at a time; more are to come again."""


@attrs.frozen
class BatchStatus:
    """What STATUS answers: units, whether all is over, the code (000-32..35)."""

    parts: int
    closed: bool
    code: int


def code_of(message: Message) -> int:
    """The status_code of one message: 5 where the rules refused it because of its number."""
    wrong_number = message.state is State.REFUSED and message.error in BAD_NUMBERS
    return CODES[State.UNDELIVERABLE if wrong_number else message.state]


def standing(messages: Sequence[Message]) -> BatchStatus:
    """How a message, or a batch taken together, stands.

    Code 2 if all are delivered; while open 0 until all are handed over, then 1; when closed, the first one's
    that was not delivered.
    """
    parts = sum(message.parts for message in messages)
    codes = [code_of(message) for message in messages]
    delivered = CODES[State.DELIVERED]
    if all(message.state in FINAL for message in messages):
        return BatchStatus(parts, True, next((code for code in codes if code != delivered), delivered))
    return BatchStatus(parts, False, 0 if 0 in codes else 1)


@implementer(IMailDelegate)
class MailFrontend:
    """One SMTP listener: what its sessions ask, answered by the gateway.

    :param listener: its settings. :param run: calls a function in a thread.
    """

    def __init__(
        self,
        settings: Settings,
        listener: SmtpListenSettings,
        intake: IIntake,
        store: IMessageStore,
        accounts: Accounts,
        senders: Senders,
        contacts: Contacts,
        run: Callable[..., Deferred[Any]],
        clock: IReactorTime,
    ) -> None:
        self._intake = intake
        self._store = store
        self._accounts = accounts
        self._senders = senders
        self._listener = listener
        self._contacts = contacts
        self._run = run
        self._in_threads = 0
        self._lists = ListSender(intake, store, run, clock)
        self._yes = ENHANCED if listener.dialect == "standard" else PLAIN
        self._accepted = self._yes.accepted + (" message accepted." if listener.full_stop else " message accepted")
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Read national numbers as is configured now."""
        self._national = NATIONAL[settings.gateway.country]

    def login(self, session: Session, login: bytes, password: bytes) -> Deferred[Reply]:
        """Check credentials against the accounts (000-9, 000-10)."""

        def checked(answer: Account | Refused) -> Reply:
            if isinstance(answer, Refused):
                return refusal_reply(answer)
            session.account = answer.name
            return self._yes.login

        return self._accounts.check(login, password, session.peer, "smtp").addCallback(checked)

    def _account(self, session: Session) -> Account | None:
        """The account as it is now: a reload may have taken it away."""
        account = self._accounts.get(session.account)
        return account if account is not None and account.settings.enabled else None

    def sender(self, session: Session, address: str, parameters: Mapping[str, str]) -> Deferred[Reply]:
        """Find the SMS sender an e-mail sender stands for (000-20..22); whether it is agreed is looked at with the
        first number, since lists have senders of their own (000-23)."""
        account = self._account(session)
        if account is None:
            return succeed(refusal_reply(Refused(Refusal.NOT_ALLOWED)))
        assert session.envelope is not None
        local, _, _ = address.partition("@")
        alias = account.settings.aliases.get(address.lower())
        session.envelope.data = alias or ("" if local.lower() == "default" else local)
        return succeed(self._yes.sender)

    def recipient(self, session: Session, address: str) -> Deferred[Reply]:
        """Take a number at one of our domains (000-15..17, 000-19)."""
        account = self._account(session)
        if account is None:
            return succeed(refusal_reply(Refused(Refusal.NOT_ALLOWED)))
        assert session.envelope is not None
        local, _, domain = address.rpartition("@")
        if domain.lower() not in self._listener.domains:
            return succeed(NO_SUCH_RECIPIENT)
        if local.lower().startswith(LIST):
            known = self._contacts.get(account.name, local[len(LIST) :])
            return succeed(NO_SUCH_RECIPIENT if known is None else self._yes.recipient)
        if normalise(local, self._national) is None:
            return succeed(NO_SUCH_RECIPIENT)
        sender = self._senders.resolve(account.settings, session.envelope.data)
        return succeed(refusal_reply(sender) if isinstance(sender, Refused) else self._yes.recipient)

    def message(self, session: Session, envelope: Envelope, octets: bytes) -> Deferred[Reply]:
        """Hand the text over; the 250 with the id leaves after the synced commit (000-26, 000-27, 000-30). Whether
        the account may still send is intake's to say."""
        if is_plain(octets):
            return self._send(mail_text(octets), session, envelope, octets)
        if self._in_threads >= MOST_IN_THREADS:
            return succeed(TRY_LATER)
        self._in_threads += 1

        async def read() -> Reply:
            try:
                text: str | Refused = await self._run(mail_text, octets)
            finally:
                self._in_threads -= 1
            return await self._send(text, session, envelope, octets)

        return Deferred.fromCoroutine(read())

    def _send(self, text: str | Refused, session: Session, envelope: Envelope, octets: bytes) -> Deferred[Reply]:
        """Hand over a text that was read."""
        if isinstance(text, Refused):
            return succeed(refusal_reply(text))
        limit = self._listener.text_limit
        named = [address.rpartition("@")[0] for address in envelope.recipients]
        titles = [local[len(LIST) :] for local in named if local.lower().startswith(LIST)]
        if titles:
            numbers = [local for local in named if not local.lower().startswith(LIST)]
            found = [self._contacts.get(session.account, title) for title in titles]
            lists = [one for one in found if one is not None]
            sending = self._lists.send(
                session.account, envelope.data, numbers, lists, text, limit, message_id(octets)
            )
            return Deferred.fromCoroutine(sending).addCallbacks(self._reply, _not_stored)
        submission = Submission(session.account, "", envelope.data, named, text, text_limit=limit)

        def stored(answers: list[Accepted | Refused]) -> Reply:
            (answer,) = answers
            return self._reply(answer if isinstance(answer, Refused) else answer.id)

        return self._intake.submit([submission]).addCallbacks(stored, _not_stored)

    def _reply(self, answer: int | Refused) -> Reply:
        return refusal_reply(answer) if isinstance(answer, Refused) else Reply(250, self._accepted.format(answer))

    def status(self, session: Session, argument: str) -> Deferred[Reply]:
        """``STATUS <id>``: parts, closed, code (000-31..38)."""
        unknown = Reply(550, f"5.1.1 {argument} message not found")
        if self._account(session) is None:
            return succeed(refusal_reply(Refused(Refusal.NOT_ALLOWED)))
        if not (argument.isascii() and argument.isdecimal()) or len(argument) > 18 or argument.startswith("0"):
            return succeed(unknown)

        def found(lists: list[list[Message]]) -> Reply:
            (messages,) = lists
            if not messages:
                return unknown
            stands = standing(messages)
            meaning = MEANINGS[stands.code]
            return Reply(250, f"{argument} {stands.parts} {int(stands.closed)} {stands.code} {meaning}")

        return self._store.find(session.account, [int(argument)]).addCallbacks(found, _not_stored)

    def closed(self, session: Session) -> None:
        """Nothing is kept of a session."""


def _not_stored(failure: Failure) -> Reply:
    """The store's failures are temporary to a mail program, whatever they were."""
    failure.trap(GatewayError)
    return TRY_LATER

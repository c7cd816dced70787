"""The front end for mail programs: a transaction becomes a submission, STATUS reports its state (doc 000)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import attrs
from twisted.internet.defer import Deferred, DeferredSemaphore, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import Settings, SmtpListenSettings
from smsgw.dialects import SmtpManner
from smsgw.frontends.smtp.lists import ListSender
from smsgw.interfaces import BatchCount, IIntake, IMailDelegate, IMessageStore, Reply
from smsgw.model.address import NATIONAL, normalise
from smsgw.model.errors import GatewayError, Refusal, Refused
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import Accepted, Submission
from smsgw.protocols.smtp.factory import Envelope, Session
from smsgw.protocols.smtp.mailtext import is_plain, mail_text, message_id
from smsgw.services.accounts import Account, Accounts
from smsgw.services.contacts import Contacts
from smsgw.services.fairworkers import FairWorkers, rests
from smsgw.services.senders import Senders

TRY_LATER: Final = Reply(451, "4.3.0 The message could not be stored, try again later")
NO_SUCH_RECIPIENT: Final = Reply(550, "5.1.1 The recipient is not known here")

LIST: Final = "list_"
"""The prefix of the local part of a contact list's address (000-18)."""

OCTETS_OF_A_PART: Final = 32_768
"""A mail costs the account's rate a part for each of these octets, besides those of its message."""

COMMANDS_OF_WORK: Final = 10
"""Commands that cost a unit of work."""

OCTETS_OF_WORK: Final = 16_384
"""Octets of a mail that cost a unit of work."""

MOST_COUNTED: Final = 2
"""Highest number of STATUS commands of one account that the store answers at a time: a list may have a million
messages, and the store counts them all."""


@attrs.frozen
class BatchStatus:
    """The values of a reply to STATUS: parts, closed, code (000-32..35)."""

    parts: int
    closed: bool
    code: int


def batch_status(counts: Sequence[BatchCount], manner: SmtpManner) -> BatchStatus:
    """Return the status of a message, or of all messages of a batch together.

    The code is that of delivered if all are delivered. While a message is open, it is that of queued until all are
    sent, then that of enroute. When all are closed, it is that of the first message that was not delivered.

    :param counts: in order of their first messages.
    """
    parts = sum(count.parts for count in counts)
    codes = [manner.code(count.state, count.error) for count in counts]
    delivered, waiting = manner.codes[State.DELIVERED], manner.codes[State.QUEUED]
    if all(count.state in FINAL for count in counts):
        return BatchStatus(parts, True, next((code for code in codes if code != delivered), delivered))
    return BatchStatus(parts, False, waiting if waiting in codes else manner.codes[State.ENROUTE])


@implementer(IMailDelegate)
class MailFrontend:
    """The delegate of one SMTP listener's sessions.

    :param listener: its settings. :param manner: of its dialect.
    :param workers: threads, in which the accounts take turns.
    """

    def __init__(
        self,
        settings: Settings,
        listener: SmtpListenSettings,
        manner: SmtpManner,
        intake: IIntake,
        store: IMessageStore,
        accounts: Accounts,
        senders: Senders,
        contacts: Contacts,
        workers: FairWorkers,
        clock: IReactorTime,
    ) -> None:
        self._intake = intake
        self._store = store
        self._accounts = accounts
        self._senders = senders
        self._listener = listener
        self._contacts = contacts
        self._workers = workers
        self._counting: defaultdict[str, DeferredSemaphore] = defaultdict(lambda: DeferredSemaphore(MOST_COUNTED))
        self._lists = ListSender(intake, store, workers, clock, listener.name, manner.as_states)
        self._manner = manner
        self._sender_ok = Reply(*manner.sender)
        self._recipient_ok = Reply(*manner.recipient)
        self._accepted = manner.accepted + ("." if listener.full_stop else "")
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Take the rule for national numbers from the settings."""
        self._national = NATIONAL[settings.gateway.country]

    def login(self, session: Session, login: bytes, password: bytes) -> Deferred[Reply]:
        """Check credentials against the accounts (000-9, 000-10)."""

        def checked(answer: Account | Refused) -> Reply:
            if isinstance(answer, Refused):
                return self._refusal(answer)
            session.account = answer.name
            return Reply(*self._manner.login)

        return self._accounts.check(login, password, session.peer, "smtp").addCallback(checked)

    def _refusal(self, refused: Refused) -> Reply:
        code, enhanced = self._manner.refusals[refused.refusal]
        return Reply(code, f"{enhanced} {str(refused)[:200]}")

    def _account(self, session: Session) -> Account | None:
        """Return the session's account, None if a reload has removed or disabled it."""
        account = self._accounts.get(session.account)
        return account if account is not None and account.settings.enabled else None

    def sender(self, session: Session, address: str, parameters: Mapping[str, str]) -> Deferred[Reply]:
        """Find the SMS sender for the e-mail sender (000-20..22). It is checked at the first number, because contact
        lists have their own senders (000-23)."""
        account = self._account(session)
        if account is None:
            return succeed(self._refusal(Refused(Refusal.NOT_ALLOWED)))
        assert session.envelope is not None
        local, _, _ = address.partition("@")
        alias = account.settings.aliases.get(address.lower())
        session.envelope.data = alias or ("" if local.lower() == "default" else local)
        return succeed(self._sender_ok)

    def recipient(self, session: Session, address: str) -> Deferred[Reply]:
        """Check a recipient: a number or list at one of the listener's domains (000-15..17, 000-19)."""
        account = self._account(session)
        if account is None:
            return succeed(self._refusal(Refused(Refusal.NOT_ALLOWED)))
        assert session.envelope is not None
        local, _, domain = address.rpartition("@")
        if domain.lower() not in self._listener.domains:
            return succeed(NO_SUCH_RECIPIENT)
        if local.lower().startswith(LIST):
            known = self._contacts.get(account.name, local[len(LIST) :])
            return succeed(NO_SUCH_RECIPIENT if known is None else self._recipient_ok)
        if normalise(local, self._national) is None:
            return succeed(NO_SUCH_RECIPIENT)
        sender = self._senders.resolve(account.settings, session.envelope.data)
        return succeed(self._refusal(sender) if isinstance(sender, Refused) else self._recipient_ok)

    def message(self, session: Session, envelope: Envelope, octets: bytes) -> Deferred[Reply]:
        """Submit the text; the 250 with the id follows the synced commit (000-26, 000-27, 000-30).

        Intake checks whether the account may still send."""
        if is_plain(octets):
            sent = self._send(mail_text(octets), session, envelope, octets)
        else:
            reading = self._workers.run(session.account, _read, octets)
            later = succeed(TRY_LATER)
            sent = later if reading is None else reading.addCallback(self._send, session, envelope, octets)
        return sent.addCallback(self._charged, session, len(octets))

    def wasted(self, session: Session, commands: int, octets: int, reply: Reply) -> Deferred[Reply]:
        """Charge the account; before the login the server itself limits both."""
        if octets:
            return succeed(reply).addCallback(self._charged, session, octets)
        if not session.authenticated:
            return succeed(reply)
        return self._accounts.answer_after_work(session.account, commands / COMMANDS_OF_WORK, reply)

    def _charged(self, reply: Reply, session: Session, size: int) -> Reply | Deferred[Reply]:
        """Charge the account's rate with the octets of a mail, and with a refused mail as with a part. Charge what it
        costs the gateway too, which an account without a rate pays: the reply may wait for that."""
        refused = reply.code != 250
        octets = size // OCTETS_OF_WORK
        if not (refused or octets):
            return reply
        account = self._accounts.get(session.account)
        if account is not None:
            account.bucket.charge(refused + size // OCTETS_OF_A_PART)
        return self._accounts.answer_after_work(session.account, refused + octets, reply)

    def _send(self, text: str | Refused, session: Session, envelope: Envelope, octets: bytes) -> Deferred[Reply]:
        """Submit the text of a mail."""
        if isinstance(text, Refused):
            return succeed(self._refusal(text))
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
        account = session.account
        submission = Submission(
            account,
            "",
            envelope.data,
            named,
            text,
            text_limit=limit,
            as_states=self._manner.as_states,
            login=account,
            listener=self._listener.name,
        )

        def stored(answers: list[Accepted | Refused]) -> Reply:
            (answer,) = answers
            return self._reply(answer if isinstance(answer, Refused) else answer.id)

        return self._intake.submit([submission]).addCallbacks(stored, _not_stored)

    def _reply(self, answer: int | Refused) -> Reply:
        return self._refusal(answer) if isinstance(answer, Refused) else Reply(250, self._accepted.format(id=answer))

    def status(self, session: Session, argument: str) -> Deferred[Reply]:
        """Reply to ``STATUS <id>``: parts, closed, code (000-31..38)."""
        unknown = Reply(550, f"5.1.1 {argument} message not found")
        if self._account(session) is None:
            return succeed(self._refusal(Refused(Refusal.NOT_ALLOWED)))
        if not (argument.isascii() and argument.isdecimal()) or len(argument) > 18 or argument.startswith("0"):
            return succeed(unknown)

        def counted(counts: list[BatchCount]) -> Reply:
            if not counts:
                return unknown
            stands = batch_status(counts, self._manner)
            meaning = self._manner.meanings[stands.code]
            return Reply(250, f"{argument} {stands.parts} {int(stands.closed)} {stands.code} {meaning}")

        counting = self._counting[session.account].run(self._store.batch_counts, session.account, int(argument))
        replying = counting.addCallbacks(counted, _not_stored)
        return replying.addCallback(partial(self._accounts.answer_after_work, session.account, 1))

    def closed(self, session: Session) -> None:
        """Do nothing: the front end keeps no state of a session."""


def _read(octets: bytes) -> str | Refused:
    """Return the text of a mail; in a thread."""
    return mail_text(octets, rests())


def _not_stored(failure: Failure) -> Reply:
    """Return a temporary error for all failures of the store."""
    failure.trap(GatewayError)
    return TRY_LATER

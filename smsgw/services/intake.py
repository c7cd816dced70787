"""The one door: checks submissions, makes messages of them, stores them, and only then says yes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import IIntake, IMessageStore, IPolicy
from smsgw.model.address import NATIONAL, normalise
from smsgw.model.changes import Changes, Committed
from smsgw.model.content import Content
from smsgw.model.errors import Refusal, Refused, StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.message import Accepted, Message, Submission
from smsgw.services.routing import Router
from smsgw.services.senders import Sender, Senders
from smsgw.telemetry import Counter
from smsgw.text import coding, parts

if TYPE_CHECKING:
    from smsgw.services.accounts import Account, Accounts
    from smsgw.services.dispatch import Dispatch
    from smsgw.services.outbox import Outbox

log = Logger()

ACCEPTED: Final = Counter("smsgw_accepted_total", "Messages accepted, by account.", ("account",))
REFUSED: Final = Counter("smsgw_refused_total", "Submissions refused, by account and reason.", ("account", "reason"))

ALWAYS_ONE_PART: Final = 140
"""Octets that fit one part in every alphabet."""

_UDHI: Final = 0x40
_CONCATENATION_OCTETS: Final = parts.NARROW

FORBIDDEN_PROTOCOLS: Final = frozenset({0x7F})
"""protocol_id values that reach into the handset rather than its owner (SIM data download)."""


@implementer(IIntake)
class Intake:
    """Implements :class:`~smsgw.interfaces.IIntake`.

    :param now: absolute time, seconds since 1970. :param seconds: monotonic time for rates.
    :param country: key of :data:`smsgw.model.address.NATIONAL`.
    """

    def __init__(
        self,
        store: IMessageStore,
        accounts: Accounts,
        senders: Senders,
        router: Router,
        dispatch: Dispatch,
        outbox: Outbox,
        now: Callable[[], float],
        seconds: Callable[[], float],
        country: str = "ru",
        policies: Sequence[IPolicy] = (),
    ) -> None:
        self._store = store
        self._accounts = accounts
        self.senders = senders
        self._router = router
        self._dispatch = dispatch
        self._outbox = outbox
        self._now = now
        self._seconds = seconds
        self._national = NATIONAL[country]
        self._policies = policies

    def submit(self, submissions: Sequence[Submission]) -> Deferred[list[Accepted | Refused]]:
        """See :meth:`smsgw.interfaces.IIntake.submit`."""
        now = self._now()
        messages: list[Message] = []
        try:
            answers = [self._register(submission, now, messages) for submission in submissions]
        except StoreDown as down:
            return _failed(down)
        if not messages:
            return succeed(answers)
        dispatch = self._dispatch
        dispatch.reserve(messages)
        committing = self._store.commit(Changes(accepts=messages))

        def stored(committed: Committed) -> list[Accepted | Refused]:
            for message in messages:
                ACCEPTED.add(1, message.account)
            dispatch.stored(messages)
            if committed.events:
                self._outbox.occurred(committed.events)
            return answers

        def failed(failure: Failure) -> Failure:
            dispatch.unstored(messages)
            return failure

        return committing.addCallbacks(stored, failed)

    def _register(self, submission: Submission, now: float, messages: list[Message]) -> Accepted | Refused:
        """Append the messages of one submission; or say why there are none."""
        account = self._accounts.get(submission.account)
        if account is None:
            return Refused(Refusal.NOT_ALLOWED)
        answer = self._made(account, submission, now, messages)
        if type(answer) is Refused:
            REFUSED.add(1, account.name, answer.refusal.name.lower())
        return answer

    def _made(
        self, account: Account, submission: Submission, now: float, messages: list[Message]
    ) -> Accepted | Refused:
        refused = self._by_policy(account, submission)
        if refused is not None:
            return refused
        recipients = self._recipients(submission)
        if type(recipients) is Refused:
            return recipients
        sender = self.senders.resolve(account.settings, submission.source)
        if type(sender) is Refused:
            return sender
        content = self._content(submission, sender)
        if type(content) is Refused:
            return content
        times = _times(submission, now, account.settings.validity)
        if type(times) is Refused:
            return times
        if account.bucket.level(self._seconds()) <= 0:
            return Refused(Refusal.OVER_RATE)
        return self._addressed(account, submission, recipients, sender, content, times, now, messages)

    def _by_policy(self, account: Account, submission: Submission) -> Refused | None:
        for policy in self._policies:
            try:
                (refused,) = policy.check(account, [submission])
            except Exception:  # a third party's rule: its fault refuses this one submission and is told in the log
                log.failure("policy {policy} failed", policy=policy)
                return Refused(Refusal.STORE_DOWN, "a rule of the gateway failed")
            if refused is not None:
                return refused
        return None

    def _recipients(self, submission: Submission) -> list[str | None] | Refused:
        """The recipients in international form, None for each that is no number."""
        numbers = [normalise(written, self._national) for written in submission.recipients]
        if not any(numbers):
            return Refused(Refusal.BAD_RECIPIENT)
        return numbers

    def _content(self, submission: Submission, sender: Sender) -> Content | Refused:
        """The user data, cut into parts; the concatenation reference is given with the id."""
        text = submission.text
        if submission.protocol_id in FORBIDDEN_PROTOCOLS:
            return Refused(Refusal.CANNOT_REGISTER, f"protocol_id 0x{submission.protocol_id:02X} is not allowed")
        if text is None:
            octets, data_coding = submission.octets, submission.data_coding
            if not coding.known(data_coding):
                return Refused(Refusal.BAD_ENCODING, f"data_coding 0x{data_coding:02X} is not known")
        else:
            if submission.text_limit and len(text) > submission.text_limit:
                return Refused(
                    Refusal.TEXT_TOO_LONG, f"{len(text)} characters; at most {submission.text_limit} are allowed"
                )
            try:
                data_coding, octets = coding.encode(text)
            except coding.NotEncodable as error:
                return Refused(Refusal.BAD_ENCODING, str(error))
        if not octets:
            return Refused(Refusal.EMPTY_TEXT)
        pieces: Sequence[bytes]
        if len(octets) <= ALWAYS_ONE_PART or submission.esm_class & _UDHI:
            pieces = (octets,)
        else:
            try:
                pieces = tuple(parts.split(octets, coding.alphabet(data_coding), _CONCATENATION_OCTETS))
            except parts.TooManyParts as error:
                return Refused(Refusal.TEXT_TOO_LONG, str(error))
        return Content(
            sender.value,
            sender.ton,
            sender.npi,
            1,
            1,
            data_coding,
            submission.esm_class,
            tuple(pieces),
            0,
            submission.protocol_id,
            submission.service_type,
            submission.tlvs,
        )

    def _addressed(
        self,
        account: Account,
        submission: Submission,
        recipients: Sequence[str | None],
        sender: Sender,
        content: Content,
        times: tuple[State, float, float],
        now: float,
        messages: list[Message],
    ) -> Accepted | Refused:
        """One message per recipient; a refused one is kept as such if another is accepted or the front end says so."""
        ways = [self._way(account, submission, sender, number, content) for number in recipients]
        taken = [way for way in ways if type(way) is str]
        if not taken:
            first = ways[0]
            assert isinstance(first, Refused)
            if first.refusal not in submission.as_states:
                return first
        next_id = self._store.next_id
        batch = next_id() if len(recipients) > 1 else 0
        state, expires, due = times
        count = len(content.parts)
        made = []
        for written, number, way in zip(submission.recipients, recipients, ways, strict=True):
            number_ = next_id()
            own = content
            if count > 1:
                own = _with_reference(content, number_)
            accepted = type(way) is str
            made.append(
                Message(
                    number_,
                    account.name,
                    submission.path,
                    way if accepted else "",  # type: ignore[arg-type]
                    state if accepted else State.REFUSED,
                    submission.priority,
                    False,
                    0,
                    submission.notify,
                    count,
                    expires,
                    now,
                    now,
                    due,
                    0,
                    number or written[:20],
                    batch,
                    own,
                )
            )
        messages += made
        account.bucket.charge(count * len(taken))
        return Accepted(batch or made[0].id, [message.id for message in made], count * len(made), made[0].state)

    def _way(
        self, account: Account, submission: Submission, sender: Sender, number: str | None, content: Content
    ) -> str | Refused:
        """The connector for one recipient."""
        if number is None:
            return Refused(Refusal.BAD_RECIPIENT)
        if sender.operators is not None and not sender.agreed_for(number):
            return Refused(Refusal.SENDER_NOT_AGREED_FOR_OPERATOR)
        return self._router.route(account.name, sender.value, number, content.text)


def _with_reference(content: Content, number: int) -> Content:
    """The content with a concatenation reference taken from the message's id."""
    return Content(
        content.source,
        content.source_ton,
        content.source_npi,
        content.dest_ton,
        content.dest_npi,
        content.data_coding,
        content.esm_class,
        content.parts,
        number & 0xFFFF,
        content.protocol_id,
        content.service_type,
        content.tlvs,
    )


def _times(submission: Submission, now: float, validity: float) -> tuple[State, float, float] | Refused:
    """State at acceptance, end of validity, and time of the first attempt (0: at once)."""
    due = submission.schedule
    scheduled = due > now
    expires = submission.expires or (due if scheduled else now) + validity
    if expires <= now:
        return Refused(Refusal.BAD_VALIDITY, "the validity period is over already")
    if scheduled and expires <= due:
        return Refused(Refusal.BAD_VALIDITY, "the validity period ends before the scheduled delivery")
    return (State.SCHEDULED, expires, due) if scheduled else (State.QUEUED, expires, 0.0)


def _failed(error: Exception) -> Deferred[list[Accepted | Refused]]:
    failing: Deferred[list[Accepted | Refused]] = Deferred()
    failing.errback(Failure(error))
    return failing

"""Intake: checks submissions, makes messages of them, stores these, and then answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import IIntake, IMessageStore, IPolicy
from smsgw.model import errorcodes
from smsgw.model.address import NATIONAL, normalise
from smsgw.model.changes import Committed, Conditional, Once
from smsgw.model.content import WHOLE, Content, Cut
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.errors import Refusal, Refused, StoreDown, StoreFull
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import CALLBACK, Accepted, Message, Options, Previewed, Submission
from smsgw.services.clock import CheckedClock
from smsgw.services.intake.content import build, with_reference
from smsgw.services.intake.metrics import IntakeMetrics
from smsgw.services.intake.options import validate
from smsgw.services.routing import Router
from smsgw.services.senders import Sender, Senders
from smsgw.text import coding

if TYPE_CHECKING:
    from smsgw.config import AccountSettings, Settings
    from smsgw.services.accounts import Account, Accounts
    from smsgw.services.dispatch import Dispatch

log = Logger()

IDEMPOTENCY: Final = "idempotency "
"""The prefix of the scope of an account's idempotency keys."""

WRITTEN: Final = 40
"""Characters stored of a recipient as the client wrote it."""


_NOT_ALLOWED: Final = Refused(Refusal.NOT_ALLOWED)
_BAD_RECIPIENT: Final = Refused(Refusal.BAD_RECIPIENT)
_OTHER_OPERATOR: Final = Refused(Refusal.SENDER_NOT_AGREED_FOR_OPERATOR)
_NO_SENDER: Final = Sender("", 0, 0, None)
_OVER_RATE: Final = Refused(Refusal.OVER_RATE)
_REUSED: Final = Refused(Refusal.KEY_REUSED)

_Prepared: TypeAlias = tuple[str | None, Sender, Content, Cut, tuple[State, float, float]]
"""A checked submission: the number of its first recipient (None: it has none, but another recipient has), the sender,
the text and its cut, and what :func:`_times` returns."""

_EVERYTHING: Final = int(Notify.ENROUTE | Notify.FINAL)
"""The events that are reported by callback (002-105)."""


@implementer(IIntake)
class Intake:
    """Accepts submissions.

    :param seconds: monotonic time for rates.
    """

    def __init__(
        self,
        settings: Settings,
        store: IMessageStore,
        accounts: Accounts,
        senders: Senders,
        router: Router,
        dispatch: Dispatch,
        time: CheckedClock,
        seconds: Callable[[], float],
        policies: Sequence[IPolicy] = (),
        metrics: IntakeMetrics | None = None,
    ) -> None:
        self._metrics = metrics or IntakeMetrics()
        self._store = store
        self._accounts = accounts
        self._senders = senders
        self._router = router
        self._dispatch = dispatch
        self._time = time
        self._seconds = seconds
        self._policies = policies
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Use the new settings for national numbers and for the time that idempotency keys are kept."""
        self._national = NATIONAL[settings.gateway.country]
        self._key_life = settings.gateway.idempotency

    def submit(self, submissions: Sequence[Submission]) -> Deferred[list[Accepted | Refused]]:
        messages: list[Message] = []
        keys: list[Conditional] = []
        try:
            answers = self._registered(submissions, messages, keys)
        except StoreDown as down:
            return fail(down)
        if not messages:
            return succeed(answers)

        def stored(committed: Committed) -> list[Accepted | Refused]:
            kept = self._without_repeats(messages, keys, committed, answers) if keys else messages
            if kept:
                self._count(kept)
            return answers

        def failed(failure: Failure) -> Failure | list[Accepted | Refused]:
            if failure.check(StoreFull):
                return [Refused(Refusal.QUEUE_FULL, failure.getErrorMessage()) for _ in submissions]
            return failure

        return self._dispatch.accept(messages, keys).addCallbacks(stored, failed)

    def preview(self, submissions: Sequence[Submission]) -> list[Previewed | Refused]:
        """Check `submissions` of one recipient each and return what :meth:`submit` would do with them. Nothing is
        stored, charged or reserved. Apart from the account's rate, the same is refused as in :meth:`submit`."""
        now = self._time.now()
        return [self._preview(submission, now) for submission in submissions]

    def _preview(self, submission: Submission, now: float) -> Previewed | Refused:
        """What :meth:`submit` would do with a submission of one recipient."""
        account = self._accounts.get(submission.account)
        if account is None or not account.settings.enabled:
            return _NOT_ALLOWED
        prepared = self._prepare(account, submission, now)
        if type(prepared) is Refused:
            return prepared
        number, sender, content, made, _ = prepared
        if number is None:
            return _BAD_RECIPIENT
        way = self._route(submission, sender, number, content, only_look=True)
        if type(way) is Refused:
            return way
        encoding = coding.alphabet(content.data_coding).value
        return Previewed(encoding, len(content.text()), len(made.parts) or 1, number, way)

    def faults(self, submission: Submission) -> list[Refused]:
        """Return everything that is wrong with the fields of a submission of one recipient. :meth:`submit` stops at the
        first fault, for speed."""
        account = self._accounts.get(submission.account)
        if account is None:
            return []
        settings, options = account.settings, submission.options
        number = normalise(submission.recipients[0], self._national)
        sender = self._senders.resolve(settings, submission.sender)
        prepared = build(submission, _NO_SENDER if isinstance(sender, Refused) else sender)
        found: list[object] = [
            _BAD_RECIPIENT if number is None else None,
            None if options is None else validate(options, settings),
            sender,
            prepared,
            _times(submission, self._time, settings.validity),
        ]
        if number is not None and not isinstance(sender, Refused) and not isinstance(prepared, Refused):
            found.append(self._route(submission, sender, number, prepared[0], only_look=True))
        return [one for one in found if isinstance(one, Refused)]

    def _registered(
        self, submissions: Sequence[Submission], messages: list[Message], keys: list[Conditional]
    ) -> list[Accepted | Refused]:
        """The answer to each submission; appends its messages, and the condition of its idempotency key."""
        now, seconds = self._time.now(), self._seconds()
        answers: list[Accepted | Refused] = []
        account: Account | None = None
        for submission in submissions:
            if account is None or account.name != submission.account:
                account = self._accounts.get(submission.account)
            if account is None or not account.settings.enabled:
                answer: Accepted | Refused = _NOT_ALLOWED
            else:
                if not submission.notify:
                    _report_by_callback(submission, account.settings)
                answer = self._register(account, submission, now, seconds, messages)
            if type(answer) is Refused:
                self._metrics.refused[submission.account, answer.refusal.name.lower()] += 1
            elif submission.options is not None and submission.options.key:
                own = messages[-len(answer.message_ids) :]
                keys.append(self._keyed(submission.account, submission.options, answer.id, own, now))
            answers.append(answer)
        if self._time.ahead:
            for message in messages:
                message.expires += self._time.ahead
        return answers

    def _keyed(self, account: str, options: Options, id: int, messages: Sequence[Message], now: float) -> Conditional:
        once = Once(IDEMPOTENCY + account, options.key, now + self._key_life, options.digest, id)
        return Conditional(messages, [once])

    def _without_repeats(
        self, messages: list[Message], keys: list[Conditional], committed: Committed, answers: list[Accepted | Refused]
    ) -> list[Message]:
        """The messages that were stored. Messages of a repeated idempotency key were not stored: their answer becomes
        the answer to the first use, or a refusal if the submission differs from the first."""
        repeats = {
            unmet.condition.id: (unmet, key.messages)
            for key, unmet in zip(keys, committed.conditions, strict=True)
            if unmet is not None and isinstance(unmet.condition, Once)
        }
        if not repeats:
            return messages
        for at, answer in enumerate(answers):
            if isinstance(answer, Accepted) and answer.id in repeats:
                used, own = repeats[answer.id]
                account = own[0].account
                if isinstance(used.condition, Once) and used.digest == used.condition.digest:
                    answers[at] = Accepted(used.id, (used.id,), 0, State.SCHEDULED, True)
                    self._metrics.repeated[account] += 1
                else:
                    answers[at] = _REUSED
                    self._metrics.refused[account, Refusal.KEY_REUSED.name.lower()] += 1
        gone = {message.id for _, own in repeats.values() for message in own}
        return [message for message in messages if message.id not in gone]

    def _prepare(self, account: Account, submission: Submission, now: float) -> _Prepared | Refused:
        """Make all checks of a submission except the account's rate and the routes of its recipients."""
        if self._policies and (refused := self._by_policy(account, submission)) is not None:
            return refused
        national, recipients = self._national, submission.recipients
        number = normalise(recipients[0], national)
        if number is None and not any(normalise(written, national) for written in recipients[1:]):
            return _BAD_RECIPIENT
        settings, options = account.settings, submission.options
        if options is not None and (refused := validate(options, settings)) is not None:
            return refused
        sender = self._senders.resolve(settings, submission.sender)
        if type(sender) is Refused:
            return sender
        built = build(submission, sender)
        if type(built) is Refused:
            return built
        if submission.schedule or submission.expires:
            times = _times(submission, self._time, settings.validity)
            if type(times) is Refused:
                return times
        else:
            times = (State.QUEUED, now + settings.validity, 0.0)
        return number, sender, built[0], built[1], times

    def _register(
        self, account: Account, submission: Submission, now: float, seconds: float, messages: list[Message]
    ) -> Accepted | Refused:
        """Append the messages of one submission; or return why it is refused."""
        prepared = self._prepare(account, submission, now)
        if type(prepared) is Refused:
            return prepared
        bucket = account.bucket
        if bucket.rate and bucket.level(seconds) <= 0:
            return _OVER_RATE
        recipients, options = submission.recipients, submission.options
        if len(recipients) > 1 or (options is not None and options.batch):
            return self._make_batch(account, submission, prepared, now, messages)
        number, sender, content, made, times = prepared
        way = self._route(submission, sender, number, content)
        if type(way) is Refused and way.refusal not in submission.as_states:
            return way
        message = self._message(submission, number, recipients[0], way, content, made, times, now, 0)
        messages.append(message)
        if bucket.rate:
            bucket.charge(message.parts)
        return Accepted(message.id, (message.id,), message.parts, message.state)

    def _make_batch(
        self, account: Account, submission: Submission, prepared: _Prepared, now: float, messages: list[Message]
    ) -> Accepted | Refused:
        """Make one message for each recipient, with one batch id. If no message can be sent the answer is the first
        refusal; else each message that cannot be sent is stored in a final state."""
        first_number, sender, content, made, times = prepared
        others = [normalise(written, self._national) for written in submission.recipients[1:]]
        numbers = [first_number, *others]
        ways = [self._route(submission, sender, number, content) for number in numbers]
        taken = sum(isinstance(way, str) for way in ways)
        if not taken:
            first = next(way for way in ways if type(way) is Refused and way is not _BAD_RECIPIENT)
            if first.refusal not in submission.as_states:
                return first
        options = submission.options
        batch = (options.batch if options is not None else 0) or self._store.next_id()
        own = [
            self._message(submission, number or written[:20], written, way, content, made, times, now, batch)
            for written, number, way in zip(submission.recipients, numbers, ways, strict=True)
        ]
        messages += own
        count = len(made.parts) or 1
        account.bucket.charge(taken * count)
        return Accepted(batch, [message.id for message in own], len(own) * count, own[0].state)

    def _route(
        self, submission: Submission, sender: Sender, number: str | None, content: Content, only_look: bool = False
    ) -> str | Refused:
        """The connector for one recipient."""
        if number is None:
            return _BAD_RECIPIENT
        if sender.operators is not None and not sender.agreed_for(number):
            return _OTHER_OPERATOR
        return self._router.route(submission.account, sender.value, number, content.text, only_look)

    def _message(
        self,
        submission: Submission,
        number: str | None,
        written: str,
        way: str | Refused,
        content: Content,
        made: Cut,
        times: tuple[State, float, float],
        now: float,
        batch: int,
    ) -> Message:
        """Make a message with a new id; in a final state if it has no connector."""
        id = self._store.next_id()
        state, expires, due = times
        connector, error = "", 0
        if type(way) is Refused:
            state, error = State.REFUSED, errorcodes.REFUSED.get(way.refusal, ErrorCode.NO_ROUTE)
        else:
            connector = way
        return Message(
            id,
            submission.account,
            submission.path,
            connector,
            state,
            submission.priority,
            False,
            0,
            submission.notify,
            len(made.parts) or 1,
            expires,
            now,
            now,
            due,
            error,
            number or "",
            batch,
            content if written == number else attrs.evolve(content, recipient=written[:WRITTEN]),
            0.0,
            "",
            (),
            made if made is WHOLE else with_reference(made, id),
            submission.login,
            submission.listener,
        )

    def _count(self, messages: Sequence[Message]) -> None:
        """Count accepted messages; those of one call nearly always belong to one account."""
        accepted = self._metrics.accepted
        name, number = messages[0].account, 0
        for message in messages:
            if message.account != name:
                accepted[name] += number
                name, number = message.account, 0
            number += 1
        accepted[name] += number

    def _by_policy(self, account: Account, submission: Submission) -> Refused | None:
        """The refusal of the first policy that refuses the submission, None if all allow it."""
        for policy in self._policies:
            try:
                (refused,) = policy.check(account, [submission])
            except Exception:  # noqa: BLE001 - a third party's rule: its fault affects this submission only, and is logged
                log.failure("policy {policy} failed", policy=policy)
                return Refused(Refusal.STORE_DOWN, "a rule of the gateway failed, try again later")
            if refused is not None:
                return refused
        return None


def _report_by_callback(submission: Submission, settings: AccountSettings) -> None:
    """Have a submission that asks for no receipt reported by callback, if it or its account has one (002-105)."""
    options = submission.options
    if settings.callback or (options is not None and options.labels is not None and options.labels.callback):
        submission.path, submission.notify = CALLBACK, _EVERYTHING


def _times(submission: Submission, time: CheckedClock, validity: float) -> tuple[State, float, float] | Refused:
    """The state at acceptance, the end of validity, and the time of the first attempt (0: at once). Times that the
    client gives are tested by the earliest time that it may be."""
    due = submission.schedule
    earliest = time.earliest()
    scheduled = due > earliest
    expires = submission.expires or (due if scheduled else time.now()) + validity
    if expires <= earliest:
        return Refused(Refusal.BAD_VALIDITY, "the validity period is over already")
    if scheduled and expires <= due:
        return Refused(Refusal.BAD_VALIDITY, "the validity period ends before the scheduled delivery")
    return (State.SCHEDULED, expires, due) if scheduled else (State.QUEUED, expires, 0.0)

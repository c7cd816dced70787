"""The front end for ESMEs: binds, submissions, queries and cancellations, answered by the rules of the dialect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import Settings, SmppListenSettings
from smsgw.dialects import Excess, SmppManner
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.interfaces import BindAccepted, IIntake, IMessageStore, ISmppDelegate, ISmppSession
from smsgw.model.address import NATIONAL, normalise
from smsgw.model.changes import Cancel
from smsgw.model.errors import Refusal, Refused, StoreDown, UnknownOutcome
from smsgw.model.message import Accepted, Message, Submission
from smsgw.protocols.smpp.mapping import answer, submission_reader
from smsgw.services.accounts import Account, Accounts
from smsgw.services.cancel import Cancellation
from smsgw.smpp.consts import Status
from smsgw.smpp.pdus import Bind, CancelSm, CancelSmResp, Pdu, QuerySm, SubmitSm, SubmitSmResp

_UNSUPPORTED: Final = int(Status.ESME_RINVCMDID)
_LATER: Final = int(Status.ESME_RSYSERR)
_EXPECTED: Final = (StoreDown, UnknownOutcome)
_log = Logger()

Answers = list[Pdu | int]
"""A response or a command_status for each request of a call."""


@implementer(ISmppDelegate)
class SmppFrontend:
    """The delegate of one SMPP listener's sessions.

    :param listener: its settings. :param manner: of its dialect.
    :param receipts: the return path that all SMPP listeners share.
    :param now: absolute seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        listener: SmppListenSettings,
        manner: SmppManner,
        receipts: SmppReceipts,
        accounts: Accounts,
        intake: IIntake,
        store: IMessageStore,
        cancelling: Cancellation,
        now: Callable[[], float],
    ) -> None:
        self._listener = listener
        self._system_id = listener.system_id.encode("ascii")
        self._manner = manner
        self._read = submission_reader(listener.name, manner)
        self._receipts = receipts
        self._accounts = accounts
        self._intake = intake
        self._store = store
        self._cancelling = cancelling
        self._now = now
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Take the time zone and the rule for national numbers from the settings, and the receipts of its messages."""
        self._receipts.add_listener(self._listener.name, self._manner)
        self._zone = settings.gateway.timezone
        self._national = NATIONAL[settings.gateway.country]

    def bind(self, session: ISmppSession, pdu: Pdu) -> Deferred[BindAccepted | int]:
        assert isinstance(pdu, Bind)
        checked = self._accounts.check(pdu.system_id, pdu.password, session.peer, "smpp")
        return checked.addCallback(self._known, session, pdu.system_type)

    def _known(
        self, account: Account | Refused, session: ISmppSession, system_type: bytes
    ) -> BindAccepted | int:
        if isinstance(account, Refused):
            return self._manner.status(account.refusal, session.version)
        binds = self._receipts.binds
        if self._manner.excess is Excess.REFUSE and binds.count(account.name) >= self._allowed(account):
            self._accounts.log_refused("smpp", session.peer, account.name, "it already has all its sessions")
            return self._manner.status(Refusal.TOO_MANY_BINDS, session.version)
        binds.enter(session, account.name)
        listener = self._listener
        return BindAccepted(account.name, self._system_id, listener.deliver_window, listener.name, system_type)

    def _allowed(self, account: Account) -> int:
        """Return how many sessions an account may have."""
        return account.settings.connections or self._listener.connections

    def bound(self, session: ISmppSession) -> None:
        self._receipts.bound(session)
        account = self._accounts.get(session.bound.account)
        if account is not None and self._manner.excess is Excess.UNBIND_OLDEST:
            self._receipts.binds.unbind_excess(account.name, self._allowed(account))

    def ready(self, session: ISmppSession) -> None:
        self._receipts.ready(session)

    def answers(self, session: ISmppSession, answers: Sequence[tuple[object, int, Pdu | None]]) -> None:
        self._receipts.answers(session, answers)

    def closed(self, session: ISmppSession, why: str) -> None:
        self._receipts.closed(session)

    def requests(self, session: ISmppSession, pdus: Sequence[Pdu]) -> Deferred[Answers]:
        """All submissions of a call go to intake together. Operations that the dialect does not support get
        ESME_RINVCMDID. If intake or the store fails, the request gets ESME_RSYSERR.
        """
        account, version = session.bound.account, session.version
        manner, read, now = self._manner, self._read, self._now()
        answers: Answers = [_LATER] * len(pdus)
        submissions: list[Submission] = []
        places: list[int] = []
        named: list[tuple[int, QuerySm | CancelSm, int]] = []
        for place, pdu in enumerate(pdus):
            if isinstance(pdu, SubmitSm):
                made = read(pdu, account, version, now)
                if isinstance(made, Submission):
                    submissions.append(made)
                    places.append(place)
                else:
                    answers[place] = made if isinstance(made, int) else manner.status(made.refusal, version)
            elif type(pdu) in manner.operations and isinstance(pdu, QuerySm | CancelSm):
                id = manner.ids[version].read(pdu.message_id)
                if id is None:
                    answers[place] = manner.status(Refusal.UNKNOWN_ID, version)
                else:
                    named.append((place, pdu, id))
            else:
                answers[place] = _UNSUPPORTED
        waits: list[Deferred[None]] = []
        if submissions:
            submitted = self._intake.submit(submissions)
            waits.append(
                submitted.addCallbacks(
                    self._submitted, self._failed, callbackArgs=(answers, places, session), errbackArgs=("submit_sm",)
                )
            )
        if named:
            looked_up = Deferred.fromCoroutine(self._look_up(named, answers, account, version))
            waits.append(looked_up.addErrback(self._failed, "query_sm and cancel_sm"))
        if not waits:
            return succeed(answers)
        done = waits[0] if len(waits) == 1 else gatherResults(waits)
        return done.addCallback(lambda _: answers)

    def _submitted(
        self, results: list[Accepted | Refused], answers: Answers, places: list[int], session: ISmppSession
    ) -> None:
        manner, version = self._manner, session.version
        form = manner.ids[version].written
        first = last = 0
        for place, result in zip(places, results, strict=True):
            if isinstance(result, Refused):
                answers[place] = manner.status(result.refusal, version)
            else:
                id = result.id
                first, last = first or id, id
                answers[place] = SubmitSmResp(0, 0, form % id)
        if last:
            self._receipts.binds.submitted(session, first, last)

    @staticmethod
    def _failed(failure: Failure, operation: str) -> None:
        """Keep the initial answers, ESME_RSYSERR; log an unexpected failure."""
        if not isinstance(failure.value, _EXPECTED):
            _log.failure("{operation} failed", failure, operation=operation)

    async def _look_up(
        self, named: list[tuple[int, QuerySm | CancelSm, int]], answers: Answers, account: str, version: int
    ) -> None:
        """Answer queries, cancel messages. Ids of batches and of other accounts' messages count as unknown."""
        manner = self._manner
        found = await self._store.find(account, [id for _, _, id in named])
        wishes: list[Cancel] = []
        places: list[int] = []
        for (place, pdu, id), messages in zip(named, found, strict=True):
            if len(messages) != 1 or messages[0].id != id or not self._is_of(messages[0], pdu):
                answers[place] = manner.status(Refusal.UNKNOWN_ID, version)
            elif isinstance(pdu, QuerySm):
                answers[place] = answer(messages[0], manner, version, self._zone)
            else:
                wishes.append(Cancel(account, id))
                places.append(place)
        if wishes:
            for place, done in zip(places, await self._cancelling.cancel(wishes), strict=True):
                answers[place] = manner.status(done.refusal, version) if isinstance(done, Refused) else CancelSmResp()

    def _is_of(self, message: Message, pdu: QuerySm | CancelSm) -> bool:
        """Return whether the addresses of a request, if given, are those of the message (5.0 sections 4.5.1, 4.5.2)."""
        source = pdu.source_addr.decode("latin-1").removeprefix("+")
        if source and source.casefold() != message.content.sender.casefold():
            return False
        if isinstance(pdu, QuerySm) or not pdu.destination_addr:
            return True
        destination = pdu.destination_addr.decode("latin-1")
        return message.recipient in (destination, normalise(destination, self._national))

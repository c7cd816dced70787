"""SMPP in, dialect standard: binds, submissions, queries and cancellations of ESMEs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import Settings, SmppListenSettings
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.frontends.smpp.status import status_of
from smsgw.interfaces import BindAccepted, IIntake, IMessageStore, ISmppDelegate, ISmppSession
from smsgw.model.address import NATIONAL, normalise
from smsgw.model.changes import Cancel
from smsgw.model.errors import Refusal, Refused, StoreDown, UnknownOutcome
from smsgw.model.message import Accepted, Message, Submission
from smsgw.model.pacing import log_limit
from smsgw.protocols.smpp.mapping import answer, form_of_ids, read_id, submission
from smsgw.services.accounts import Account, Accounts
from smsgw.services.cancel import Cancellation
from smsgw.smpp.consts import Status
from smsgw.smpp.pdus import Bind, CancelSm, CancelSmResp, Pdu, QuerySm, SubmitSm, SubmitSmResp

_UNSUPPORTED: Final = int(Status.ESME_RINVCMDID)
_LATER: Final = int(Status.ESME_RSYSERR)
_EXPECTED: Final = (StoreDown, UnknownOutcome)
_log = Logger()

Answers = list[Pdu | int]
"""Per request of a call its response or a command_status."""


@implementer(ISmppDelegate)
class SmppFrontend:
    """What one SMPP listener asks of the gateway.

    :param listener: its settings. :param receipts: the return path that all SMPP listeners share.
    :param wall: absolute seconds since 1970. :param seconds: monotonic time.
    """

    def __init__(
        self,
        settings: Settings,
        listener: SmppListenSettings,
        receipts: SmppReceipts,
        accounts: Accounts,
        intake: IIntake,
        store: IMessageStore,
        cancelling: Cancellation,
        wall: Callable[[], float],
        seconds: Callable[[], float],
    ) -> None:
        self._system_id = listener.system_id.encode("ascii")
        self._connections = listener.connections
        self._deliver_window = listener.deliver_window
        self._receipts = receipts
        self._accounts = accounts
        self._intake = intake
        self._store = store
        self._cancelling = cancelling
        self._wall = wall
        self._seconds = seconds
        self._lines = log_limit()
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Write dates and read national numbers as is configured now."""
        self._zone = settings.gateway.timezone
        self._national = NATIONAL[settings.gateway.country]

    def bind(self, session: ISmppSession, pdu: Pdu) -> Deferred[BindAccepted | int]:
        """See :meth:`smsgw.interfaces.ISmppDelegate.bind`."""
        assert isinstance(pdu, Bind)
        checked = self._accounts.check(pdu.system_id, pdu.password, session.peer, "smpp")
        return checked.addCallback(self._known, session)

    def _known(self, account: Account | Refused, session: ISmppSession) -> BindAccepted | int:
        if isinstance(account, Refused):
            self._say_refused(session, str(account))
            return status_of(account.refusal, session.version)
        if self._receipts.binds.count(account.name) >= (account.settings.connections or self._connections):
            self._say_refused(session, f"{account.name} has all its connections open")
            return status_of(Refusal.TOO_MANY_BINDS, session.version)
        self._receipts.binds.enter(session, account.name)
        return BindAccepted(account.name, self._system_id, self._deliver_window)

    def _say_refused(self, session: ISmppSession, why: str) -> None:
        if self._lines.take(self._seconds()):
            _log.info("a bind from {peer} is refused: {why}", peer=session.peer, why=why)

    def bound(self, session: ISmppSession) -> None:
        self._receipts.bound(session)

    def ready(self, session: ISmppSession) -> None:
        self._receipts.ready(session)

    def answers(self, session: ISmppSession, answers: Sequence[tuple[object, int, Pdu | None]]) -> None:
        """See :meth:`smsgw.interfaces.ISmppDelegate.answers`."""
        self._receipts.answers(session, answers)

    def closed(self, session: ISmppSession, why: str) -> None:
        """See :meth:`smsgw.interfaces.ISmppDelegate.closed`."""
        self._receipts.binds.leave(session)

    def requests(self, session: ISmppSession, pdus: Sequence[Pdu]) -> Deferred[Answers]:
        """See :meth:`smsgw.interfaces.ISmppDelegate.requests`.

        What is not in this list of operations is answered as unsupported. All submissions of a call go to intake
        together; until somebody knows better, each answer is to try again later.
        """
        account, version = session.bound.account, session.version
        now = self._wall()
        answers: Answers = [_LATER] * len(pdus)
        submissions: list[Submission] = []
        places: list[int] = []
        named: list[tuple[int, QuerySm | CancelSm, int]] = []
        for place, pdu in enumerate(pdus):
            if isinstance(pdu, SubmitSm):
                made = submission(pdu, account, version, now)
                if isinstance(made, Submission):
                    submissions.append(made)
                    places.append(place)
                else:
                    answers[place] = made if isinstance(made, int) else status_of(made.refusal, version)
            elif isinstance(pdu, QuerySm | CancelSm):
                id = read_id(pdu.message_id, version)
                if id is None:
                    answers[place] = status_of(Refusal.UNKNOWN_ID, version)
                else:
                    named.append((place, pdu, id))
            else:
                answers[place] = _UNSUPPORTED
        waits: list[Deferred[None]] = []
        if submissions:
            submitted = self._intake.submit(submissions)
            waits.append(
                submitted.addCallbacks(
                    self._submitted, self._failed, callbackArgs=(answers, places, version), errbackArgs=("submit_sm",)
                )
            )
        if named:
            looked_up = Deferred.fromCoroutine(self._look_up(named, answers, account, version))
            waits.append(looked_up.addErrback(self._failed, "query_sm and cancel_sm"))
        if not waits:
            return succeed(answers)
        done = waits[0] if len(waits) == 1 else gatherResults(waits)
        return done.addCallback(lambda _: answers)

    @staticmethod
    def _submitted(results: list[Accepted | Refused], answers: Answers, places: list[int], version: int) -> None:
        form = form_of_ids(version)
        for place, result in zip(places, results, strict=True):
            if isinstance(result, Refused):
                answers[place] = status_of(result.refusal, version)
            else:
                answers[place] = SubmitSmResp(0, 0, form % result.id)

    @staticmethod
    def _failed(failure: Failure, operation: str) -> None:
        """The answers stay as they are: try again later."""
        if not isinstance(failure.value, _EXPECTED):
            _log.failure("{operation} failed", failure, operation=operation)

    async def _look_up(
        self, named: list[tuple[int, QuerySm | CancelSm, int]], answers: Answers, account: str, version: int
    ) -> None:
        """Answer queries; cancel what is to be cancelled. Batches are no messages, nor are those of others."""
        found = await self._store.find(account, [id for _, _, id in named])
        wishes: list[Cancel] = []
        places: list[int] = []
        for (place, pdu, id), messages in zip(named, found, strict=True):
            if len(messages) != 1 or messages[0].id != id or not self._is_of(messages[0], pdu):
                answers[place] = status_of(Refusal.UNKNOWN_ID, version)
            elif isinstance(pdu, QuerySm):
                answers[place] = answer(messages[0], version, self._zone)
            else:
                wishes.append(Cancel(account, id))
                places.append(place)
        if wishes:
            for place, done in zip(places, await self._cancelling.cancel(wishes), strict=True):
                answers[place] = status_of(done.refusal, version) if isinstance(done, Refused) else CancelSmResp()

    def _is_of(self, message: Message, pdu: QuerySm | CancelSm) -> bool:
        """Whether the addresses named in a request, if any, are those of the message (5.0 sections 4.5.1, 4.5.2)."""
        source = pdu.source_addr.decode("latin-1").removeprefix("+")
        if source and source.casefold() != message.content.source.casefold():
            return False
        if isinstance(pdu, QuerySm) or not pdu.destination_addr:
            return True
        destination = pdu.destination_addr.decode("latin-1")
        return message.dst in (destination, normalise(destination, self._national))

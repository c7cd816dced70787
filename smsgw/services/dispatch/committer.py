"""The commits of one connector: its outcomes, with the claims of messages for the slots that these outcomes free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.model.changes import Changes, Committed, PartEnded
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.message import Message, Part
from smsgw.model.outcome import Outcome
from smsgw.services.clock import CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.dispatch.inflight import InFlight
from smsgw.services.dispatch.outcomes import OutcomeBatch
from smsgw.services.dispatch.retries import Attempt, Retries

_log = Logger()


@attrs.frozen(eq=False)
class Claims:
    """The waiting messages that one commit claims or ends.

    :ivar messages: messages to be claimed. :ivar ended: messages that end, since their validity is over.
    """

    messages: Sequence[Message] = ()
    ended: Sequence[PartEnded] = ()


NO_CLAIMS: Final = Claims()


class Claimant(Protocol):
    """Decides which waiting messages are claimed: the pump."""

    def next_claims(self) -> Claims:
        """The messages for which there is room now."""

    def committed(self, batch: OutcomeBatch, claims: Claims, granted: Sequence[bool]) -> None:
        """A commit succeeded; `granted` says for each message to be claimed whether this node has claimed it."""

    def uncommitted(self, claims: Claims) -> None:
        """A commit failed: no message was claimed."""

    def refill(self) -> None:
        """A commit that takes messages out of memory was asked for: read the next ones from the store."""

    def pump(self) -> None:
        """The store may work again: send and claim what there is room for."""


class Committer:
    """Commits outcomes in the order in which they came. After a failure it keeps them and all later ones, and commits
    them again after a pause.

    :param finished: called after every commit.
    """

    def __init__(
        self,
        connector: str,
        commits: Commits,
        clock: IReactorTime,
        time: CheckedClock,
        inflight: InFlight,
        claimant: Claimant,
        finished: Callable[[], None],
    ) -> None:
        self._connector = connector
        self._commits = commits
        self._time = time
        self._inflight = inflight
        self._claimant = claimant
        self._report = finished
        self._retries = Retries(connector, clock, self._retry)
        self._answers: list[tuple[Part, Outcome]] = []
        self._committing = 0

    @property
    def idle(self) -> bool:
        """Whether all outcomes are committed."""
        return not (self._committing or self._answers) and self._retries.empty

    @property
    def storing(self) -> bool:
        """Whether outcomes are committed as they come; otherwise they wait for the end of a pause."""
        return not self._retries.waiting

    def outcomes(self, answers: Sequence[tuple[Part, Outcome]]) -> None:
        """Commit outcomes, with the claims of messages for the slots that they free."""
        if self._retries.waiting:
            self._answers += answers
        else:
            self._commit_outcomes(answers)

    def _commit_outcomes(self, answers: Sequence[tuple[Part, Outcome]]) -> None:
        batch = self._inflight.answered(answers, self._time.now(), self._time.ahead)
        claims = NO_CLAIMS if batch.at_once else self._claimant.next_claims()
        if batch.changes or claims.messages or claims.ended:
            self._commit(self._retries.attempt(batch), claims)

    def commit_claims(self, claims: Claims) -> None:
        """Commit claims alone."""
        self._commit(self._retries.attempt(OutcomeBatch([])), claims)

    def requeue(self, batch: OutcomeBatch) -> None:
        """Commit changes of claimed messages that dispatch decided itself, behind the outcomes that wait."""
        if not batch.changes:
            return
        if self._retries.waiting:
            self._retries.keep(batch)
        else:
            self._commit(self._retries.attempt(batch), NO_CLAIMS)

    def _commit(self, attempt: Attempt, claims: Claims) -> None:
        batch = attempt.batch
        changes = Changes(claims=[*claims.messages], outcomes=[*batch.changes, *claims.ended])
        self._committing += 1
        self._commits.commit(changes).addCallbacks(
            self._committed, self._failed, callbackArgs=(batch, claims), errbackArgs=(attempt, claims)
        ).addBoth(self._finished)
        if claims is not NO_CLAIMS:
            self._claimant.refill()

    def _committed(self, committed: Committed, batch: OutcomeBatch, claims: Claims) -> None:
        self._retries.stored()
        self._inflight.committed(batch)
        self._claimant.committed(batch, claims, committed.claims)

    def _failed(self, failure: Failure, attempt: Attempt, claims: Claims) -> None:
        """A commit failed, perhaps with an unknown outcome: keep the outcomes."""
        self._inflight.failed(attempt.batch)
        self._claimant.uncommitted(claims)
        self._retries.failed(attempt)
        if failure.check(StoreDown, UnknownOutcome) is None:
            _log.failure("the store did not take outcomes of {connector}", failure, connector=self._connector)

    def _retry(self) -> None:
        """The pause is over: commit in order what the store did not take, and what came since."""
        for attempt in self._retries.take():
            self._inflight.committing(attempt.batch)
            if attempt.batch.changes:
                self._commit(attempt, NO_CLAIMS)
            else:
                self._inflight.committed(attempt.batch)
        answers, self._answers = self._answers, []
        if answers:
            self._commit_outcomes(answers)
        self._claimant.pump()

    def _finished(self, fault: Failure | None) -> None:
        """A fault of ours is logged: nothing waits for the result of these commits."""
        if fault is not None:
            _log.failure("dispatch to {connector}", fault, connector=self._connector)
        self._committing -= 1
        self._report()

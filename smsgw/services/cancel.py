"""Taking back what still waits, for its account or for the administrator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from smsgw.model.changes import Cancel, Changes, Committed
from smsgw.model.errors import Refused
from smsgw.model.message import Message
from smsgw.services.commits import Commits

if TYPE_CHECKING:
    from smsgw.services.dispatch import Dispatch


class Cancellation:
    """Cancels messages that were not yet handed to an upstream; the accounts that asked for reports get them."""

    def __init__(self, commits: Commits, dispatch: Dispatch) -> None:
        self._commits = commits
        self._dispatch = dispatch

    def cancel(self, wishes: Sequence[Cancel]) -> Deferred[list[list[Message] | Refused]]:
        """Per wish the messages that are cancelled now, or why not (UNKNOWN_ID, ALREADY_FINAL); after the commit.

        Fails as :class:`~smsgw.model.errors.StoreDown` or :class:`~smsgw.model.errors.UnknownOutcome`.
        """

        def committed(done: Committed) -> list[list[Message] | Refused]:
            self._dispatch.withdraw(
                [message for answer in done.cancels if not isinstance(answer, Refused) for message in answer]
            )
            return done.cancels

        return self._commits.commit(Changes(cancels=list(wishes))).addCallback(committed)

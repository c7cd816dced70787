"""Cancels waiting messages for their account or for the administrator."""

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
    """Cancels messages that were not yet sent to an upstream; accounts that asked for reports get them."""

    def __init__(self, commits: Commits, dispatch: Dispatch) -> None:
        self._commits = commits
        self._dispatch = dispatch

    def cancel(self, wishes: Sequence[Cancel]) -> Deferred[list[list[Message] | Refused]]:
        """Cancel messages. Fires after the commit; for each wish with the messages that it cancelled, or with a refusal
        (UNKNOWN_ID, ALREADY_FINAL).

        :raises StoreDown: or UnknownOutcome, through the Deferred.
        """

        def committed(done: Committed) -> list[list[Message] | Refused]:
            self._dispatch.withdraw(
                [message for answer in done.cancels if not isinstance(answer, Refused) for message in answer]
            )
            return done.cancels

        return self._commits.commit(Changes(cancels=list(wishes))).addCallback(committed)

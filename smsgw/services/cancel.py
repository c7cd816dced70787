"""Taking back what is still waiting: by its sender, or by the operator of the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Cancel, Changes, Committed
from smsgw.model.errors import Refused
from smsgw.model.message import Message

if TYPE_CHECKING:
    from smsgw.services.dispatch.dispatch import Dispatch
    from smsgw.services.outbox.outbox import Outbox


class Cancellation:
    """Cancels messages that were not yet handed to an upstream; whoever asked to be told is told."""

    def __init__(self, store: IMessageStore, dispatch: Dispatch, outbox: Outbox) -> None:
        self._store = store
        self._dispatch = dispatch
        self._outbox = outbox

    def cancel(self, wishes: Sequence[Cancel]) -> Deferred[list[list[Message] | Refused]]:
        """Per wish the messages that are cancelled now, or why not (UNKNOWN_ID, ALREADY_FINAL); after the commit.

        Fails as :class:`~smsgw.model.errors.StoreDown` or :class:`~smsgw.model.errors.UnknownOutcome`.
        """

        def committed(done: Committed) -> list[list[Message] | Refused]:
            self._dispatch.cancelled(
                [message for answer in done.cancels if not isinstance(answer, Refused) for message in answer]
            )
            self._outbox.occurred(done.events)
            return done.cancels

        return self._store.commit(Changes(cancels=list(wishes))).addCallback(committed)

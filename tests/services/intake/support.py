"""What stands behind intake in tests of front ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from smsgw.model.changes import Changes, Committed
from smsgw.model.message import Event, Message


@attrs.define
class StoringDispatch:
    """Stores what is accepted, and sends nothing."""

    store: Any

    def accept(self, messages: list[Message], conditions: Sequence[Any] = ()) -> Deferred[Committed]:
        """As Dispatch does it."""
        committing: Deferred[Committed] = self.store.commit(Changes(accepts=messages, conditions=list(conditions)))
        return committing

    def withdraw(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Nothing is in memory here."""
        return messages


class NoOutbox:
    """An outbox that ignores all events."""

    def occurred(self, events: Sequence[Event]) -> None:
        """Nothing happens."""

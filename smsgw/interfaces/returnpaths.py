"""Return paths: how a sender is told what became of a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from smsgw.model.message import Event


class IReturnSink(Interface):
    """What a return path tells the outbox."""

    def acknowledged(events: Sequence[Event]) -> None:
        """The sender acknowledged these: they may be forgotten."""

    def retry(events: Sequence[Event], seconds: float | None) -> None:
        """The sender could not take these: try again in `seconds`, or None for the outbox's own back-off."""

    def requeue(events: Sequence[Event]) -> None:
        """These were under way when the session went: nobody knows whether they arrived; no attempt is charged."""

    def acknowledge_before_send(events: Sequence[Event]) -> Deferred[None]:
        """These are about to be told at most once: they count as told. They may be told when the Deferred fires,
        after the synced commit; if it fails they must not be, and are handed out again later."""

    def ready(account: str) -> None:
        """There is room for `account` again (a bind, an acknowledgement) after there was none."""


class IReturnPath(Interface):
    """One per front end that can tell a sender what became of a message. Never blocks."""

    path = Attribute("Its word in messages and events: ``smpp``, ``callback``.")

    def attach(sink: Any) -> None:
        """`sink` provides :class:`IReturnSink`."""

    def room(account: str) -> int:
        """How many events may be handed over for `account` now; 0 while nobody can take one."""

    def deliver(events: Sequence[Event]) -> None:
        """Tell these, all of one account, in order; each is answered exactly once through the sink: acknowledged
        (before the send or after it), to be retried, or requeued."""

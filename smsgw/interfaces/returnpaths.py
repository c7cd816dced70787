"""The ports of return paths, which deliver reports to accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from smsgw.model.message import Event


class IReturnSink(Interface):
    """What a return path calls to report to the outbox."""

    def acknowledged(events: Sequence[Event]) -> None:
        """The client acknowledged these events; the outbox deletes them."""

    def retry(events: Sequence[Event], seconds: float | None) -> None:
        """The client did not take these events: try again in `seconds`, or after the outbox's own back-off if None."""

    def requeue(events: Sequence[Event]) -> None:
        """The session ended before the client answered these events, so it is unknown whether they arrived; the try is
        not counted as an attempt."""

    def acknowledge_before_send(events: Sequence[Event]) -> Deferred[None]:
        """Acknowledge events that are sent at most once, before they are sent. Send them when the Deferred fires, after
        the synced commit. If it fails, do not send them: the outbox hands them out again later."""

    def ready(account: str) -> None:
        """The room for `account` has grown from 0, by a bind or an acknowledgement."""


class IReturnPath(Interface):
    """Delivers the events of accounts over one protocol. Never blocks."""

    path = Attribute("Its name in messages and events: ``smpp``, ``callback``.")

    def attach(sink: Any) -> None:
        """Begin to work; `sink` provides :class:`IReturnSink`."""

    def room(account: str) -> int:
        """Return how many events of `account` may be sent now; 0 while no session or receiver can take one."""

    def deliver(events: Sequence[Event]) -> None:
        """Send events of one account, in order. Each event is passed exactly once to a method of the sink:
        `acknowledged`, `retry`, `requeue` or `acknowledge_before_send`."""

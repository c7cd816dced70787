"""The store: what survives."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from smsgw.model.changes import Changes, Committed
from smsgw.model.message import DeliveryReport, Event, Incoming, Message, Part


@attrs.frozen
class Awaited:
    """A part whose receipt is awaited: the upstream knows it as `remote_id`."""

    remote_id: str
    message: Message
    seq: int
    due: float


@attrs.frozen
class Parked:
    """A receipt whose part is not known (yet)."""

    connector: str
    report: DeliveryReport
    since: float


@attrs.frozen
class MessageDetails:
    """Everything the store knows of one message, for people: its parts as (seq, state, error, remote_id),
    reports still awaited, and events not yet acknowledged."""

    message: Message
    parts: Sequence[tuple[int, int, int, str]]
    awaited: Sequence[Awaited]
    events: Sequence[Event]


@attrs.frozen
class MessageFilter:
    """Which messages a list is to show: those that fit everything given.

    :ivar states: one of these; empty for any. :ivar number: the recipient, digits in international form.
    :ivar since, until: accepted at or after, and before; absolute, 0 for no bound.
    :ivar comment, reference: a part of the comment, case ignored; the whole reference.
    """

    states: Sequence[int] = ()
    number: str = ""
    since: float = 0.0
    until: float = 0.0
    comment: str = ""
    reference: str = ""


class IMessageStore(Interface):
    """Memory that survives. What a Deferred fires with is on the disk (synced) before it fires.

    Failures are :class:`~smsgw.model.errors.StoreDown` (nothing kept) or
    :class:`~smsgw.model.errors.UnknownOutcome` (an I/O error during the commit), never a driver's own.
    """

    failed = Attribute(
        "Deferred that errbacks when the store can no longer be trusted (I/O error, corrupt file): "
        "the program must end and be started again."
    )

    def open() -> Deferred[None]:
        """Open or create, migrate, take the lock against a second process; before anything else.

        :raises StoreDown: (through the Deferred) when it cannot be opened, saying what to do (locked, newer schema, not
            writable).
        """

    def close() -> Deferred[None]:
        """Finish the commits under way, then let go of everything."""

    def next_id() -> int:
        """A fresh id for a message or batch: from 1, increasing, dense; no I/O.

        :raises StoreDown: when none can be promised unique now.
        """

    def commit(changes: Changes) -> Deferred[Committed]:
        """Carry out `changes` atomically; several calls may share one sync (group commit), in order of call.

        While one commit runs the next batch gathers; the next starts before the callbacks of the former fire.
        A data error in a shared commit makes every call run alone, so that it fails only its own. A call with new
        messages fails as :class:`~smsgw.model.errors.StoreFull` at once while there is no room for them.
        """

    def recover_claims(after: int, limit: int) -> Deferred[list[Part]]:
        """At start: parts of claimed messages with ids above `after` that may or may not have been sent, by id: those
        of the former process of this node, and of nodes whose lease has ended, which this node takes over with their
        events.

        Whole messages only (the last message's parts are complete), at most about `limit` parts; empty: no more.
        Counts one attempt for each message it hands out.
        """

    def match_parked(limit: int) -> Deferred[Committed]:
        """Take receipts that were parked here while another node sent the part, at most `limit`, as if they came now.
        Where one node has the store alone there are none."""

    def awaited_receipts(connector: str, after: tuple[int, int], limit: int) -> Deferred[list[Awaited]]:
        """Parts handed to `connector` whose receipt is awaited, ordered by (message id, seq) and above `after`."""

    def queued_connectors() -> Deferred[list[str]]:
        """Names of the connectors that messages are queued for and due now, configured or not."""

    def queue_depth(connector: str) -> Deferred[dict[str, int]]:
        """How many messages are queued for `connector` and due now, per account."""

    def queue_page(connector: str, account: str, after: tuple[int, int], limit: int) -> Deferred[list[Message]]:
        """Queued messages due now, ordered by (-priority, id) and above `after` in that order. Claims nothing."""

    def release_due(now: float, limit: int) -> Deferred[list[tuple[str, str, int]]]:
        """(connector, account, message id) of queued messages whose time came between the last call and `now`.

        Scheduled ones among them are QUEUED from here on. Also finds what came due while the program was down.
        """

    def scan_overdue(now: float, limit: int) -> Deferred[list[tuple[Message, int]]]:
        """(message, seq) that waited too long, some `limit` rows further at each call (a rolling cursor).

        Queued messages whose validity ended, with seq 0; and parts whose receipt is overdue, with their seq.
        """

    def find(account: str | None, ids: Sequence[int]) -> Deferred[list[list[Message]]]:
        """Per id the messages it stands for: one for a message's id, several for a batch's, none if unknown.

        Messages of other accounts are unknown. `account` None is the operator of the gateway.
        """

    def details(id: int) -> Deferred[MessageDetails | None]:
        """Everything about one message, for the operator."""

    def list_messages(account: str | None, wanted: MessageFilter, before: int, limit: int) -> Deferred[list[Message]]:
        """Newest first, ids below `before` (0: from the newest), that fit `wanted`."""

    def list_incoming(account: str | None, before: int, limit: int) -> Deferred[list[Incoming]]:
        """What came from subscribers, newest first, ids below `before` (0: from the newest)."""

    def find_confirmation(phone: str, number: str, now: float) -> Deferred[str]:
        """The account that waits for a call from `phone` to `number` (the latest to ask); empty for none."""

    def counts() -> Deferred[dict[int, int]]:
        """How many messages are stored, per state."""

    def events(account: str, path: str, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        """Events not yet acknowledged, ordered by (message id, kind) and above `after`."""

    def accounts_with_events(path: str) -> Deferred[list[str]]:
        """Accounts that have events waiting on `path`."""

    def parked(limit: int) -> Deferred[list[Parked]]:
        """Receipts that match nothing, oldest first."""

    def dead_letters(account: str | None, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        """Events that were not taken in time, ordered by (message id, kind), above `after`."""

    def replay(account: str | None, ids: Sequence[int], limit: int) -> Deferred[list[Event]]:
        """Move dead letters of these messages (empty: of all) back to the outbox, as if they had never been tried and
        had just happened; at most `limit`, returned in the order of :meth:`dead_letters`."""

    def purge(before: float, events_before: float, limit: int) -> Deferred[tuple[int, int]]:
        """Delete at most `limit` final messages last changed before `before` (with their dead letters, and parked
        receipts and what came from subscribers as old), and make dead letters of events of states reached before
        `events_before`; returns how many messages went and how many events became dead letters. A message with an event
        that is still to be told stays."""

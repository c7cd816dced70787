"""The port of the store, which keeps messages, events and incoming texts on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from smsgw.model.changes import Changes, Committed
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Event, Incoming, Message, Part
from smsgw.model.outcome import LastWords


@attrs.frozen
class Awaited:
    """A part whose receipt is awaited; `remote_id` is the upstream's id for it."""

    remote_id: str
    message: Message
    seq: int
    due: float


@attrs.frozen
class Parked:
    """A receipt whose part is unknown so far."""

    connector: str
    report: DeliveryReport
    since: float


@attrs.frozen
class MessageDetails:
    """Everything stored about one message, for the administrator: its parts as (seq, state, error, remote_id), its
    awaited receipts, its events that are not yet acknowledged, and the upstreams' last words about its parts."""

    message: Message
    parts: Sequence[tuple[int, int, int, str]]
    awaited: Sequence[Awaited]
    events: Sequence[Event]
    words: Sequence[LastWords] = ()


@attrs.frozen
class BatchCount:
    """The messages of a batch in one state with one error code.

    :ivar messages: how many; :ivar parts: of all of them together; :ivar first: the lowest of their ids.
    """

    state: State
    error: int
    messages: int
    parts: int
    first: int


@attrs.frozen
class MessageFilter:
    """Selects messages for a list; a message has to satisfy all criteria that are given.

    :ivar states: one of these; empty for any. :ivar number: the recipient, digits in international form.
    :ivar since, until: accepted at or after `since` and before `until`; absolute times, 0 for no limit.
    :ivar comment: a part of the comment, case ignored. :ivar reference: the whole reference.
    """

    states: Sequence[int] = ()
    number: str = ""
    since: float = 0.0
    until: float = 0.0
    comment: str = ""
    reference: str = ""


@attrs.frozen
class StoreCondition:
    """What the administrator should know of a store.

    :ivar free: octets free on its disk. :ivar needed: octets that must be free for new messages to be accepted.
    :ivar short: whether new messages are refused because fewer are free.
    :ivar lost_commits: commits that the start could not read, because the log was damaged or lost; there may
        be more.
    """

    free: int = 0
    needed: int = 0
    short: bool = False
    lost_commits: int = 0


class IMessageStore(Interface):
    """Durable storage. Changes are on the disk (synced) before their Deferred fires.

    Failures are :class:`~smsgw.model.errors.StoreDown` (nothing was stored) or
    :class:`~smsgw.model.errors.UnknownOutcome` (an I/O error during the commit); no exception of a driver.
    """

    failed = Attribute(
        "Deferred that fails when the store can no longer be trusted (I/O error, corrupt file): "
        "the program must end and be started again."
    )
    last_seen = Attribute(
        "After the opening: when the former process of this node was last seen to run, to some 10 s, by its own clock, "
        "in seconds since 1970; 0 if there was none."
    )

    def open() -> Deferred[None]:
        """Take the lock against a second process, open or create the store, migrate it. Call this first.

        :raises StoreDown: (through the Deferred) the store cannot be opened (locked, newer schema, not writable); the
            message says what to do.
        """

    def close() -> Deferred[None]:
        """Finish the commits under way, then close the store and release the lock."""

    def check() -> StoreCondition:
        """Look at the disk and at the files; call this once a second. If the files are not those that were opened,
        :attr:`failed` fails, and no commit succeeds any more."""

    def back_up(target: Path) -> Deferred[int]:
        """Write a copy of the store to a file, while the store is used: the state after one of the commits that are
        under way. The file appears when it is complete and on the disk.

        :return: fires with the octets of the copy.
        :raises StoreDown: (through the Deferred) no copy can be made; the message says why.
        """

    def next_id() -> int:
        """A new id for a message or batch: from 1, increasing, dense but for gaps at a restart; no I/O.

        :raises StoreDown: no unique id is available now.
        """

    def commit(changes: Changes) -> Deferred[Committed]:
        """Commit `changes` atomically. Several calls may share one sync (group commit), in order of call.

        While one commit runs further calls gather for the next one, which starts before the callbacks of the first one
        are called. After a data error in a shared commit every call is committed alone, so that only the call with the
        error fails. A call with new messages fails as :class:`~smsgw.model.errors.StoreFull` at once while there is no
        room for them.
        """

    def recover_claims(after: int, limit: int) -> Deferred[list[Part]]:
        """At start: parts of claimed messages that may have been sent, with ids above `after`, in order of ids: those
        of the former process of this node, and those of nodes whose lease has ended. This node takes the latter over,
        with the events of these nodes.

        The parts of a message are returned together, at most about `limit` parts; an empty list: there are no more.
        Each message that is returned counts one attempt more.
        """

    def match_parked(limit: int) -> Deferred[Committed]:
        """Apply at most `limit` receipts that this node parked while another node sent their part, as if they came now.
        A store with a single node has none."""

    def awaited_receipts(connector: str, after: tuple[int, int], limit: int) -> Deferred[list[Awaited]]:
        """Parts sent by `connector` whose receipt is awaited, ordered by (message id, seq) and above `after`."""

    def queued_connectors() -> Deferred[list[str]]:
        """Names of the connectors, configured or not, for which messages are queued and due now."""

    def queue_depth(connector: str) -> Deferred[dict[str, int]]:
        """How many messages are queued for `connector` and due now, per account."""

    def queue_page(connector: str, account: str, after: tuple[int, int], limit: int) -> Deferred[list[Message]]:
        """Queued messages due now, ordered by (-priority, id) and above `after` in that order. Claims nothing."""

    def retry_page(
        connector: str, after: tuple[float, int], limit: int
    ) -> Deferred[tuple[list[Message], tuple[float, int] | None]]:
        """Messages that pause before another attempt over `connector`, of the next `limit` deferred messages behind
        `after` in the order of (due, id); and where the next page begins, None at the end. Scheduled messages are left
        out, and those held because their last answer is unknown."""

    def release_due(
        now: float, limit: int, earliest: float | None = None
    ) -> Deferred[list[tuple[str, str, int]]]:
        """Make deferred messages that are due by `now` wait for their connectors, at most `limit`; returns their
        (connector, account, message id).

        SCHEDULED messages become QUEUED, if they are due by `earliest` too; None: `now`. Messages that came due while
        the program was down are included.
        """

    def release_retries(limit: int) -> Deferred[list[tuple[str, str, int]]]:
        """As :meth:`release_due`, for messages that are to be tried again, at most `limit`, however late they are due:
        after the time was set back their due times mean nothing. Messages that are scheduled or held stay deferred."""

    def scan_overdue(now: float, limit: int) -> Deferred[list[tuple[Message, int]]]:
        """Overdue messages and parts as (message, seq); each call examines some `limit` further rows (a rolling
        cursor).

        Queued messages whose validity ended have seq 0; parts whose receipt is overdue have their own seq.
        """

    def find(account: str | None, ids: Sequence[int], of_batch: int = 0) -> Deferred[list[list[Message]]]:
        """For each id a list: the message with this id, or the first `of_batch` messages of the batch, or nothing if
        the id is unknown.

        Messages of other accounts are unknown. `account` None is the administrator, who may see all messages.
        """

    def batch_counts(account: str | None, id: int) -> Deferred[list[BatchCount]]:
        """How many messages of a batch are in each state, in order of their first messages, at about the present time;
        empty if the id is unknown. A message is a batch of itself. No message is loaded for it. `account` as for
        :meth:`find`.
        """

    def details(id: int) -> Deferred[MessageDetails | None]:
        """Everything stored about one message, for the administrator; None if it is unknown."""

    def last_words(ids: Sequence[int]) -> Deferred[dict[int, list[LastWords]]]:
        """The upstreams' last words about the parts of these messages, in order of parts, by message; messages without
        any are left out. The caller has looked the messages up for their account."""

    def list_messages(account: str | None, wanted: MessageFilter, before: int, limit: int) -> Deferred[list[Message]]:
        """Messages that `wanted` selects, newest first, with ids below `before` (0: from the newest)."""

    def list_incoming(account: str | None, before: int, limit: int) -> Deferred[list[Incoming]]:
        """Incoming messages, calls and keys, newest first, with ids below `before` (0: from the newest)."""

    def find_confirmation(phone: str, number: str, now: float) -> Deferred[str]:
        """The account that waits for a call from `phone` to `number`; of several the last one that asked; empty for
        none."""

    def counts() -> Deferred[dict[int, int]]:
        """How many messages are stored, by state."""

    def events(account: str, path: str, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        """Events that are not yet acknowledged, ordered by (message id, kind) and above `after`."""

    def accounts_with_events(path: str) -> Deferred[list[str]]:
        """Accounts that have events waiting on `path`."""

    def parked(limit: int) -> Deferred[list[Parked]]:
        """Parked receipts, oldest first."""

    def dead_letters(account: str | None, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        """Dead letters, ordered by (message id, kind) and above `after`."""

    def replay(account: str | None, ids: Sequence[int], limit: int) -> Deferred[list[Event]]:
        """Move dead letters of these messages (empty: of all) back to the outbox, with their attempts and their age
        reset; at most `limit`, returned in the order of :meth:`dead_letters`."""

    def purge(before: float, events_before: float, limit: int) -> Deferred[tuple[int, int]]:
        """Delete at most `limit` final messages last changed before `before`, with their dead letters, and parked
        receipts and incoming texts of that age; make dead letters of events of states reached before `events_before`.
        A message stays whose event is not yet acknowledged, or became a dead letter after `before`; so does an
        incoming text.

        :return: fires with the numbers of deleted messages and of new dead letters.
        """

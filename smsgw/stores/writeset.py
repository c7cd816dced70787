"""The write set of one transaction: rows by table, with their guards. Pure.

Rows are flat lists of values; rows that agree in most columns are grouped by the values of these columns. Engines write
them with a few statements over many rows. All states are values here: an engine knows no state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from smsgw.model.changes import Committed, Ending
from smsgw.model.lifecycle import State, notifies
from smsgw.model.message import Event, EventKind, Message, brief
from smsgw.model.outcome import LastWords, quoted_receipt
from smsgw.stores.progress import MessageProgress

EARLY: Final = 3600
"""Seconds for which a parked receipt waits for the commit of its part's outcome; of several the first one counts. An
older receipt is not applied, and a newer one replaces it, since upstreams reuse their ids."""

NOTIFIES: Final = tuple(tuple(notifies(notify, state) for state in State) for notify in range(8))
"""By notify bits and state: whether the state becomes an event (a look-up is faster than a call)."""

# Looked up once: a commit of one message is not much longer than all such look-ups.
_QUEUED: Final = State.QUEUED + 0
_ENROUTE: Final = State.ENROUTE + 0
_DELIVERED: Final = State.DELIVERED
_STATES: Final = len(State)

Groups = defaultdict[tuple[Any, ...], list[Any]]
"""Flat lists of the values that differ, by the values that the rows share."""


class WriteSet:
    """The rules fill a write set, and an engine writes it in the order of the attributes.

    :ivar node, epoch: the writing node; the write is refused if the node was registered again since.
    :ivar shared: whether other nodes may have changed the same messages.
    :ivar listing: whether the results list the endings of messages.
    :ivar lease_until: a new end of the node's lease, 0 to leave it as it is.
    :ivar now: the time of the transaction, for rows without a time. :ivar earliest: the earliest time that it may be:
        conditions and confirmations that are over by then are deleted.
    :ivar last_id: no id in the write set is higher.
    :ivar unqueued: ids that leave `waiting` or `deferred`, found by the stored connector, account, priority and time;
        guard: one row for each.
    :ivar messages, cut_messages: new rows, by :data:`COMMON`: :data:`OWN`, and `cut` behind that. ``changed`` is
        ``created``, ``version`` 0.
    :ivar claims: ids that `node` claims, by (state, new state); guard: no node has claimed them, and the first state.
    :ivar sent: (id, remote_id) of messages of one part that `node` had claimed and that were sent; they go from state
        `sent_from` to `sent_to`.
    :ivar progress: rows by :data:`PROGRESS`: (id, version, remote_id); guard: that version, which grows by one.
    :ivar checked: (id, version) of messages that were decided on and do not change, if nodes share the data; guard:
        that version.
    :ivar finals: ids of messages of one part that ended, by (former state, state, error); guard: the former state.
    :ivar parts: rows (message, seq, state, error, remote_id), new or changed.
    :ivar words: rows (WORDS); each replaces the row of its part.
    :ivar promoted: ids whose message goes from the first to the second state; guard: the first.
    :ivar waiting: rows (connector, account, -priority, message, expires).
    :ivar deferred: rows (due, message, connector, account, -priority, expires).
    :ivar released: rows (due, message) that leave `deferred`; guard: one row for each.
    :ivar awaited: new rows by (connector, seq): (remote_id, message, due).
    :ivar not_awaited: rows (remote_id, connector, message, seq) to be deleted.
    :ivar ended_awaited: of messages of one part that ended: their remote ids and ids, in two lists, by connector.
    :ivar unparked: keys of parked receipts to be deleted. :ivar parked: rows (PARKED) by key; they replace only rows
        older than EARLY.
    :ivar events: new rows by :data:`EVENT_COMMON`: (message, at); an event that is stored already does not change.
    :ivar acknowledged: ids of messages whose events are to be deleted, by (login, path, seq).
    :ivar retries: rows (login, path, message, seq, due) whose attempts grow by one.
    :ivar seen_conditions: rows (scope, key, until, used, id) to be deleted; guard: they are as they were loaded.
    :ivar conditions: new rows (CONDITION); guard: no row has their key.
    :ivar incoming, confirmations: rows (INCOMING, CONFIRMATION).
    :ivar counts: the change of the number of messages in each state.
    :ivar listed_claims: ids below the floor that `node` claims. :ivar floor: a new floor, and then `listed_claims` is
        the whole list; 0 to leave the floor as it is.
    :ivar upkeep: the changes of maintenance, None for none.
    """

    __slots__ = (
        "acknowledged", "awaited", "checked", "claims", "conditions", "confirmations", "counts", "cut_messages",
        "deferred", "earliest", "ended_awaited", "epoch", "events", "finals", "floor", "incoming", "last_id",
        "lease_until", "listed_claims", "listing", "messages", "node", "not_awaited", "now", "parked", "parts",
        "progress", "promoted", "released", "retries", "seen_conditions", "sent", "sent_from", "sent_to", "shared",
        "unparked", "unqueued", "upkeep", "waiting", "words",
    )  # fmt: skip

    def __init__(
        self, node: str, epoch: int, now: float, shared: bool, last_id: int, listing: bool = False
    ) -> None:
        self.node = node
        self.last_id = last_id
        self.listing = listing
        self.shared = shared
        self.epoch = epoch
        self.lease_until = 0.0
        self.now = self.earliest = now
        self.unqueued: list[int] = []
        self.messages: Groups = defaultdict(list)
        self.cut_messages: Groups = defaultdict(list)
        self.claims: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self.sent: list[Any] = []
        self.sent_from = _QUEUED
        self.sent_to = _ENROUTE
        self.progress: Groups = defaultdict(list)
        self.checked: list[Any] = []
        self.finals: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
        self.parts: list[Any] = []
        self.words: list[Any] = []
        self.promoted: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self.waiting: list[Any] = []
        self.deferred: list[Any] = []
        self.released: list[Any] = []
        self.awaited: Groups = defaultdict(list)
        self.not_awaited: list[Any] = []
        self.ended_awaited: defaultdict[str, tuple[list[str], list[int]]] = defaultdict(lambda: ([], []))
        self.unparked: list[Any] = []
        self.parked: dict[tuple[str, str], tuple[Any, ...]] = {}
        self.events: Groups = defaultdict(list)
        self.acknowledged: defaultdict[tuple[str, str, int], list[int]] = defaultdict(list)
        self.retries: list[Any] = []
        self.seen_conditions: list[Any] = []
        self.conditions: list[Any] = []
        self.incoming: list[Any] = []
        self.confirmations: list[Any] = []
        self.counts = [0] * _STATES
        self.listed_claims: list[int] = []
        self.floor = 0
        self.upkeep: Upkeep | None = None

    def enqueue(self, message: Message, connector: str, due: float) -> None:
        """Have `message` wait for `connector`; with `due` it is deferred until then, even if that time is past, so that
        dispatch learns of it from :meth:`~smsgw.interfaces.IMessageStore.release_due`."""
        if due:
            self.deferred += (due, message.id, connector, message.account, -message.priority, message.expires)
        else:
            self.waiting += (connector, message.account, -message.priority, message.id, message.expires)

    def notify(self, result: Committed, message: Message, kind: EventKind, state: State, error: int, at: float) -> None:
        """Add an event about `state` if the sender of `message` asked for it."""
        if message.path and NOTIFIES[message.notify][state]:
            result.events.append(Event(brief(message), kind, state, error, at))
            login = message.login or message.account
            self.events[login, message.path, kind + 0, kind + 0, state + 0, error, self.node] += (message.id, at)

    def end(
        self,
        result: Committed,
        message: Message,
        state: State,
        error: int,
        at: float,
        connector: str | None = None,
        remote_id: str = "",
    ) -> None:
        """Count the end of a message, add its event if its sender asked for one, and list it if endings are listed."""
        connector = message.connector if connector is None else connector
        result.count(message.account, connector, state)
        self.notify(result, message, EventKind.FINAL, state, error, at)
        if self.listing:
            result.endings.append(Ending(message, connector, remote_id, state, error, at))

    def note_words(self, id: int, words: Iterable[LastWords]) -> None:
        """Store last words of an upstream about parts of the message `id`."""
        for one in words:
            self.words += (id, one.seq, one.state + 0, one.connector, one.at, one.text)

    def note_receipt(self, id: int, seq: int, state: State, connector: str, raw: bytes) -> None:
        """Store the text of a receipt that ended a part in `state`, unless it says that the part was delivered."""
        if raw and state is not _DELIVERED:
            self.words += (id, seq, state + 0, connector, self.now, quoted_receipt(raw))

    def move(self, before: State, after: State) -> None:
        """Count one message fewer in state `before` and one more in state `after`."""
        self.counts[before] -= 1
        self.counts[after] += 1

    def put_progress(self, progress: MessageProgress) -> None:
        """Write a message with its parts, and its row in `waiting` or `deferred`."""
        m = progress.message
        id = m.id
        leased_to = progress.leased_to
        self.progress[
            progress.connector, progress.state + 0, leased_to, 1 if leased_to else 0, progress.attempts,
            progress.changed, progress.due, progress.error, progress.sent,
        ] += (id, progress.version, progress.ids[0])  # fmt: skip
        progress.version += 1
        progress.dirty = False
        if m.parts > 1:
            for part in progress.touched:
                self.parts += (id, part + 1, progress.states[part] + 0, progress.errors[part], progress.ids[part])
        progress.touched.clear()
        place = (progress.connector, progress.due) if progress.queued else None
        if place != progress.place:
            if progress.place is not None:
                self.unqueued.append(id)
            if place is not None:
                self.enqueue(m, *place)
            progress.place = place


class Upkeep:
    """Changes of maintenance, of a restart and of a replay.

    :ivar messages: ids to be deleted, with their parts, last words and dead letters. :ivar incoming: ids to be deleted.
    :ivar highest: the highest deleted id, 0 for none; it is not used again.
    :ivar parked: keys of parked receipts to be deleted.
    :ivar dead_letters: rows (EVENT) of events that become dead letters; guard: the events are stored.
    :ivar replayed: rows (EVENT) of dead letters that become events again.
    :ivar recovered: (id, version) of messages that `node` takes over or still has claimed; they count one attempt more;
        guard: that version, which grows by one.
    :ivar taken: (node, epoch) of nodes whose lease ended; their epoch grows by one, and `node` gets their events;
        guard: that epoch.
    """

    __slots__ = ("dead_letters", "highest", "incoming", "messages", "parked", "recovered", "replayed", "taken")

    def __init__(self) -> None:
        self.messages: list[int] = []
        self.incoming: list[int] = []
        self.highest = 0
        self.parked: list[Any] = []
        self.dead_letters: list[Any] = []
        self.replayed: list[Any] = []
        self.recovered: list[Any] = []
        self.taken: list[tuple[str, int]] = []


COMMON: Final = (
    "account", "login", "path", "connector", "state", "priority", "leased_to", "claimed", "attempts", "parts", "due",
    "error", "batch", "sent", "remote_id",
)  # fmt: skip
"""Columns whose values many new messages share."""

OWN: Final = ("id", "expires", "created", "recipient", "data")
"""The other columns; messages with a stored cut have `cut` behind these."""

PROGRESS: Final = (
    "connector", "state", "leased_to", "claimed", "attempts", "changed", "due", "error", "sent",
)  # fmt: skip
"""Columns of a message that change with its progress, besides its remote_id."""

EVENT_COMMON: Final = ("login", "path", "seq", "kind", "state", "error", "leased_to")
"""Columns whose values many new events share."""

"""What one transaction is about to write: rows gathered by table, with the guards that they need. Pure.

Rows stand in flat lists of values; where many agree in most columns, by what they agree in. Engines write them with a
few statements over many rows. All states are values here: an engine knows none.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from smsgw.model.changes import Committed
from smsgw.model.lifecycle import State, notifies
from smsgw.model.message import Event, EventKind, Message, brief
from smsgw.stores.progress import MessageProgress

EARLY: Final = 3600
"""Seconds for which a parked receipt waits for the upstream's acceptance to be committed; of several the first
counts. An older one is left alone, and makes room for a newer one: upstreams use their ids again."""

NOTIFIES: Final = tuple(tuple(notifies(notify, state) for state in State) for notify in range(8))
"""By notify bits and state: whether the sender is told (one look-up instead of a call)."""

Groups = defaultdict[tuple[Any, ...], list[Any]]
"""Flat lists of the values that differ, by the values in which rows agree."""


class WriteSet:
    """Gathered by what decides, then written by an engine in the order of the attributes.

    :ivar node, epoch: who writes: refused for good when the node was registered again since.
    :ivar shared: whether other nodes may have changed what was decided on.
    :ivar lease_until: a new end of the node's lease, 0 to leave it as it is.
    :ivar now: the time of everything that has none of its own.
    :ivar unqueued: ids that leave `waiting` or `deferred`, under the connector, account, priority and time that are
        stored; guard: one row for each.
    :ivar messages, cut_messages: new rows, by :data:`COMMON`: :data:`OWN`, and `cut` behind that. ``changed`` is
        ``created``, ``version`` 0.
    :ivar claims: ids that `node` claims, by (state, state from then on); guard: claimed by none, in the first state.
    :ivar sent: (id, remote_id) of messages of one part that `node` had claimed and their upstream took;
        from `sent_from` to `sent_to`.
    :ivar progress: rows by :data:`PROGRESS`: (id, version, remote_id); guard: that version, which grows by one.
    :ivar checked: (id, version) of messages that were decided on and do not change, where data are shared; guard: that
        version.
    :ivar finals: ids of messages of one part that ended, by (former state, state, error); guard: the former state.
    :ivar parts: rows (message, seq, state, error, remote_id), new or changed.
    :ivar promoted: ids whose message goes from the first to the second state; guard: the first.
    :ivar waiting: rows (connector, account, -priority, message, expires).
    :ivar deferred: rows (due, message, connector, account, -priority, expires).
    :ivar released: rows (due, message) that leave `deferred`; guard: one row for each.
    :ivar awaited: new rows by (connector, seq): (remote_id, message, due).
    :ivar not_awaited: rows (remote_id, connector, message, seq) that go.
    :ivar ended_awaited: of messages of one part that ended: their remote ids and ids, in two lists, by connector.
    :ivar unparked: keys whose parked receipts go. :ivar parked: rows (PARKED) by key; they replace those older
        than EARLY, and no others.
    :ivar events: new rows by :data:`EVENT_COMMON`: (message, at); of one that is there already nothing changes.
    :ivar acknowledged: ids of messages whose events go, by (login, path, seq).
    :ivar retries: rows (login, path, message, seq, due) whose attempts grow by one.
    :ivar seen_conditions: rows (scope, key, until, used, id) that go; guard: they are as they were loaded.
    :ivar conditions: rows (CONDITION) that come; guard: none is there.
    :ivar incoming, confirmations: rows (INCOMING, CONFIRMATION).
    :ivar counts: by how much the number of messages per state changes.
    :ivar listed_claims: ids below the floor that `node` claims. :ivar floor: a new one, 0 to leave it; then
        `listed_claims` are all that there are.
    :ivar upkeep: what only upkeep changes, None for nothing.
    """

    __slots__ = (
        "acknowledged", "awaited", "checked", "claims", "conditions", "confirmations", "counts", "cut_messages",
        "deferred", "ended_awaited", "epoch", "events", "finals", "floor", "incoming", "lease_until", "listed_claims",
        "messages", "node", "not_awaited", "now", "parked", "parts", "progress", "promoted", "released", "retries",
        "seen_conditions", "sent", "sent_from", "sent_to", "shared", "unparked", "unqueued", "upkeep", "waiting",
    )  # fmt: skip

    def __init__(self, node: str, epoch: int, now: float, shared: bool) -> None:
        self.node = node
        self.shared = shared
        self.epoch = epoch
        self.lease_until = 0.0
        self.now = now
        self.unqueued: list[int] = []
        self.messages: Groups = defaultdict(list)
        self.cut_messages: Groups = defaultdict(list)
        self.claims: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        self.sent: list[Any] = []
        self.sent_from = State.QUEUED + 0
        self.sent_to = State.ENROUTE + 0
        self.progress: Groups = defaultdict(list)
        self.checked: list[Any] = []
        self.finals: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
        self.parts: list[Any] = []
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
        self.counts = [0] * len(State)
        self.listed_claims: list[int] = []
        self.floor = 0
        self.upkeep: Upkeep | None = None

    def enqueue(self, message: Message, connector: str, due: float) -> None:
        """It waits for `connector`: from now on, or (even if that is past: dispatch has to be told) until `due`."""
        if due:
            self.deferred += (due, message.id, connector, message.account, -message.priority, message.expires)
        else:
            self.waiting += (connector, message.account, -message.priority, message.id, message.expires)

    def tell(self, result: Committed, message: Message, kind: EventKind, state: State, error: int, at: float) -> None:
        """The sender of `message` is owed an event about `state`, if it asked for that."""
        if message.path and NOTIFIES[message.notify][state]:
            result.events.append(Event(brief(message), kind, state, error, at))
            login = message.login or message.account
            self.events[login, message.path, kind + 0, kind + 0, state + 0, error, self.node] += (message.id, at)

    def move(self, before: State, after: State) -> None:
        """One message fewer in one state, one more in another."""
        self.counts[before] -= 1
        self.counts[after] += 1

    def put_progress(self, progress: MessageProgress) -> None:
        """Write a message in general, with its parts and its place among what waits."""
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
    """What goes, and what a restart or an operator moves.

    :ivar messages: ids that are deleted, with their parts and dead letters. :ivar incoming: likewise.
    :ivar highest: the highest id that goes, 0 for none: it is not given again.
    :ivar parked: keys of parked receipts that go.
    :ivar dead_letters: rows (EVENT) that leave the outbox to be dead letters; guard: they are there.
    :ivar replayed: rows (EVENT) that leave the dead letters for the outbox.
    :ivar recovered: rows (id, version) that `node` takes over, or has still claimed: one attempt more; guard: that
        version, which grows by one.
    :ivar taken: (node, epoch) of nodes whose lease ended: their epoch grows by one, their events are those of `node`;
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
    "account", "login", "listener", "path", "connector", "state", "priority", "leased_to", "claimed", "attempts",
    "notify", "parts", "due", "error", "batch", "sent", "remote_id",
)  # fmt: skip
"""Columns in which many new messages agree."""

OWN: Final = ("id", "expires", "created", "recipient", "data")
"""The others; messages with a cut of their own have `cut` behind these."""

PROGRESS: Final = (
    "connector", "state", "leased_to", "claimed", "attempts", "changed", "due", "error", "sent",
)  # fmt: skip
"""Columns that change of a message in general, besides its remote_id."""

EVENT_COMMON: Final = ("login", "path", "seq", "kind", "state", "error", "leased_to")
"""Columns in which many new events agree."""

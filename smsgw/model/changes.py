"""What can be changed in a store, in batches: one :class:`Changes` is one atomic call.

Kinds are applied in the order of the attributes. Services build these, stores carry them out; several calls may
share one commit.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from smsgw.model.errors import Refused
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Event, Incoming, Message


@attrs.define(eq=False)
class Sent:
    """Part `seq` of `message` was taken by its connector under `remote_id`; a report is awaited until `due`."""

    message: Message
    seq: int
    remote_id: str
    due: float


@attrs.define(eq=False)
class Ended:
    """Part `seq` of `message` (0: every part still open) reached the final `state`, without a report."""

    message: Message
    seq: int
    state: State
    error: int


@attrs.define(eq=False)
class Requeued:
    """A claimed `message` goes back to the queue of `connector`, to be sent again not before `due`.

    Parts that were already sent stay sent. `charged` adds one to its attempts.
    """

    message: Message
    connector: str
    due: float
    charged: bool


@attrs.define(eq=False)
class Reported:
    """A receipt that came from `connector`."""

    connector: str
    report: DeliveryReport


@attrs.define(eq=False)
class Cancel:
    """`account` wants message (or batch) `id` cancelled; only what is still waiting can be.

    `account` None is the operator of the gateway, who may cancel anybody's.
    """

    account: str | None
    id: int


@attrs.define(eq=False)
class Later:
    """Telling `event` failed: try it again not before `due` (its attempts grow by one)."""

    event: Event
    due: float


@attrs.define(eq=False)
class Keyed:
    """`messages` (all among the accepts of the same call) are to be stored only if `account` never used `key`.

    :ivar digest: what was asked for, hashed, kept with the key. :ivar id: what the client is told: the id of the
        message or of the batch. :ivar since: a use before this absolute time does not count any more.
    """

    account: str
    key: str
    digest: bytes
    id: int
    messages: Sequence[Message]
    since: float


@attrs.define(eq=False)
class KeyUsed:
    """A key was used before: for the message or batch `id`, with that `digest`."""

    id: int
    digest: bytes


@attrs.define(eq=False)
class Confirmation:
    """`account` waits until `expires` for a call from the number `phone` to our `number`."""

    account: str
    phone: str
    number: str
    expires: float


@attrs.define(eq=False)
class Changes:
    """One atomic call to the store.

    :ivar accepts: new messages. One with ``claimed`` is stored as claimed, one in state SCHEDULED or QUEUED
        without it is queued for its connector, one in a final state is only kept (and told, if asked).
    :ivar claims: queued messages that are about to be handed to their connector.
    :ivar outcomes: what upstreams answered, or what dispatch decided, about claimed messages.
    :ivar receipts: statements of upstreams. :ivar cancels: wishes of senders.
    :ivar told: events that their receiver acknowledged. :ivar later: events to try again.
    :ivar keys: idempotency keys of new messages; the messages of one that was used before are not stored.
    :ivar incoming: what came from subscribers. :ivar confirmations: calls that are waited for.
    """

    accepts: list[Message] = attrs.field(factory=list)
    claims: list[Message] = attrs.field(factory=list)
    outcomes: list[Sent | Ended | Requeued] = attrs.field(factory=list)
    receipts: list[Reported] = attrs.field(factory=list)
    cancels: list[Cancel] = attrs.field(factory=list)
    told: list[Event] = attrs.field(factory=list)
    later: list[Later] = attrs.field(factory=list)
    keys: list[Keyed] = attrs.field(factory=list)
    incoming: list[Incoming] = attrs.field(factory=list)
    confirmations: list[Confirmation] = attrs.field(factory=list)


@attrs.define(eq=False)
class Committed:
    """What a committed call did, per kind and in the order given.

    :ivar claims: whether each claim succeeded (not cancelled or taken by another node meanwhile).
    :ivar receipts: per receipt: ``matched``, ``parked`` (id not known yet), ``repeated`` or ``ignored``
        (intermediate, changes nothing).
    :ivar cancels: per wish: the messages cancelled, or why not.
    :ivar events: what senders are now to be told, in order of their happening.
    :ivar keys: per key None if it is new, else what it was used for before.
    """

    claims: list[bool]
    receipts: list[str]
    cancels: list[list[Message] | Refused]
    events: list[Event]
    keys: list[KeyUsed | None] = attrs.field(factory=list)

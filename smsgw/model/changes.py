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


@attrs.frozen
class Once:
    """A condition: `key` was not used in `scope` before, or not lately.

    :ivar until: absolute time up to which this use counts. :ivar digest: what was asked for, hashed, kept with the key.
    :ivar id: what is told of this use when the key comes again: the id of the message or of the batch.
    :ivar otherwise: final state and error in which messages are stored if the key was used; None: they are not stored.
    """

    scope: str
    key: str
    until: float
    digest: bytes = b""
    id: int = 0
    otherwise: tuple[State, int] | None = None


@attrs.frozen
class Limit:
    """A condition: what was added under `key` in `scope` within `period` seconds, and `add`, is at most `at_most`.

    A period begins with the first use behind the end of the former one; 0: it never ends.

    :ivar otherwise: final state and error in which messages are stored beyond the limit; None: they are not stored.
    """

    scope: str
    key: str
    period: float
    add: int
    at_most: int
    otherwise: tuple[State, int] | None = None


@attrs.define(eq=False)
class Conditional:
    """`messages` (all among the accepts of the same call) are stored as they are only if all `conditions` hold.

    Conditions are looked at in order, the first that does not hold decides. Then nothing is added to any limit; keys
    are used only where the messages are stored after all, in a final state.
    """

    messages: Sequence[Message]
    conditions: Sequence[Once | Limit]


@attrs.frozen
class Unmet:
    """A condition that did not hold; its messages were stored in its `otherwise`, or not at all.

    :ivar id, digest: of the use before, where it is a :class:`Once`.
    """

    condition: Once | Limit
    id: int = 0
    digest: bytes = b""


@attrs.define(eq=False)
class PartSent:
    """Part `seq` of `message` was taken by its connector under `remote_id`; a receipt is awaited until `due`."""

    message: Message
    seq: int
    remote_id: str
    due: float


@attrs.define(eq=False)
class PartEnded:
    """Part `seq` of `message` (0: every part not sent yet) reached the final `state`, without a receipt."""

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
class Retry:
    """Telling `event` failed: try it again not before `due` (its attempts grow by one)."""

    event: Event
    due: float


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

    :ivar conditions: of new messages, per submission.
    :ivar accepts: new messages. One with ``claimed`` is stored as claimed, one in state SCHEDULED or QUEUED
        without it is queued for its connector, one in a final state is only kept (and told, if asked).
    :ivar claims: queued messages that are about to be handed to their connector.
    :ivar outcomes: what upstreams answered, or what dispatch decided, about claimed messages.
    :ivar receipts: statements of upstreams. :ivar cancels: wishes of senders.
    :ivar acknowledged: events that their receiver acknowledged. :ivar retries: events to try again.
    :ivar incoming: what came from subscribers. :ivar confirmations: calls that are waited for.
    """

    accepts: list[Message] = attrs.field(factory=list)
    claims: list[Message] = attrs.field(factory=list)
    outcomes: list[PartSent | PartEnded | Requeued] = attrs.field(factory=list)
    receipts: list[Reported] = attrs.field(factory=list)
    cancels: list[Cancel] = attrs.field(factory=list)
    acknowledged: list[Event] = attrs.field(factory=list)
    retries: list[Retry] = attrs.field(factory=list)
    conditions: list[Conditional] = attrs.field(factory=list)
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
    :ivar conditions: per submission with conditions None if all held, else the one that did not.
    """

    claims: list[bool]
    receipts: list[str]
    cancels: list[list[Message] | Refused]
    events: list[Event]
    conditions: list[Unmet | None] = attrs.field(factory=list)

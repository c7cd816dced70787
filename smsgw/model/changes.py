"""The changes of a store, in batches: one :class:`Changes` is one atomic call.

Kinds are applied in the order of the attributes. Services build changes, and the store commits them; several calls may
share one commit.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from smsgw.model.errors import Refused
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Event, Incoming, Message
from smsgw.model.outcome import LastWords


@attrs.frozen
class Once:
    """A condition: no valid use of `key` in `scope` is stored.

    :ivar until: absolute time until which this use is valid. :ivar digest: hash of the request, stored with the key.
    :ivar id: the id of the message or batch, returned when the key is used again.
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
    """A condition: the sum added under `key` in `scope` within `period` seconds, plus `add`, is at most `at_most`.

    A period begins with the first use after the end of the previous period; 0: it never ends.

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

    Conditions are checked in order, and the first that does not hold decides. Then nothing is added to any limit, and
    keys are used only if the messages are stored in a final state.
    """

    messages: Sequence[Message]
    conditions: Sequence[Once | Limit]


@attrs.frozen
class Unmet:
    """A condition that did not hold; its messages were stored in the state of `otherwise`, or not stored.

    :ivar id, digest: those of the earlier use, if the condition is a :class:`Once`.
    """

    condition: Once | Limit
    id: int = 0
    digest: bytes = b""


@attrs.define(eq=False)
class PartSent:
    """The upstream took part `seq` of `message` as `remote_id`; a receipt is awaited until `due`."""

    message: Message
    seq: int
    remote_id: str
    due: float


@attrs.define(eq=False)
class PartEnded:
    """Part `seq` of `message` (0: every part that is not sent yet) reached the final `state` without a receipt.

    :ivar words: last words of the upstream about parts of the message.
    """

    message: Message
    seq: int
    state: State
    error: int
    words: Sequence[LastWords] = ()


@attrs.define(eq=False)
class Requeued:
    """A claimed `message` goes back to the queue of `connector`, to be sent again not before `due`.

    Parts that were already sent stay sent. `charged` adds one to its attempts.

    :ivar words: last words of the upstream about parts of the message.
    """

    message: Message
    connector: str
    due: float
    charged: bool
    words: Sequence[LastWords] = ()


@attrs.define(eq=False)
class Reported:
    """A receipt that came from `connector`."""

    connector: str
    report: DeliveryReport


@attrs.define(eq=False)
class Cancel:
    """`account` cancels the message or batch `id`; only waiting messages can be cancelled.

    `account` None is the administrator, who may cancel the messages of every account.
    """

    account: str | None
    id: int


@attrs.define(eq=False)
class Retry:
    """The delivery of `event` failed: try it again not before `due` (its attempts grow by one)."""

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
    :ivar accepts: new messages. A message with ``claimed`` is stored as claimed; without it a message in state
        SCHEDULED or QUEUED is queued for its connector; a message in a final state is stored, with an event if its
        sender asked for one.
    :ivar claims: queued messages that are about to be sent.
    :ivar outcomes: outcomes of claimed messages, and decisions of dispatch on them.
    :ivar receipts: receipts of upstreams. :ivar cancels: messages to be cancelled.
    :ivar acknowledged: events that their receiver acknowledged. :ivar retries: events to try again.
    :ivar incoming: messages, calls and keys from subscribers. :ivar confirmations: accounts that wait for a call.
    """

    accepts: Sequence[Message] = ()
    claims: Sequence[Message] = ()
    outcomes: Sequence[PartSent | PartEnded | Requeued] = ()
    receipts: Sequence[Reported] = ()
    cancels: Sequence[Cancel] = ()
    acknowledged: Sequence[Event] = ()
    retries: Sequence[Retry] = ()
    conditions: Sequence[Conditional] = ()
    incoming: Sequence[Incoming] = ()
    confirmations: Sequence[Confirmation] = ()


@attrs.define(eq=False)
class Ending:
    """The end of a message: it reached the final `state`.

    :ivar connector: the last connector it was for. :ivar remote_id: the upstream's id of its (first) part, empty if it
        was not sent. :ivar at: absolute time of the end.
    :ivar words: the words with which the upstream ended the message, empty for none.
    """

    message: Message
    connector: str
    remote_id: str
    state: State
    error: int
    at: float
    words: str = ""


@attrs.define(eq=False)
class Committed:
    """The results of a committed call, by kind and in the order given.

    :ivar claims: whether each claim succeeded (False: the message was cancelled, or another node has it).
    :ivar receipts: for each receipt ``matched``, ``parked`` (its id is unknown so far), ``repeated`` or ``ignored``
        (an intermediate state, which changes nothing).
    :ivar cancels: for each cancellation the messages cancelled, or a refusal.
    :ivar events: the new events, in the order in which they occurred.
    :ivar conditions: for each submission with conditions None if all held, else the first that did not.
    :ivar ended: how many messages reached a final state, by (account, connector, state).
    :ivar endings: the same messages one by one, in order, if the store was made to list them.
    """

    claims: list[bool]
    receipts: list[str]
    cancels: list[list[Message] | Refused]
    events: list[Event]
    conditions: Sequence[Unmet | None] = ()
    ended: dict[tuple[str, str, State], int] = attrs.field(factory=dict)
    endings: list[Ending] = attrs.field(factory=list)

    def count(self, account: str, connector: str, state: State, messages: int = 1) -> None:
        """Add messages to `ended`."""
        if messages:
            key = (account, connector, state)
            self.ended[key] = self.ended.get(key, 0) + messages

"""Submissions, messages, parts, delivery reports and events: the values that flow through the gateway.

These travel by the ten thousand each second, so they are plain slotted classes made positionally. Who hands one on
changes only the attributes of its state from then on (state, claimed, connector, attempts, unsent ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar, Final

import attrs

from smsgw.model.content import WHOLE, Content, Cut, Labels
from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import State

CALLBACK: Final = "callback"
"""The word of the return path over HTTP, in messages and events."""

UNIX_NEVER: Final = 0.0
"""Stands for "no such time" in absolute times, which are seconds since 1970 UTC."""


@attrs.frozen
class Options:
    """What few submissions bring, together so that the others carry one empty attribute.

    :ivar encoding: how the text is to be written: empty to choose, ``gsm`` or ``ucs2`` to insist.
    :ivar key: idempotency key, unique within the account with the front end's prefix; empty for none. A submission
        whose key the account used before is not stored again: the answer is the first one's id.
    :ivar digest: what was asked for, hashed; a key that comes again with another digest is refused.
    :ivar labels: kept with the message, None for none.
    :ivar batch: id of a batch that this continues, 0 for one of its own where there are several recipients.
    """

    encoding: str = ""
    key: str = ""
    digest: bytes = b""
    labels: Labels | None = None
    batch: int = 0


@attrs.define(eq=False)
class Submission:
    """What a front end hands to intake: one sender, one text, one or more recipients.

    Either `text` (characters; intake chooses the alphabet and splits) or `octets` with `data_coding` and
    `esm_class` (user data as an ESME submitted it, passed through as it came) is given.

    :ivar account: name of the account that submits.
    :ivar path: the return path that tells the sender what became of it: ``smpp``, ``callback``, or empty.
    :ivar sender: as the client wrote it; empty means the account's default. Its TON and NPI follow from
        its form, whatever the client says of them.
    :ivar recipients: the numbers as the client wrote them.
    :ivar notify: :class:`~smsgw.model.lifecycle.Notify` bits.
    :ivar schedule: absolute time of the first attempt, 0 for now.
    :ivar expires: absolute end of validity, 0 for the account's default.
    :ivar tlvs: encoded TLVs to pass on unchanged.
    :ivar text_limit: the longest text in characters the front end's dialect takes, 0 for none.
    :ivar as_states: refusals that this front end does not tell at once: the message is accepted and its final
        state says so (HTTP v2).
    :ivar options: what most submissions do without.
    :ivar login: the login that submits it. :ivar listener: the name of the listener that it comes through.
    """

    account: str
    path: str
    sender: str
    recipients: Sequence[str]
    text: str | None = None
    octets: bytes = b""
    data_coding: int = 0
    esm_class: int = 0
    notify: int = 0
    priority: int = 0
    schedule: float = UNIX_NEVER
    expires: float = UNIX_NEVER
    service_type: str = ""
    protocol_id: int = 0
    tlvs: bytes = b""
    text_limit: int = 0
    as_states: frozenset[Refusal] = frozenset()
    options: Options | None = None
    login: str = ""
    listener: str = ""


@attrs.define(eq=False)
class Accepted:
    """The gateway's yes to one submission, given after the synced commit.

    :ivar id: the id the client is told: the message's, or the batch's where several recipients share one answer.
    :ivar message_ids: ids of the messages, one per recipient.
    :ivar parts: parts of all messages together.
    :ivar state: state of the first message; may already be final (refused by rules).
    :ivar repeated: the idempotency key was used before: this is the answer to its first use, nothing was stored.
        Then `message_ids` holds just `id`, and `parts` and `state` are 0.
    """

    id: int
    message_ids: Sequence[int]
    parts: int
    state: State
    repeated: bool = False


@attrs.frozen
class Previewed:
    """What would become of a submission, which was only looked at.

    :ivar encoding: the alphabet it would be written in, a value of :class:`smsgw.text.coding.Alphabet`.
    :ivar characters: of the text; of user data with a header of its own, those behind the header.
    :ivar number: the recipient in international form. :ivar connector: the one it would take now.
    :ivar price: of all parts in 1/10000 units; None where nobody said what it costs.
    """

    encoding: str
    characters: int
    parts: int
    number: str
    connector: str
    price: int | None = None


@attrs.define(eq=False)
class Message:
    """One text to one recipient, as stored.

    :ivar path: the return path that tells the sender what became of it: ``smpp``, ``callback``, or empty.
    :ivar claimed: whether it may have been written to the upstream already and its outcome is not known.
        Set by dispatch before the accepting commit or by a claim; a claimed message is in no queue.
    :ivar attempts: how often it was handed to a connector and came back.
    :ivar parts: how many short messages carry it; their octets are those of `cut`.
    :ivar expires: absolute end of validity. :ivar due: absolute time before which it is not sent (0: at once).
    :ivar created, changed, sent: absolute times of acceptance, of the last change of state (of a new message: that of
        acceptance), of the upstream's first acceptance (0: not yet).
    :ivar error: code of the failure that decided the state (0: none).
    :ivar recipient: the number in international form, digits only.
    :ivar batch: id under which the client asks for several messages at once, 0 for none.
    :ivar remote_id: the upstream's id of the (first) part, empty before it is known.
    :ivar unsent: numbers of the parts that are still to be sent, of a message that came back after some of its
        parts were taken or ended; empty for all of them.
    :ivar login: the login that submitted it, empty for the account's own. :ivar listener: the name of the listener
        that it came through, empty where none is known.
    """

    id: int
    account: str
    path: str
    connector: str
    state: State
    priority: int
    claimed: bool
    attempts: int
    notify: int
    parts: int
    expires: float
    created: float
    changed: float
    due: float
    error: int
    recipient: str
    batch: int
    content: Content
    sent: float = UNIX_NEVER
    remote_id: str = ""
    unsent: tuple[int, ...] = ()
    cut: Cut = WHOLE
    login: str = ""
    listener: str = ""


def brief(message: Message) -> Message:
    """The message with the octets of its first part only."""
    m = message
    if m.parts == 1 or not m.cut.parts:
        return m
    c = m.content
    # Written out, since attrs.evolve() takes ten times as long.
    content = Content(
        c.sender,
        c.sender_ton,
        c.sender_npi,
        c.recipient_ton,
        c.recipient_npi,
        c.data_coding,
        c.esm_class,
        m.cut.parts[0],
        c.protocol_id,
        c.service_type,
        c.tlvs,
        c.labels,
        c.recipient,
    )
    return Message(
        m.id,
        m.account,
        m.path,
        m.connector,
        m.state,
        m.priority,
        m.claimed,
        m.attempts,
        m.notify,
        m.parts,
        m.expires,
        m.created,
        m.changed,
        m.due,
        m.error,
        m.recipient,
        m.batch,
        content,
        m.sent,
        m.remote_id,
        m.unsent,
        WHOLE,
        m.login,
        m.listener,
    )


@attrs.define(eq=False)
class Part:
    """One short message on the air: part `seq` (from 1) of `message`."""

    message: Message
    seq: int

    @property
    def octets(self) -> bytes:
        """User data of this part, without a concatenation header of ours."""
        parts = self.message.cut.parts
        return parts[self.seq - 1] if parts else self.message.content.octets


@attrs.define(eq=False)
class DeliveryReport:
    """An upstream's statement about one part (a receipt).

    :ivar remote_id: the upstream's id, as it came (a connector may have normalised it).
    :ivar state: the final state it means, or None if it changes nothing (ENROUTE, ACCEPTD, unknown words).
    :ivar error: code for the sender, 0 for none. :ivar at: absolute time of that state.
    :ivar raw: the upstream's own words, kept for people when the report is parked.
    """

    remote_id: str
    state: State | None
    error: int
    at: float
    raw: bytes = b""


class IncomingKind(IntEnum):
    """What came from a subscriber."""

    MESSAGE = 1
    CALL = 2
    KEYS = 3


@attrs.define(eq=False)
class Incoming:
    """Something that came from a subscriber, as stored: a message, a call, or keys pressed during a voice message.

    :ivar id: from the same counter as the ids of messages. :ivar account: whose number it came to.
    :ivar path: the return path that tells the account of it; empty: it is only kept, and listed.
    :ivar sender, recipient: the subscriber's number, and the number of ours that it came to.
    :ivar text: of a message; the keys pressed, in order (``12``).
    :ivar at: absolute time of its arrival.
    :ivar answers: id of the message of ours that it answers (always known for keys), 0 for none.
    :ivar seconds: how long the call took, 0 where that is not known.
    :ivar callback: URL to call instead of the account's; empty for the account's.
    """

    id: int
    account: str
    path: str
    kind: IncomingKind
    connector: str
    sender: str
    recipient: str
    text: str
    at: float
    answers: int = 0
    seconds: int = 0
    callback: str = ""
    listener: ClassVar[str] = ""
    """No listener of ours: it came from an upstream."""
    login: ClassVar[str] = ""
    """What came from an upstream is told to the account's own login."""


class EventKind(IntEnum):
    """What an event tells; also its place (`seq`) among the events of one message."""

    ENROUTE = 1
    FINAL = 2
    INCOMING = 3


@attrs.define(eq=False)
class Event:
    """Something the sender of `message` is to be told over its return path.

    Unique by (login, path, message.id, kind); kept until the sender acknowledged it, so it may be told twice.

    :ivar message: an :class:`Incoming` where `kind` is INCOMING, and only there. Otherwise :func:`brief`: many events
        wait in memory.
    :ivar state, error, at: the state told, its error code, when it was reached (absolute). Of what is INCOMING:
        DELIVERED, 0, and when it came.
    :ivar attempts: how often it was tried in vain.
    :ivar due: absolute time before which it is not tried again, 0 for at once.
    :ivar since: when it was taken up again after it had been given up (absolute): from then on it is kept as if it
        had just happened; 0 for never.
    """

    message: Message | Incoming
    kind: EventKind
    state: State
    error: int
    at: float
    attempts: int = 0
    due: float = UNIX_NEVER
    since: float = UNIX_NEVER

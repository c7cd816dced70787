"""Submissions, messages, parts, delivery reports and events: the values that flow through the gateway.

The gateway makes tens of thousands of them each second, so they are plain slotted classes made positionally. After
acceptance only the attributes of a message's state change (state, claimed, connector, attempts, unsent ...).
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
"""The name of the return path over HTTP, in messages and events."""

UNIX_NEVER: Final = 0.0
"""The value of an absolute time, in seconds since 1970 UTC, that does not exist."""


@attrs.frozen
class Options:
    """Rare attributes of submissions, in one object so that most submissions have one empty attribute.

    :ivar encoding: the alphabet: ``gsm`` or ``ucs2``; empty: the gateway chooses.
    :ivar key: idempotency key, unique within the account with the front end's prefix; empty for none. If the account
        used the key before, the submission is not stored again: the answer is the id of the first one.
    :ivar digest: hash of the request; a key that comes again with another digest is refused.
    :ivar labels: stored with the message, None for none.
    :ivar batch: id of a batch that this submission continues; 0: several recipients get a new batch.
    """

    encoding: str = ""
    key: str = ""
    digest: bytes = b""
    labels: Labels | None = None
    batch: int = 0


@attrs.define(eq=False)
class Submission:
    """The request of a client to send one text from one sender to one or more recipients.

    Either `text` (characters; intake chooses the alphabet and splits) or `octets` with `data_coding` and
    `esm_class` (user data of an ESME, which stays unchanged) is given.

    :ivar account: name of the account that submits.
    :ivar path: the return path of reports: ``smpp``, ``callback``, or empty for no reports.
    :ivar sender: as the client wrote it; empty means the account's default. Its TON and NPI follow from its form; those
        that the client gives are ignored.
    :ivar recipients: the numbers as the client wrote them.
    :ivar notify: :class:`~smsgw.model.lifecycle.Notify` bits.
    :ivar schedule: absolute time of the first attempt, 0 for now.
    :ivar expires: absolute end of validity, 0 for the account's default.
    :ivar tlvs: encoded TLVs to pass on unchanged.
    :ivar text_limit: the longest text, in characters, that the dialect allows; 0 for no limit.
    :ivar as_states: refusals that the dialect reports as a final state of the message, which is accepted (HTTP v2).
    :ivar options: rare attributes, None for none.
    :ivar login: the login that submits. :ivar listener: the name of the listener that the submission came through.
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
    """The positive answer to one submission, given after the synced commit.

    :ivar id: the id in the answer: that of the message, or of the batch if several recipients share one answer.
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
    """How the gateway would send a submission, which was checked and not stored.

    :ivar encoding: the alphabet of the text, a value of :class:`smsgw.text.coding.Alphabet`.
    :ivar characters: of the text; of user data with a header of the client, those behind the header.
    :ivar number: the recipient in international form. :ivar connector: the connector that would send it now.
    """

    encoding: str
    characters: int
    parts: int
    number: str
    connector: str


@attrs.define(eq=False)
class Message:
    """One text to one recipient, as stored.

    :ivar path: the return path of reports: ``smpp``, ``callback``, or empty for no reports.
    :ivar claimed: whether it may have been written to the upstream and its outcome is not known. Dispatch sets it
        before the accepting commit, or a claim sets it; a claimed message is in no queue.
    :ivar attempts: how often a connector has returned it unsent.
    :ivar parts: how many short messages carry it; their octets are those of `cut`.
    :ivar expires: absolute end of validity. :ivar due: absolute time before which it is not sent (0: at once).
    :ivar created, changed, sent: absolute times of acceptance, of the last change of state (of a new message: that of
        acceptance), of the upstream's first acceptance (0: not yet).
    :ivar error: code of the failure that decided the state (0: none).
    :ivar recipient: the number in international form, digits only.
    :ivar batch: id of the batch to which it belongs, 0 for none.
    :ivar remote_id: the upstream's id of the (first) part, empty before it is known.
    :ivar unsent: numbers of the parts that are still to be sent, if other parts were sent or have ended; empty: all
        parts.
    :ivar login: the login that submitted it, empty for the account's own. :ivar listener: the name of the listener
        that it came through, empty if unknown.
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
    """One short message on the air: part `seq` (from 1) of `message`.

    :ivar since: monotonic time when dispatch gave it to the connector, 0 for not yet.
    """

    message: Message
    seq: int
    since: float = 0.0

    @property
    def octets(self) -> bytes:
        """User data of this part, without a concatenation header of the gateway."""
        parts = self.message.cut.parts
        return parts[self.seq - 1] if parts else self.message.content.octets


@attrs.define(eq=False)
class DeliveryReport:
    """An upstream's statement about one part (a receipt).

    :ivar remote_id: the upstream's id (a connector may have normalised it).
    :ivar state: the final state, or None if the receipt changes nothing (ENROUTE, ACCEPTD, unknown words).
    :ivar error: code for the sender, 0 for none. :ivar at: absolute time of that state.
    :ivar raw: the text of the receipt; stored if the receipt is parked, and as the upstream's last words if the part
        was not delivered.
    """

    remote_id: str
    state: State | None
    error: int
    at: float
    raw: bytes = b""


class IncomingKind(IntEnum):
    """What a subscriber sent."""

    MESSAGE = 1
    CALL = 2
    KEYS = 3


@attrs.define(eq=False)
class Incoming:
    """An incoming message, a call, or keys pressed during a voice message, as stored.

    :ivar id: from the same counter as the ids of messages. :ivar account: the account that it belongs to.
    :ivar path: the return path of its report; empty: no report, it is only stored and listed.
    :ivar sender, recipient: the subscriber's number, and the number of the gateway.
    :ivar text: of a message; the keys pressed, in order (``12``).
    :ivar at: absolute time of its arrival.
    :ivar answers: id of the message that it answers (always known for keys), 0 for none.
    :ivar seconds: duration of the call, 0 if unknown.
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
    """Empty: it came from an upstream, through no listener."""
    login: ClassVar[str] = ""
    """Empty: it is reported to the account's own login."""


class EventKind(IntEnum):
    """The kind of an event; also its position (`seq`) among the events of one message."""

    ENROUTE = 1
    FINAL = 2
    INCOMING = 3


@attrs.define(eq=False)
class Event:
    """A state of `message`, or an incoming text, to be reported over the return path.

    Unique by (login, path, message.id, kind). It is stored until its receiver has acknowledged it, so it may be
    delivered twice.

    :ivar message: an :class:`Incoming` if `kind` is INCOMING; otherwise a message made by :func:`brief`, to save
        memory.
    :ivar state, error, at: the state, its error code, and the absolute time when it was reached. If `kind` is
        INCOMING: DELIVERED, 0, and the time of arrival.
    :ivar attempts: how many attempts failed.
    :ivar due: absolute time before which it is not tried again, 0 for at once.
    :ivar since: absolute time when it was replayed from the dead letters; its age counts from then on; 0 for never.
    :ivar words: the words with which the upstream ended the message, empty for none.
    """

    message: Message | Incoming
    kind: EventKind
    state: State
    error: int
    at: float
    attempts: int = 0
    due: float = UNIX_NEVER
    since: float = UNIX_NEVER
    words: str = ""

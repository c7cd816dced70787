"""The ports between the layers: small, documented, batch-shaped.

Every list keeps its order; a single message is a list of one. Interfaces are checked twice: by
``verifyObject`` in the tests of whoever implements one, and by mypy-zope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from smsgw.model.changes import Changes, Committed
from smsgw.model.errors import Refused
from smsgw.model.message import Accepted, DeliveryReport, Event, Incoming, Message, Part, Submission
from smsgw.model.outcome import Outcome

if TYPE_CHECKING:
    from smsgw.smpp.pdus import Pdu


class IIntake(Interface):
    """The one door: everything that is to be sent comes through here."""

    def submit(submissions: Sequence[Submission]) -> Deferred[list[Accepted | Refused]]:
        """Check, route, split and store.

        All checks run before this returns, and room in the store's queue is reserved at the call. The result has
        the length and order of `submissions` and comes after the synced commit, per caller in the order of calls.

        A store that is full refuses every submission of the call with QUEUE_FULL.

        :raises smsgw.model.errors.StoreDown: (through the Deferred) nothing was kept.
        :raises smsgw.model.errors.UnknownOutcome: (through the Deferred) it may have been kept.
            In both cases every submission of the call gets the temporary answer.
        """


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
class Traced:
    """Everything the store knows of one message, for people: its parts as (seq, state, error, remote_id),
    reports still awaited, and events not yet acknowledged."""

    message: Message
    parts: Sequence[tuple[int, int, int, str]]
    awaited: Sequence[Awaited]
    events: Sequence[Event]


@attrs.frozen
class Wanted:
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

    def open() -> None:
        """Open or create, migrate, take the lock against a second process. Blocking; before anything else.

        :raises StoreDown: when it cannot be opened, saying what to do (locked, newer schema, not writable).
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

    def reclaim(after: int, limit: int) -> Deferred[list[Part]]:
        """At start: parts of claimed messages with ids above `after` that may or may not have been sent, by id.

        Whole messages only (the last message's parts are complete), at most about `limit` parts; empty: no more.
        Counts one attempt for each message it hands out.
        """

    def awaited(connector: str, after: tuple[int, int], limit: int) -> Deferred[list[Awaited]]:
        """Parts handed to `connector` whose receipt is awaited, ordered by (message id, seq) and above `after`."""

    def connectors() -> Deferred[list[str]]:
        """Names of the connectors that messages are queued for and due now, configured or not."""

    def waiting(connector: str) -> Deferred[dict[str, int]]:
        """How many messages are queued for `connector` and due now, per account."""

    def queued(connector: str, account: str, after: tuple[int, int], limit: int) -> Deferred[list[Message]]:
        """Queued messages due now, ordered by (-priority, id) and above `after` in that order. Claims nothing."""

    def due(now: float, limit: int) -> Deferred[list[tuple[str, str, int]]]:
        """(connector, account, message id) of queued messages whose time came between the last call and `now`.

        Scheduled ones among them are QUEUED from here on. Also finds what came due while the program was down.
        """

    def overdue(now: float, limit: int) -> Deferred[list[tuple[Message, int]]]:
        """(message, seq) that waited too long, some `limit` rows further at each call (a rolling cursor).

        Queued messages whose validity ended, with seq 0; and parts whose receipt is overdue, with their seq.
        """

    def find(account: str | None, ids: Sequence[int]) -> Deferred[list[list[Message]]]:
        """Per id the messages it stands for: one for a message's id, several for a batch's, none if unknown.

        Messages of other accounts are unknown. `account` None is the operator of the gateway.
        """

    def trace(id: int) -> Deferred[Traced | None]:
        """Everything about one message, for the operator."""

    def listed(account: str | None, wanted: Wanted, before: int, limit: int) -> Deferred[list[Message]]:
        """Newest first, ids below `before` (0: from the newest), that fit `wanted`."""

    def received(account: str | None, before: int, limit: int) -> Deferred[list[Incoming]]:
        """What came from subscribers, newest first, ids below `before` (0: from the newest)."""

    def expected(phone: str, number: str, now: float) -> Deferred[str]:
        """The account that waits for a call from `phone` to `number` (the latest to ask); empty for none."""

    def counts() -> Deferred[dict[int, int]]:
        """How many messages are stored, per state."""

    def events(account: str, path: str, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        """Events not yet acknowledged, ordered by (message id, kind) and above `after`."""

    def debtors(path: str) -> Deferred[list[str]]:
        """Accounts that have events waiting on `path`."""

    def parked(limit: int) -> Deferred[list[Parked]]:
        """Receipts that match nothing, oldest first."""

    def unheard(account: str | None, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        """Events that were given up because nobody took them in time, ordered by (message id, kind), above `after`."""

    def replay(account: str | None, ids: Sequence[int], limit: int) -> Deferred[list[Event]]:
        """Take events of these messages (empty: of all) that were given up back among those to be told, as if they
        had never been tried and had just happened; at most `limit`, returned in the order of :meth:`unheard`."""

    def purge(before: float, events_before: float, limit: int) -> Deferred[tuple[int, int]]:
        """Delete at most `limit` final messages last changed before `before` (and parked receipts, given up events,
        what came from subscribers, idempotency keys and awaited calls as old), and give up events of states reached
        before `events_before`; returns how many messages went and how many events were given up.
        A message with an event that is still to be told stays."""


class IConnectorSink(Interface):
    """What a connector tells the gateway."""

    def outcomes(connector: str, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        """The upstream's answers; each offered part exactly once."""

    def receipts(connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """The upstream's statements. Acknowledge them upstream after the Deferred fires; if it fails, answer
        a temporary error so that the upstream repeats them."""

    def incoming(connector: str, incoming: Sequence[Incoming]) -> Deferred[list[Refused | None]]:
        """What came from subscribers; `id`, `account` and `path` are not known yet. Per item None when it is stored,
        or why nobody gets it. Acknowledge upstream after the Deferred fires; if it fails, answer a temporary error."""

    def ready(connector: str) -> None:
        """There is room again after there was none."""


class IConnector(Interface):
    """A way out of the gateway towards one upstream. Never imports services."""

    name = Attribute("The free name of its section in gw.ini.")
    up = Attribute("Whether the link is usable now; new messages prefer a connector of their route that is.")

    def start(sink: Any) -> None:
        """Begin to work; `sink` provides :class:`IConnectorSink`."""

    def room() -> int:
        """How many parts may be offered now: window less unsettled, and tokens of the rate; 0 while down.

        Whenever this was 0 and grows, ``sink.ready`` is called.
        """

    def offer(parts: Sequence[Part]) -> None:
        """Send these, in order; at most :meth:`room`. Exactly one outcome follows for each; `Lost` when the
        link goes before the answer. Outcomes may come before this returns."""

    def settled(count: int) -> None:
        """The outcomes of `count` parts were committed: their window slots are free."""

    def resume(awaited: Sequence[Awaited]) -> None:
        """After a restart, in pages before anything is offered: parts whose receipts are still owed to us."""

    def stop() -> Deferred[None]:
        """Take no more, wait for outcomes on the way (the caller bounds the wait), close the link."""


class ISimulator(Interface):
    """A connector that makes up what subscribers do, so that it can be tried without any."""

    def simulate(incoming: Incoming) -> Deferred[Refused | None]:
        """As if it had come from a subscriber just now (`connector` and `at` are filled in): None when it is stored, or
        why nobody gets it. Fails as the store does."""


class IConnectorFactory(Interface):
    """How a type of connector is found and made: a plugin in ``smsgw.plugins`` provides this and IPlugin."""

    kind = Attribute("The word after `type =`.")

    def settings() -> type:
        """The settings class of its section: a subclass of :class:`smsgw.config.ConnectorSettings`."""

    def make(settings: Any, clock: Any) -> Any:
        """An :class:`IConnector` for one section. `clock` provides IReactorTime with monotonic seconds (and is
        the reactor when the program runs); nothing is started yet."""


@attrs.frozen
class Called:
    """An HTTP request that an upstream made to us: a receipt, or something incoming.

    :ivar query: as it came, without the question mark. :ivar headers: by lower-case name, the last of each.
    :ivar peer: the address it came from.
    """

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    peer: str


@attrs.frozen
class CallAnswer:
    """What an upstream that called us is answered."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class ICalledBack(Interface):
    """A connector whose upstream calls us back over HTTP, at ``/upstream/NAME`` of every HTTP listener."""

    def called(call: Called) -> Deferred[CallAnswer]:
        """Take the call; it fires after what it brought is committed. The connector itself checks who calls.
        A failure is answered 503, so that the upstream repeats it."""


class IReturnSink(Interface):
    """What a return path tells the outbox."""

    def told(events: Sequence[Event]) -> None:
        """The sender acknowledged these: they may be forgotten."""

    def later(events: Sequence[Event], seconds: float | None) -> None:
        """The sender could not take these: try again in `seconds`, or None for the outbox's own back-off."""

    def returned(events: Sequence[Event]) -> None:
        """These were under way when the session went: nobody knows whether they arrived; no attempt is charged."""

    def forgotten(events: Sequence[Event]) -> Deferred[None]:
        """These are about to be told at most once: they count as told. They may be told when the Deferred fires,
        after the synced commit; if it fails they must not be, and are handed out again later."""

    def ready(account: str) -> None:
        """There is room for `account` again (a bind, an acknowledgement) after there was none."""


class IReturnPath(Interface):
    """One per front end that can tell a sender what became of a message. Never blocks."""

    path = Attribute("Its word in messages and events: ``smpp``, ``callback``.")

    def attach(sink: Any) -> None:
        """`sink` provides :class:`IReturnSink`."""

    def room(account: str) -> int:
        """How many events may be handed over for `account` now; 0 while nobody can take one."""

    def deliver(events: Sequence[Event]) -> None:
        """Tell these, all of one account, in order; each is answered exactly once through the sink (told, later,
        returned or forgotten)."""


class IPolicy(Interface):
    """A rule that may refuse or change a submission. Synchronous, no I/O, in configured order."""

    def check(account: Any, submissions: Sequence[Submission]) -> list[Refused | None]:
        """Per submission None to let it pass, or why not. An exception refuses that one as temporary."""


@attrs.frozen
class Bound:
    """The delegate's yes to a bind: the account, the system_id to answer, and what the account may do.

    :ivar window: deliver_sm outstanding towards this session.
    """

    account: str
    system_id: bytes
    window: int = 100


class ISmppSession(Interface):
    """One SMPP connection, as its delegate sees it."""

    bound = Attribute("The :class:`Bound` the delegate gave, or None.")
    version = Attribute("Working version: 0x33, 0x34 or 0x50.")
    transmits = Attribute("Whether the peer is bound to send us messages.")
    receives = Attribute("Whether the peer is bound to receive from us.")
    peer = Attribute("The peer's IP address as text.")
    tls = Attribute("Whether the connection is encrypted.")

    def send(requests: Sequence[tuple[object, Pdu]]) -> None:
        """Send requests (deliver_sm ...) with sequence numbers of our own, in one write; at most :meth:`room`.

        Each token comes back through ``answers`` exactly once."""

    def room() -> int:
        """How many more requests of ours the window takes; 0 when the peer does not receive."""

    def pause() -> None:
        """Stop looking at what the peer sends (back-pressure); response timers are suspended."""

    def resume() -> None:
        """Look again."""

    def close() -> None:
        """Unbind in order, then close."""


class ISmppDelegate(Interface):
    """What an SMPP server protocol asks of the program it is embedded in."""

    def bind(session: Any, pdu: Pdu) -> Deferred[Bound | int]:
        """Bound, or the command_status of the refusal. Nothing else is read meanwhile."""

    def requests(session: Any, pdus: Sequence[Pdu]) -> Deferred[list[Pdu | int]]:
        """All requests of one read, legal in the session's state, in wire order. Per request its response (the
        session fills in the sequence number) or a command_status; they leave in one write. A failure of the
        Deferred answers 0x08 to each."""

    def answers(session: Any, answers: Sequence[tuple[object, int, Pdu | None]]) -> None:
        """(token, command_status, response) to requests of ours; the response is None (and the status -1) when
        the link went or the response timer ran out: the request may have been taken. An empty list says that
        ``room()`` has grown: behind a positive bind response, and when a slow reader has caught up."""

    def closed(session: Any, why: str) -> None:
        """The connection is gone; told for every session that was bound."""


@attrs.frozen
class Reply:
    """An SMTP reply: code and text (sent as given, ASCII, without line ends). `close` hangs up behind it."""

    code: int
    text: str
    close: bool = False


class IMailDelegate(Interface):
    """What the ESMTP protocol asks of the program it is embedded in, one command at a time.

    Each call returns a Deferred of :class:`Reply`; the next command of the session waits for it. A failure is
    answered 451. `session.account` is the delegate's to set; it is forgotten at STARTTLS.
    """

    def login(session: Any, login: bytes, password: bytes) -> Deferred[Reply]:
        """Check credentials; a reply of 235 means the session is authenticated."""

    def sender(session: Any, address: str, parameters: Mapping[str, str]) -> Deferred[Reply]:
        """MAIL FROM: a 250 opens the transaction."""

    def recipient(session: Any, address: str) -> Deferred[Reply]:
        """RCPT TO: a 250 adds the recipient to the envelope."""

    def message(session: Any, envelope: Any, octets: bytes) -> Deferred[Reply]:
        """The message (header, blank line, body; dots unstuffed, CRLF line ends). 250 means it is stored."""

    def status(session: Any, argument: str) -> Deferred[Reply]:
        """STATUS: what became of a message (000-32)."""

    def closed(session: Any) -> None:
        """The session is over: the connection is gone, or STARTTLS begins a new one. Once per session."""


@attrs.frozen
class Denied:
    """The no of a JSON API: the word that says why, and the HTTP status it comes with."""

    reason: str
    status: int = 200


@attrs.frozen
class Shown:
    """What a JSON API tells of one message.

    :ivar created_at, updated_at: seconds since 1970 of the acceptance and of the last change of state.
    :ivar pdu_count: parts, None where that is not known.
    :ivar status: ``delivered``, ``awaiting_report``, ``failed``, ``insufficient_balance`` or ``rejected``.
    :ivar error_code: why, shown only where the status is ``rejected``.
    """

    created_at: int
    updated_at: int
    msisdn: str
    pdu_count: int | None
    status: str
    text: str
    error_code: int | None = None


class IJsonDelegate(Interface):
    """What the JSON API asks of the program it is embedded in. A failed Deferred is answered ``system_error``."""

    def login(login: bytes, password: bytes, peer: str) -> Deferred[str | Denied]:
        """The name of the account, if the credentials are right and may be used from the address `peer`.

        An empty login means that the password is an API key."""

    def submit(account: str, msisdn: str, shortcode: str, text: str) -> Deferred[str | Denied]:
        """The id of the message (letters and digits), which is stored by then.

        `msisdn` is an international number, digits only; `shortcode` and `text` are as the client wrote them, the
        text perhaps empty: whether the sender may be used is looked at first."""

    def status(account: str, id: str) -> Deferred[Shown | Denied]:
        """What became of the message with this id; the same no for a wrong id and for another account's."""

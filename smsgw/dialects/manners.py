"""What a dialect is made of: for each protocol one frozen record of tables and pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from enum import Enum
from string import Formatter
from typing import Final

import attrs

from smsgw.model.callbackurl import host_of
from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, EventKind
from smsgw.smpp.consts import VERSION_5_0, VERSIONS, MessageState
from smsgw.smpp.pdus import Pdu
from smsgw.smpp.tlvs import Tlv

_LONGEST_ID: Final = 18
_MOST_IN_ERR: Final = 999
_GAPS: Final = ("id", "submitted", "done")


@attrs.frozen
class IdForm:
    """How ids are written in responses and read from requests.

    :ivar written: the form of an id, as a ``bytes`` format of the number. :ivar base: of its digits.
    :ivar also: further forms, of the same base, that requests may use.
    """

    written: bytes = b"%d"
    base: int = 10
    also: tuple[bytes, ...] = ()

    def write(self, id: int) -> bytes:
        """Return the id in the form of responses."""
        return self.written % id

    def read(self, octets: bytes) -> int | None:
        """Return the id that a client sent, None if `octets` match none of the forms. Case is ignored."""
        if not 0 < len(octets) <= _LONGEST_ID:
            return None
        try:
            id = int(octets, self.base)
        except ValueError:
            return None
        named = octets.upper()
        return id if id > 0 and any(form % id == named for form in (self.written, *self.also)) else None


@attrs.frozen(kw_only=True)
class ReceiptManner:
    """How receipts are written (3.4 section 5.2.12, appendix B).

    :ivar text: text of the deliver_sm. It has the fields ``{id}``, ``{submitted}``, ``{done}`` and optionally
        ``{excerpt}``, once each and in this order; at any place ``{stat}``, and the numbers ``{err}`` and ``{dlvrd}``
        (1 if delivered).
    :ivar excerpt: highest number of characters of the message's text in ``{excerpt}``.
    :ivar stats: the word ``{stat}`` for each message_state.
    :ivar tlvs: returns the TLVs for a message_state, an error code and a version from 3.4 on; receipted_message_id
        always comes before them, and 3.3 has none.
    :ivar echoed: tags of the TLVs of a submission that its receipts repeat, the first of each.
    :ivar esm_classes: esm_class of the deliver_sm for an intermediate and for a final state.
    """

    text: str = attrs.field()
    excerpt: int = 20
    stats: Mapping[int, str]
    tlvs: Callable[[int, int, int], Sequence[Tlv]]
    echoed: frozenset[int] = frozenset()
    esm_classes: Mapping[EventKind, int]

    @text.validator
    def _fields_in_order(self, attribute: object, value: str) -> None:
        gaps = tuple(name for name in _fields(value) if name in (*_GAPS, "excerpt"))
        if gaps not in (_GAPS, (*_GAPS, "excerpt")):
            raise ValueError(f"a receipt has {', '.join(_GAPS)} and optionally excerpt, in this order; not {gaps}")

    @property
    def excerpts(self) -> int:
        """The highest number of characters of the message's text in a receipt; 0 if the text has no ``{excerpt}``."""
        return self.excerpt if "excerpt" in _fields(self.text) else 0

    def form(self, message_state: int, error: int) -> bytes:
        """Return the text for a state and an error code as a ``bytes`` format of id, submitted, done and excerpt.

        If the text has no ``{excerpt}``, the last value is formatted as no octets.
        """
        filled = self.text.replace("%", "%%").format(
            id="%b",
            submitted="%b",
            done="%b",
            excerpt="%b",
            stat=self.stats[message_state],
            err=min(error, _MOST_IN_ERR),
            dlvrd=int(message_state == MessageState.DELIVERED),
        )
        return (filled if self.excerpts else filled + "%.0b").encode("ascii")


def _fields(text: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(text) if name is not None]


class Excess(Enum):
    """What happens to a bind when its account already has all its sessions."""

    REFUSE = "it is refused"
    UNBIND_OLDEST = "it is accepted, and the account's oldest session is unbound"


@attrs.frozen(kw_only=True)
class SmppManner:
    """How a message centre answers its ESMEs.

    :ivar settings: defaults of a listener's settings, by attribute of
        :class:`~smsgw.config.SmppListenSettings`: timers, `connections`, field `maxima`, operations that are `nacked`.
    :ivar statuses: the command_status of each refusal; :ivar statuses_5_0: those that replace them for 5.0 ESMEs.
    :ivar as_states: refusals that become states: the response accepts the message, its final state is the refusal.
    :ivar states: the message_state of each state in 5.0; earlier versions have ENROUTE in place of SCHEDULED.
    :ivar ids: how ids are written, by version.
    :ivar notify: by version and registered_delivery the bits of :class:`~smsgw.model.lifecycle.Notify`, -1 if the
        version does not define that value.
    :ivar receipts: how receipts are written.
    :ivar operations: requests of a bound ESME, beside submit_sm, that are supported; others get ESME_RINVCMDID.
    :ivar excess: what happens to binds beyond `connections`.
    :ivar longest: highest number of octets of user data in one submission; 0: as many as a PDU holds.
    """

    settings: Mapping[str, object] = attrs.field(factory=dict)
    statuses: Mapping[Refusal, int]
    statuses_5_0: Mapping[Refusal, int] = attrs.field(factory=dict)
    as_states: frozenset[Refusal] = frozenset()
    states: Mapping[State, int]
    ids: Mapping[int, IdForm]
    notify: Mapping[int, Sequence[int]]
    receipts: ReceiptManner
    operations: frozenset[type[Pdu]]
    excess: Excess = Excess.REFUSE
    longest: int = 0

    def status(self, refusal: Refusal, version: int) -> int:
        """Return the command_status of `refusal` for an ESME of `version`."""
        status = self.statuses[refusal]
        return self.statuses_5_0.get(refusal, status) if version >= VERSION_5_0 else status

    def message_state(self, state: State, version: int) -> int:
        """Return the message_state of `state` for an ESME of `version`."""
        number = self.states[state]
        if number == MessageState.SCHEDULED and version < VERSION_5_0:
            return int(MessageState.ENROUTE)
        return number


def by_registered_delivery(notify: Callable[[int, int], int]) -> Mapping[int, tuple[int, ...]]:
    """Return the table :attr:`SmppManner.notify` from a function of registered_delivery and version."""
    return {version: tuple(notify(octet, version) for octet in range(256)) for version in VERSIONS}


@attrs.frozen(kw_only=True)
class SmtpManner:
    """How a submission server replies. A reply is a code and a text.

    :ivar settings: defaults of a listener's settings, by attribute of
        :class:`~smsgw.config.SmtpListenSettings`: greeting, lines of EHLO, limits.
    :ivar login, sender, recipient: positive replies to AUTH, MAIL and RCPT.
    :ivar accepted: text of the 250 after a message, with ``{id}``; without full stop.
    :ivar refusals: code and enhanced code (RFC 3463) of each refusal.
    :ivar as_states: refusals that become states: the reply accepts the message, STATUS reports the refusal.
    :ivar codes: status_code of STATUS for each state; :ivar codes_by_error: for a state with an error code.
    :ivar meanings: the text after each status_code.
    """

    settings: Mapping[str, object] = attrs.field(factory=dict)
    login: tuple[int, str]
    sender: tuple[int, str]
    recipient: tuple[int, str]
    accepted: str
    refusals: Mapping[Refusal, tuple[int, str]]
    as_states: frozenset[Refusal] = frozenset()
    codes: Mapping[State, int]
    codes_by_error: Mapping[tuple[State, int], int] = attrs.field(factory=dict)
    meanings: Mapping[int, str]

    def code(self, state: State, error: int) -> int:
        """Return the status_code of a message in `state` with the error code `error`."""
        return self.codes_by_error.get((state, error), self.codes[state])


@attrs.frozen(kw_only=True)
class SendMessageManner:
    """The words of the JSON API ``send_message`` (provider document 004). An error is a reason and an HTTP status.

    :ivar no_credentials: the error of a request without readable credentials; :ivar bad_request: of a body or an id
        that cannot be read; :ivar internal: of an internal fault.
    :ivar reasons: the error of each refusal.
    :ivar as_states: refusals that become states: the response accepts the message, its status reports the refusal.
    :ivar words: the status of a message in each state.
    :ivar with_error: states in which the status has the error code of the message.
    :ivar error: returns Content-Type and body of a response with an error, for its HTTP status and reason.
    """

    no_credentials: tuple[str, int]
    bad_request: tuple[str, int]
    internal: tuple[str, int]
    reasons: Mapping[Refusal, tuple[str, int]]
    as_states: frozenset[Refusal] = frozenset()
    words: Mapping[State, str]
    with_error: frozenset[State] = frozenset()
    error: Callable[[int, str], tuple[bytes, bytes]]


@attrs.frozen(kw_only=True)
class HttpManner:
    """The APIs of an HTTP listener beside the native one (/v1).

    :ivar settings: defaults of a listener's settings, by attribute of
        :class:`~smsgw.config.HttpListenSettings`.
    :ivar send_message: the words of ``/api/v2/send_message``; None: the listener does not have this API.
    :ivar error: returns Content-Type and body of an error outside of the APIs, for an HTTP status and a reason such as
        ``body_too_large``; None: problem details (RFC 9457).
    """

    settings: Mapping[str, object] = attrs.field(factory=dict)
    send_message: SendMessageManner | None = None
    error: Callable[[int, str], tuple[bytes, bytes]] | None = None


@attrs.frozen
class CallbackRequest:
    """The HTTP request of a callback. `headers` does not contain those that the client adds (Host, Content-Length)."""

    method: bytes
    url: str
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes | None = None


@attrs.frozen
class CallbackContext:
    """The values that a callback may use beside its event.

    :ivar zone: of readable times. :ivar keys: the account's keys for signatures; two during a change of keys.
    :ivar now: seconds since 1970.
    """

    zone: tzinfo
    keys: Sequence[str]
    now: float


@attrs.frozen(kw_only=True)
class CallbackManner:
    """How events are sent to the URL of an account.

    :ivar write: returns the request of an event to a URL; None if the event cannot be represented.
    :ivar check: raises ValueError for a URL that cannot be used.
    :ivar once: an event is acknowledged before its request, which is never repeated; otherwise the request is repeated
        until the receiver responds with 2xx.
    """

    write: Callable[[str, Event, CallbackContext], CallbackRequest | None]
    check: Callable[[str], object] = host_of
    once: bool = False


@attrs.frozen(kw_only=True)
class Dialect:
    """The manner of one provider over each protocol that it supports, and in callbacks.

    :ivar name: the value of ``dialect =`` of a listener whose protocol is supported, and of ``callback_dialect =`` of
        an account if there is a callback manner.
    """

    name: str
    smpp: SmppManner | None = None
    smtp: SmtpManner | None = None
    http: HttpManner | None = None
    callback: CallbackManner | None = None

    def settings(self, protocol: str) -> Mapping[str, object] | None:
        """Return the defaults of the settings of a listener of `protocol`; None if the dialect does not support it."""
        manners = {"smpp": self.smpp, "smtp": self.smtp, "http": self.http}
        manner = manners.get(protocol)
        return None if manner is None else manner.settings

"""What a dialect is made of: for each protocol one frozen record of tables and pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from string import Formatter
from typing import Final

import attrs

from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import State
from smsgw.model.message import EventKind
from smsgw.smpp.consts import VERSION_3_3, VERSION_3_4, VERSION_5_0, MessageState
from smsgw.smpp.pdus import Pdu
from smsgw.smpp.tlvs import Tlv

VERSIONS: Final = (VERSION_3_3, VERSION_3_4, VERSION_5_0)
"""The versions of SMPP that a session can have."""

_LONGEST_ID: Final = 18
_MOST_IN_ERR: Final = 999
_GAPS: Final = ("id", "submitted", "done")


@attrs.frozen
class IdForm:
    """How a client is told ids, and how it may name them.

    :ivar written: the form, a gap for the number in it. :ivar base: of its digits.
    :ivar also: further forms, of the same base, in which an id may be named.
    """

    written: bytes = b"%d"
    base: int = 10
    also: tuple[bytes, ...] = ()

    def write(self, id: int) -> bytes:
        """An id as the client is told it."""
        return self.written % id

    def read(self, octets: bytes) -> int | None:
        """The id that a client names, None if `octets` are none of the forms. Small letters are as good as capitals."""
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

    :ivar text: of the deliver_sm, with the fields ``{id}``, ``{submitted}``, ``{done}`` and perhaps ``{excerpt}``, once
        each and in this order, and anywhere ``{stat}``, and as numbers ``{err}`` and ``{dlvrd}`` (1 if delivered).
    :ivar excerpt: characters of the message's text that stand for ``{excerpt}``, at most.
    :ivar stats: the word ``{stat}`` for each message_state.
    :ivar tlvs: gives the TLVs for a message_state, an error code and a version from 3.4 on; receipted_message_id always
        comes before them, and 3.3 has none.
    :ivar echoed: tags of those TLVs of a submission that its receipts carry, the first of each.
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
            raise ValueError(f"a receipt has {', '.join(_GAPS)} and perhaps excerpt, in this order; not {gaps}")

    @property
    def excerpts(self) -> int:
        """Characters of the message's text in a receipt, at most; 0 where the text has no place for them."""
        return self.excerpt if "excerpt" in _fields(self.text) else 0

    def form(self, message_state: int, error: int) -> bytes:
        """The text for a state and an error code, with four gaps of ``bytes`` formatting: id, submitted, done, excerpt.

        Where no excerpt has a place the last gap takes nothing in.
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
    """What becomes of a bind when its account has all the sessions that it may have."""

    REFUSE = "it is refused"
    UNBIND_OLDEST = "it is accepted, and the account's oldest session is unbound"


@attrs.frozen(kw_only=True)
class SmppManner:
    """How a message centre treats its ESMEs.

    :ivar settings: defaults of a listener's settings, by attribute of
        :class:`~smsgw.config.SmppListenSettings`: timers, `connections`, field `maxima`, operations that are `nacked`.
    :ivar statuses: the command_status of every refusal; :ivar statuses_5_0: those that a 5.0 peer is told instead.
    :ivar as_states: refusals that no response tells: the message is accepted, and its final state says so.
    :ivar states: the message_state of every state, in 5.0; earlier versions have ENROUTE in place of SCHEDULED.
    :ivar ids: how ids are written, by version.
    :ivar notify: by version and registered_delivery the bits of :class:`~smsgw.model.lifecycle.Notify`, -1 where the
        version knows no such registered_delivery.
    :ivar receipts: how they are written.
    :ivar operations: requests of a bound ESME, beside submit_sm, that are carried out; the others get ESME_RINVCMDID.
    :ivar excess: what becomes of binds beyond `connections`.
    :ivar longest: octets of user data in one submission, at most; 0 for as many as a PDU holds.
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
        """The command_status that says `refusal` to a peer of `version`."""
        status = self.statuses[refusal]
        return self.statuses_5_0.get(refusal, status) if version >= VERSION_5_0 else status

    def message_state(self, state: State, version: int) -> int:
        """The message_state that says `state` to a peer of `version`."""
        number = self.states[state]
        if number == MessageState.SCHEDULED and version < VERSION_5_0:
            return int(MessageState.ENROUTE)
        return number


def by_registered_delivery(notify: Callable[[int, int], int]) -> Mapping[int, tuple[int, ...]]:
    """The table :attr:`SmppManner.notify` of a function of registered_delivery and version."""
    return {version: tuple(notify(octet, version) for octet in range(256)) for version in VERSIONS}


@attrs.frozen(kw_only=True)
class SmtpManner:
    """How a submission server talks. A reply is its code and its text.

    :ivar settings: defaults of a listener's settings, by attribute of
        :class:`~smsgw.config.SmtpListenSettings`: greeting, lines of EHLO, limits.
    :ivar login, sender, recipient: replies to AUTH, MAIL and RCPT when all is well.
    :ivar accepted: text of the 250 behind a message, ``{id}`` in it for the id; without full stop.
    :ivar refusals: code and enhanced code (RFC 3463) of every refusal.
    :ivar as_states: refusals that no reply tells: the message is accepted, and STATUS says so.
    :ivar codes: status_code of STATUS for every state; :ivar codes_by_error: for a state with an error code.
    :ivar meanings: the words behind each status_code.
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
        """The status_code of a message in `state` for the reason `error`."""
        return self.codes_by_error.get((state, error), self.codes[state])


@attrs.frozen(kw_only=True)
class SendMessageManner:
    """The words of the JSON API ``send_message`` (provider document 004).

    :ivar reasons: the reason and the HTTP status that say each refusal.
    :ivar as_states: refusals that no answer tells: the message is accepted, and its status says so.
    :ivar words: the status of a message in every state.
    """

    reasons: Mapping[Refusal, tuple[str, int]]
    as_states: frozenset[Refusal] = frozenset()
    words: Mapping[State, str]


@attrs.frozen(kw_only=True)
class HttpManner:
    """What an HTTP listener offers beside the API of our own (/v1).

    :ivar settings: defaults of a listener's settings, by attribute of
        :class:`~smsgw.config.HttpListenSettings`.
    :ivar send_message: the words of ``/api/v2/send_message``; None: there is no such API.
    :ivar error: gives Content-Type and body of an answer that leads to no API (HTTP status, reason such as
        ``body_too_large``); None: problem details (RFC 9457).
    """

    settings: Mapping[str, object] = attrs.field(factory=dict)
    send_message: SendMessageManner | None = None
    error: Callable[[int, str], tuple[bytes, bytes]] | None = None


@attrs.frozen(kw_only=True)
class Dialect:
    """The manner of one provider, over each protocol that it is spoken over.

    :ivar name: the word behind ``dialect =``.
    """

    name: str
    smpp: SmppManner | None = None
    smtp: SmtpManner | None = None
    http: HttpManner | None = None

    def settings(self, protocol: str) -> Mapping[str, object] | None:
        """Defaults of the settings of a listener of `protocol`; None where the dialect is not spoken over it."""
        manners = {"smpp": self.smpp, "smtp": self.smtp, "http": self.http}
        manner = manners.get(protocol)
        return None if manner is None else manner.settings

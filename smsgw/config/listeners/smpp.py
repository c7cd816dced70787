"""The settings of an SMPP server: all keys of [listen NAME] with protocol = smpp."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from smsgw.config import fields, types
from smsgw.config.errors import Conflict
from smsgw.config.listeners.common import ClientListenSettings, ConnectionLimits
from smsgw.config.settings import WORD
from smsgw.smpp.codec import LIMIT
from smsgw.smpp.consts import VERSION_5_0
from smsgw.smpp.maxima import raise_maxima

_SYSTEM_ID = types.text(15, r"[!-~]*", "at most 15 visible ASCII characters")


@attrs.frozen(kw_only=True, slots=False)
class SessionSettings:
    """Timers and limits of one session. Times are seconds, checked once a second; sizes are octets.

    The four timers are those of 5.0 section 2.7. They are suspended while this side does not read, because PDUs of the
    peer may be waiting.

    :ivar session_init: from the connection to a successful bind, the TLS handshake included.
    :ivar response: from a request of this side to its response. After it the request counts as lost. If no PDU of any
        kind followed an enquire_link, the link counts as dead.
    :ivar half_pdu: from the first octet of a PDU to its last.
    :ivar close_wait: for each step of closing: outstanding answers, unbind_resp, the end of the connection.
    :ivar maxima: greater lengths of C-Octet Strings than in the specification, as for ``maxima.raise_maxima``: octets
        with the NUL by field (``"system_type"``) or by field of one operation (``"bind_transmitter.system_type"``).
    :ivar nacked: command_ids of requests that get generic_nack 0x03 in any state, as unknown ones do.
    :ivar faults_before_bind: invalid PDUs and refused binds that an ESME may send before it is bound; one more closes
        the session.
    :ivar undecodable: PDUs in a row that cannot be decoded; one more closes the session.
    :ivar unread_abort: octets written that the peer has not read: a session with more than this for
        `unread_abort_after` is cut. From 64 KiB, the limit of the transport, its requests are not read.
    :ivar unread_abort_after: see `unread_abort`.
    :ivar only_requests_keep_alive: whether responses leave the inactivity timer alone.
    """

    session_init: float = fields.duration("time to bind after connecting", "10s", at_least=0.1)
    enquire_link: float = fields.duration("send enquire_link after this time without a PDU; 0 = never", "45s")
    inactivity: float = fields.duration("close a session after this time without a PDU; 0 = never", "2m")
    response: float = fields.duration("time for the ESME's response to a request of the gateway", "30s", at_least=0.1)
    window: int = fields.integer("unanswered requests of a session before reading stops", 2000, at_least=1)
    pdu_limit: int = fields.octets("the longest PDU; a longer one closes the session", LIMIT, at_least=1024,
                                   at_most=16 << 20)
    pdu_rate: float = fields.number(
        "reading pauses at more PDUs per second that send no message, as enquire_link, query_sm and refused ones", 500)
    half_pdu: float = 10.0
    close_wait: float = 5.0
    maxima: Mapping[str, int] = attrs.field(factory=dict)
    nacked: frozenset[int] = frozenset()
    faults_before_bind: int = 10
    undecodable: int = 100
    unread_abort: int = 256 * 1024
    unread_abort_after: float = 30.0
    only_requests_keep_alive: bool = False

    @maxima.validator
    def _maxima_exist(self, attribute: object, value: Mapping[str, int]) -> None:
        raise_maxima(value)


@attrs.frozen(kw_only=True, slots=False)
class SmppServerSettings(SessionSettings, ConnectionLimits):
    """The settings of a session on the message centre's side.

    :ivar system_id: the system_id of bind responses, unless the delegate gives another.
    :ivar interface_version: the highest supported version, sent as sc_interface_version to peers above 3.3.
    """

    system_id: str = fields.declare(_SYSTEM_ID, "system_id of bind responses", "smsgw")
    interface_version: int = VERSION_5_0
    unauthenticated: int = 2000
    unauthenticated_listed: int = 1000
    unauthenticated_per_source: int = 500


@attrs.frozen(kw_only=True)
class SmppListenSettings(SmppServerSettings, ClientListenSettings):
    """A listener for ESMEs."""

    protocol: str = fields.declare(WORD, "smpp, smtp, http or admin", "smpp")
    dialect: str = fields.declare(WORD, "dialect of the clients, which sets defaults of other keys", "standard")
    connections: int = fields.integer("simultaneous sessions of one account", 10, at_least=1)
    deliver_window: int = fields.integer("highest number of unanswered deliver_sm of a session", 100, at_least=1,
                                         at_most=10_000)

    def check(self) -> Iterator[Conflict]:
        """Yield also an enquire_link time that is not shorter than inactivity."""
        yield from super().check()
        if 0 < self.inactivity <= self.enquire_link:
            yield Conflict("enquire_link", "must be shorter than inactivity, or 0", ("inactivity",))

"""The settings of an SMPP server: a new key of [listen NAME] with protocol = smpp is declared here, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from smsgw.config import fields, types
from smsgw.config.errors import Conflict
from smsgw.config.listeners.common import WORD, ClientListenSettings
from smsgw.smpp.codec import LIMIT
from smsgw.smpp.consts import VERSION_5_0
from smsgw.smpp.maxima import raise_maxima

_SYSTEM_ID = types.text(15, r"[!-~]*", "at most 15 visible ASCII characters")


@attrs.frozen(kw_only=True, slots=False)
class SessionSettings:
    """Timers and limits of one session. Times are seconds and looked at once a second; sizes are octets.

    The four timers are those of 5.0 section 2.7. Wherever reading is stopped from our side, what the peer could not
    tell us meanwhile is not held against it: the timers stand still.

    :ivar session_init: from the connection to a successful bind, the TLS handshake included.
    :ivar response: from a request of ours to its response. A request then counts as lost; an enquire_link that
        brought no PDU of any kind means that the peer is dead.
    :ivar half_pdu: from the first octet of a PDU to its last, however slowly they come.
    :ivar close_wait: for each step of taking leave: answers under way, unbind_resp, the end of the connection.
    :ivar maxima: C-Octet Strings that may be longer than in the specification, as for ``maxima.raise_maxima``: a field
        (``"system_type"``) or a field of one operation (``"bind_transmitter.system_type"``) to octets with the NUL.
    :ivar nacked: command_ids of requests that are answered with generic_nack 0x03 in any state, as if unknown.
    :ivar faults_before_bind: wrong PDUs, refused binds among them, that an ESME may send before it is bound; one more
        closes.
    :ivar undecodable: PDUs in a row that cannot be decoded; one more closes the session.
    :ivar unread_abort: octets written that the peer has not read. Long before, at the 64 KiB of the transport,
        its requests are no longer read; having more than this for `unread_abort_after` it is cut off.
    :ivar unread_abort_after: see `unread_abort`.
    :ivar only_requests_keep_alive: whether responses leave the inactivity timer alone.
    """

    session_init: float = fields.duration("time to bind after connecting", "10s", at_least=0.1)
    enquire_link: float = fields.duration("an enquire_link of our own after so long without a PDU; 0 = none", "45s")
    inactivity: float = fields.duration("a session without any PDU for so long is closed; 0 = never", "2m")
    response: float = fields.duration("time for the answer to a request of ours", "30s", at_least=0.1)
    window: int = fields.integer("requests of a session under way before reading stops", 2000, at_least=1)
    pdu_limit: int = fields.octets("the longest PDU; a longer one closes the session", LIMIT, at_least=1024,
                                   at_most=16 << 20)
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
class SmppServerSettings(SessionSettings):
    """The message centre's end.

    :ivar system_id: what we call ourselves in a bind response, unless the delegate says otherwise.
    :ivar interface_version: the highest version we speak, sent as sc_interface_version to peers that are not 3.3.
    :ivar unbound_per_source: connections at once from one address that are not bound.
    """

    system_id: str = fields.declare(_SYSTEM_ID, "answered in bind_resp", "smsgw")
    interface_version: int = VERSION_5_0
    unbound_per_source: int = 500


@attrs.frozen(kw_only=True)
class SmppListenSettings(SmppServerSettings, ClientListenSettings):
    """Where ESMEs bind."""

    protocol: str = fields.declare(WORD, "smpp, smtp, http or admin", "smpp")
    dialect: str = fields.declare(WORD, "whose manner is spoken: a preset for the other keys here", "standard")
    connections: int = fields.integer("binds of one account at once", 10, at_least=1)
    deliver_window: int = fields.integer("deliver_sm of a session sent and not yet answered, at most", 100, at_least=1,
                                         at_most=10_000)

    def check(self) -> Iterator[Conflict]:
        """Yield also timers of which one would never run."""
        yield from super().check()
        if 0 < self.inactivity <= self.enquire_link:
            yield Conflict("enquire_link", "must be shorter than inactivity, or 0", ("inactivity",))

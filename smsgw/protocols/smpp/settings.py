"""What the two ends of an SMPP session can be told: timers, limits and manners."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from smsgw.smpp.codec import LIMIT
from smsgw.smpp.consts import VERSION_5_0
from smsgw.smpp.maxima import raise_maxima


@attrs.frozen(kw_only=True)
class SessionSettings:
    """Timers and limits of one session. Times are seconds and looked at once a second; sizes are octets.

    The four timers are those of 5.0 section 2.7. Wherever reading is stopped from our side, what the peer could not
    tell us meanwhile is not held against it: the timers stand still.

    :ivar session_init: from the connection to a successful bind, the TLS handshake included.
    :ivar enquire_link: silence after which we ask whether the peer is alive; 0: never.
    :ivar inactivity: silence after which we unbind and close; 0: never.
    :ivar response: from a request of ours to its response. A request then counts as lost; an enquire_link that
        brought no PDU of any kind means that the peer is dead.
    :ivar half_pdu: from the first octet of a PDU to its last, however slowly they come.
    :ivar close_wait: for each step of taking leave: answers under way, unbind_resp, the end of the connection.
    :ivar window: requests of the peer that we have not answered; then reading stops.
    :ivar pdu_limit: longest PDU; its command_length alone decides.
    :ivar maxima: C-Octet Strings that may be longer than in the specification, as for ``maxima.raise_maxima``: a field
        (``"system_type"``) or a field of one operation (``"bind_transmitter.system_type"``) to octets with the NUL.
    :ivar faults_before_bind: wrong PDUs, refused binds among them, that a stranger may send; one more closes.
    :ivar undecodable: PDUs in a row that cannot be decoded; one more closes the session.
    :ivar unread_abort: octets written that the peer has not read. Long before, at the 64 KiB of the transport,
        its requests are no longer read; having more than this for `unread_abort_after` it is cut off.
    :ivar unread_abort_after: see `unread_abort`.
    :ivar only_requests_keep_alive: whether responses leave the inactivity timer alone.
    """

    session_init: float = 10.0
    enquire_link: float = 45.0
    inactivity: float = 120.0
    response: float = 30.0
    half_pdu: float = 10.0
    close_wait: float = 5.0
    window: int = 2000
    pdu_limit: int = LIMIT
    maxima: Mapping[str, int] = attrs.field(factory=dict)
    faults_before_bind: int = 10
    undecodable: int = 100
    unread_abort: int = 256 * 1024
    unread_abort_after: float = 30.0
    only_requests_keep_alive: bool = False

    @maxima.validator
    def _maxima_exist(self, attribute: object, value: Mapping[str, int]) -> None:
        raise_maxima(value)


@attrs.frozen(kw_only=True)
class SmppServerSettings(SessionSettings):
    """One listener, the message centre's end.

    :ivar system_id: what we call ourselves in a bind response, unless the delegate says otherwise.
    :ivar interface_version: the highest version we speak, sent as sc_interface_version to whoever is not 3.3.
    :ivar unbound_per_source: connections at once from one address that are not bound.
    """

    system_id: bytes = b"smsgw"
    interface_version: int = VERSION_5_0
    unbound_per_source: int = 500


@attrs.frozen(kw_only=True)
class SmppClientSettings(SessionSettings):
    """One link to a message centre, the ESME's end.

    :ivar requests: how many requests of ours may await their response.
    :ivar assume_version: without an sc_interface_version in the bind response take the version that we asked for, as
        many centres mean it, instead of assuming 3.3 and no TLVs by the letter (3.4 section 5.3.2.25).
    """

    session_init: float = 15.0
    enquire_link: float = 30.0
    inactivity: float = 0.0
    response: float = 60.0
    requests: int = 10
    assume_version: bool = False

"""The ports of the SMPP server: a session, and its delegate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from smsgw.smpp.pdus import Pdu


@attrs.frozen
class BindAccepted:
    """An accepted bind: the account, the system_id of the response, and the limits of the session.

    :ivar window: highest number of unanswered deliver_sm of this session.
    :ivar listener, system_type: the name of the listener, and the system_type of the bind, for the delegate's own use.
    """

    account: str
    system_id: bytes
    window: int = 100
    listener: str = ""
    system_type: bytes = b""


class ISmppSession(Interface):
    """One SMPP session of a server, for its delegate."""

    bound = Attribute("The delegate's :class:`BindAccepted`; None while the session is not bound.")
    version = Attribute("The SMPP version of the session: 0x33, 0x34 or 0x50.")
    transmits = Attribute("Whether the ESME is bound as transmitter or transceiver.")
    receives = Attribute("Whether the ESME is bound as receiver or transceiver.")
    peer = Attribute("The ESME's IP address as text.")
    tls = Attribute("Whether the connection is encrypted.")

    def send(requests: Sequence[tuple[object, Pdu]]) -> None:
        """Send requests (deliver_sm ...) in one write, at most :meth:`room`; the session sets the sequence numbers.

        Each token is passed to ``answers`` exactly once."""

    def room() -> int:
        """Return how many more requests fit into the window; 0 if the ESME does not receive."""

    def pause() -> None:
        """Stop reading PDUs of the ESME (back-pressure); response timers are suspended."""

    def resume() -> None:
        """Look again."""

    def close() -> None:
        """Send unbind, wait for its response, then close."""


class ISmppDelegate(Interface):
    """The delegate of an SMPP server."""

    def bind(session: Any, pdu: Pdu) -> Deferred[BindAccepted | int]:
        """Fire with BindAccepted, or with the command_status of the refusal. The session reads no PDU meanwhile."""

    def requests(session: Any, pdus: Sequence[Pdu]) -> Deferred[list[Pdu | int]]:
        """Handle all requests of one read that the session's state allows, in wire order. Fire with a response or a
        command_status for each; the session sets the sequence numbers and sends them in one write. If the Deferred
        fails, each request gets 0x08."""

    def answers(session: Any, answers: Sequence[tuple[object, int, Pdu | None]]) -> None:
        """Take the answers to sent requests as (token, command_status, response). If the link ended or the response
        timer expired, the response is None and the status -1: the ESME may have taken the request."""

    def bound(session: Any) -> None:
        """The positive bind response was written; if the session receives, requests may be sent."""

    def ready(session: Any) -> None:
        """``room()`` has grown without an answer, because the ESME reads again."""

    def closed(session: Any, why: str) -> None:
        """The connection has ended; called for every session that was bound."""

"""SMPP: what a session offers to its delegate, and asks of it."""

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
    """The delegate's yes to a bind: the account, the system_id to answer, and what the account may do.

    :ivar window: deliver_sm outstanding towards this session.
    :ivar listener: the name of the listener, for the delegate's own use.
    """

    account: str
    system_id: bytes
    window: int = 100
    listener: str = ""


class ISmppSession(Interface):
    """One SMPP connection, as its delegate sees it."""

    bound = Attribute("The :class:`BindAccepted` the delegate gave, or None.")
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

    def bind(session: Any, pdu: Pdu) -> Deferred[BindAccepted | int]:
        """BindAccepted, or the command_status of the refusal. Nothing else is read meanwhile."""

    def requests(session: Any, pdus: Sequence[Pdu]) -> Deferred[list[Pdu | int]]:
        """All requests of one read, legal in the session's state, in wire order. Per request its response (the
        session fills in the sequence number) or a command_status; they leave in one write. A failure of the
        Deferred answers 0x08 to each."""

    def answers(session: Any, answers: Sequence[tuple[object, int, Pdu | None]]) -> None:
        """(token, command_status, response) to requests of ours; the response is None (and the status -1) when
        the link went or the response timer ran out: the request may have been taken."""

    def bound(session: Any) -> None:
        """The positive bind response was written: requests may be sent if the session receives."""

    def ready(session: Any) -> None:
        """``room()`` has grown without an answer: the peer reads again after it did not."""

    def closed(session: Any, why: str) -> None:
        """The connection is gone; told for every session that was bound."""

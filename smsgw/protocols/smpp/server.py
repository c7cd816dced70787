"""The message centre's end of SMPP 3.3, 3.4 and 5.0, for any program that provides a delegate.

::

    class Delegate:                                       # provides ISmppDelegate
        def bind(self, session, pdu):
            return succeed(BindAccepted("demo", b"") if pdu.password == b"demo" else 0x0E)

        def requests(self, session, pdus):                # all of one read, in wire order
            return succeed([SubmitSmResp(0, 0, b"1") if isinstance(pdu, SubmitSm) else 0x03 for pdu in pdus])
        ...

    endpoint.listen(SmppServerFactory(Delegate(), SmppServerSettings(), reactor))

Framing, states, window, timers and the answers to faulty peers are in :mod:`smsgw.protocols.smpp.session`, which server
and client share.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.interfaces import BindAccepted, ISmppDelegate
from smsgw.protocols.connections import Connections, Surroundings
from smsgw.protocols.smpp.connection import BINDING
from smsgw.protocols.smpp.factory import SmppFactory
from smsgw.protocols.smpp.metrics import SmppMetrics
from smsgw.protocols.smpp.session import SmppSession
from smsgw.protocols.smpp.settings import SmppServerSettings
from smsgw.protocols.smpp.window import LOST, UNSENT
from smsgw.smpp.codec import encode
from smsgw.smpp.consts import VERSION_3_3, Status, Tag
from smsgw.smpp.pdus import (
    Bind,
    BindReceiver,
    BindReceiverResp,
    BindResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    Pdu,
)
from smsgw.smpp.session import BOUND_BY, Role, negotiate
from smsgw.smpp.tlvs import tlv

__all__ = ["LOST", "UNSENT", "SmppServer", "SmppServerFactory", "SmppServerSettings"]

_ANSWERS: Final[dict[type[Bind], type[BindResp]]] = {
    BindReceiver: BindReceiverResp,
    BindTransmitter: BindTransmitterResp,
    BindTransceiver: BindTransceiverResp,
}

log: Final = Logger()


class SmppServer(SmppSession):
    """One connection of an ESME. PDUs after its bind wait until the delegate has decided about the bind."""

    peer_role = Role.ESME
    bind_boundaries = frozenset(bind.command_id.to_bytes(4, "big") for bind in _ANSWERS)

    def __init__(
        self,
        delegate: ISmppDelegate,
        settings: SmppServerSettings,
        sessions: Connections[SmppServer],
        metrics: SmppMetrics,
    ) -> None:
        super().__init__(delegate, settings, sessions, 0, metrics)
        self._bind_delegate = delegate
        self._settings = settings

    def connectionMade(self) -> None:
        """Start, unless we are shutting down."""
        super().connectionMade()
        if self._sessions.draining:
            self.abort("we are shutting down")

    def _bind_requested(self, pdu: Bind) -> Pdu | None:
        self.version = negotiate(pdu.interface_version, self._settings.interface_version)
        self._hold(BINDING)
        verdict = maybeDeferred(self._bind_delegate.bind, self, pdu)
        verdict.addErrback(self._bind_failed)
        verdict.addCallback(self._answer_bind, pdu)
        verdict.addErrback(self._internal_error)
        return None

    def _bind_failed(self, failure: Failure) -> int:
        log.failure("the delegate failed at the bind of SMPP peer {peer}", failure, peer=self.peer)
        return int(Status.ESME_RSYSERR)

    def _answer_bind(self, verdict: BindAccepted | int, pdu: Bind) -> None:
        """Answer the bind and go on reading; after a refusal the ESME may bind again on the same connection."""
        if self._closing_since is not None or not self.connected:
            if not isinstance(verdict, int):
                self._bound_too_late(verdict)
            return
        response = _ANSWERS[type(pdu)](pdu.sequence_number)
        if isinstance(verdict, int):
            response.command_status = verdict
            self._write(encode(response, self.version))
            self._count_fault("bind", "")
            if self._discarding:
                self._advance_closing()
                return
        else:
            response.system_id = verdict.system_id or self._settings.system_id.encode("ascii")
            if self.version > VERSION_3_3:
                response.tlvs = (tlv(Tag.SC_INTERFACE_VERSION, self._settings.interface_version),)
            self._write(encode(response, self.version))
            self._become_bound(BOUND_BY[pdu.command_id], verdict)
            self._notify_bound()
        self._release(BINDING)

    def _bound_too_late(self, verdict: BindAccepted) -> None:
        """The connection closed while the delegate accepted the bind: notify the delegate that the bind has ended."""
        self.bound = verdict
        if not self.connected:
            self._notify_closed()


class SmppServerFactory(SmppFactory[SmppServer, ISmppDelegate, SmppServerSettings]):
    """Makes the sessions of one listener. TLS from the first octet is the endpoint's business.

    :param delegate: provides :class:`~smsgw.interfaces.ISmppDelegate`.
    :param surroundings: what the connections know of the program around them.
    """

    def __init__(
        self,
        delegate: ISmppDelegate,
        settings: SmppServerSettings,
        clock: IReactorTime,
        metrics: SmppMetrics | None = None,
        surroundings: Surroundings = Surroundings(),
    ) -> None:
        super().__init__(delegate, settings, clock, metrics, settings, surroundings)

    def buildProtocol(self, addr: IAddress | None) -> SmppServer:
        """Return a session for one connection, also for one to be refused: a TLS wrapper needs a protocol."""
        return SmppServer(self.delegate, self.settings, self.connections, self._metrics)

"""The ESME's end of SMPP: binds to a message centre, submits messages, and answers its deliveries.

:class:`SmppClient` is the protocol, with the same delegate calls as the server. :class:`Esme` is a small complete
client on top of it, for programs and tests that want a Deferred per batch::

    esme = Esme(reactor, deliver=lambda pdus: [0] * len(pdus))
    bound = await esme.connect(endpoint, BindTransceiver(0, b"demo", b"demo", interface_version=0x34))
    answers = await esme.submit([SubmitSm(destination_addr=b"79161234567", short_message=b"Hello")])
    await esme.unbind()
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from smsgw.interfaces import BindAccepted
from smsgw.protocols.connections import Connections
from smsgw.protocols.smpp.factory import SmppFactory
from smsgw.protocols.smpp.metrics import SmppMetrics
from smsgw.protocols.smpp.session import SmppSession
from smsgw.protocols.smpp.session_base import SessionDelegate
from smsgw.protocols.smpp.settings import SmppClientSettings
from smsgw.protocols.smpp.window import LOST, UNSENT, Answer, SessionRequest
from smsgw.smpp.consts import VERSION_3_3, Tag
from smsgw.smpp.pdus import (
    Bind,
    BindReceiverResp,
    BindResp,
    BindTransceiverResp,
    BindTransmitterResp,
    Pdu,
)
from smsgw.smpp.session import BOUND_BY, Role, SessionState, negotiate

__all__ = ["LOST", "UNSENT", "Esme", "SmppClient", "SmppClientFactory", "SmppClientSettings"]


class SmppClient(SmppSession):
    """One connection to a message centre. The owner calls :meth:`bind` when it is connected."""

    peer_role = Role.MC
    bind_boundaries = frozenset(
        response.command_id.to_bytes(4, "big")
        for response in (BindReceiverResp, BindTransmitterResp, BindTransceiverResp)
    )

    def __init__(
        self,
        delegate: SessionDelegate,
        settings: SmppClientSettings,
        sessions: Connections[SmppClient],
        metrics: SmppMetrics,
    ) -> None:
        super().__init__(delegate, settings, sessions, settings.requests, metrics)
        self._own_settings = settings
        self._bind: tuple[Bind, Deferred[BindResp]] | None = None

    def bind(self, pdu: Bind) -> Deferred[BindResp]:
        """Send a bind; fires with its response. Status 0 means bound; after another one the caller may bind again.

        Fails with ConnectionClosed if no bind is possible now, or if the connection ends without a proper response.
        """
        if self._bind is not None or self.state is not SessionState.OPEN or self._closing_since is not None:
            return fail(ConnectionClosed(f"no bind is possible: {self._why or self.state.value}"))
        answered: Deferred[BindResp] = Deferred()
        self._bind = pdu, answered
        self.version = negotiate(pdu.interface_version)
        self._ask(SessionRequest.BIND, pdu)
        return answered

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the session; a bind without response fails."""
        bind, self._bind = self._bind, None
        super().connectionLost(reason)
        if bind is not None:
            bind[1].errback(Failure(ConnectionClosed(self._why)))

    def _own_request_done(self, request: SessionRequest, status: int, pdu: Pdu | None) -> None:
        super()._own_request_done(request, status, pdu)
        if request is not SessionRequest.BIND or self._bind is None:
            return
        (bind, answered), self._bind = self._bind, None
        if status == LOST:
            self._drop("the bind got no proper response")
            answered.errback(Failure(ConnectionClosed(self._why)))
            return
        response = pdu if isinstance(pdu, BindResp) else BindResp(bind.sequence_number, status)
        if not status:
            self.version = self._agreed(bind, response)
            self._become_bound(
                BOUND_BY[bind.command_id], BindAccepted("", response.system_id, self._own_settings.requests)
            )
        answered.callback(response)
        if not status:
            self._notify_bound()

    def _agreed(self, bind: Bind, response: BindResp) -> int:
        offered = response.tlv(Tag.SC_INTERFACE_VERSION)
        if isinstance(offered, int):
            return negotiate(bind.interface_version, offered)
        return negotiate(bind.interface_version) if self._own_settings.assume_version else VERSION_3_3


class SmppClientFactory(SmppFactory[SmppClient, Callable[[], SessionDelegate], SmppClientSettings]):
    """Makes the sessions of one link to a message centre.

    :param delegate: called for each new connection; returns its :class:`SessionDelegate`.
    """

    def buildProtocol(self, addr: IAddress | None) -> SmppClient:
        """Return a session for one connection."""
        return SmppClient(self.delegate(), self.settings, self.connections, self._metrics)


class _Batch:
    """Collects the answers to one call of :meth:`Esme.submit`."""

    __slots__ = ("answers", "done", "left")

    def __init__(self, size: int) -> None:
        self.answers: list[tuple[int, Pdu | None]] = [(LOST, None)] * size
        self.left = size
        self.done: Deferred[list[tuple[int, Pdu | None]]] = Deferred()

    def put(self, index: int, status: int, pdu: Pdu | None) -> None:
        """Store one answer; the last one fires ``done``."""
        self.answers[index] = status, pdu
        self.left -= 1
        if not self.left:
            self.done.callback(self.answers)


class Esme:
    """A small ESME: one connection; queues any number of requests and sends them as the window allows.

    :param deliver: called with the requests of one read; returns a command_status or a response for each. Without it
    every delivery is accepted and dropped.
    :ivar session: the :class:`SmppClient`, once connected.
    """

    def __init__(
        self,
        clock: IReactorTime,
        deliver: Callable[[list[Pdu]], list[Pdu | int]] | None = None,
        settings: SmppClientSettings | None = None,
    ) -> None:
        self.session: SmppClient | None = None
        self._deliver = deliver
        self._factory = SmppClientFactory(lambda: self, settings or SmppClientSettings(), clock)
        self._backlog: deque[tuple[tuple[_Batch, int], Pdu]] = deque()
        self._over = False

    def connect(self, endpoint: IStreamClientEndpoint, bind: Bind) -> Deferred[BindResp]:
        """Connect and bind; fires with the bind response, with any status; fails if the connection fails."""

        def connected(session: SmppClient) -> Deferred[BindResp]:
            self.session = session
            return session.bind(bind)

        def failed(why: Failure) -> Failure:
            self._end()
            return why

        connecting: Deferred[Any] = endpoint.connect(self._factory)
        return connecting.addCallback(connected).addErrback(failed)

    def submit(self, pdus: Sequence[Pdu]) -> Deferred[list[tuple[int, Pdu | None]]]:
        """Send requests of any kind; fires with (command_status, response) for each, in order.

        A request without response has ``LOST`` and None.
        """
        batch = _Batch(len(pdus))
        if not pdus or self._over:
            batch.done.callback(batch.answers)
            return batch.done
        self._backlog.extend(((batch, index), pdu) for index, pdu in enumerate(pdus))
        self._send()
        return batch.done

    def unbind(self) -> Deferred[None]:
        """Unbind and close; fires when the connection has ended."""
        return self._factory.shut_down().addCallback(lambda _: self._end())

    def _end(self) -> None:
        """End all queued requests as lost."""
        self._over = True
        backlog, self._backlog = self._backlog, deque()
        for (batch, index), _ in backlog:
            batch.put(index, LOST, None)

    def _send(self) -> None:
        while self._backlog and self.session is not None:
            room = min(self.session.room(), len(self._backlog))
            if not room:
                break
            self.session.send([self._backlog.popleft() for _ in range(room)])

    # Calls of the session

    def requests(self, session: SmppClient, pdus: Sequence[Pdu]) -> Deferred[list[Pdu | int]]:
        return succeed([0] * len(pdus) if self._deliver is None else self._deliver(list(pdus)))

    def answers(self, session: SmppClient, answers: Sequence[Answer]) -> None:
        for token, status, pdu in answers:
            batch, index = cast("tuple[_Batch, int]", token)
            batch.put(index, status, pdu)
        self._send()

    def bound(self, session: SmppClient) -> None:
        self._send()

    def ready(self, session: SmppClient) -> None:
        self._send()

    def closed(self, session: SmppClient, why: str) -> None:
        self._end()

"""The octets of one SMPP connection: when they are read, how they are cut, what the peer has not read, and the end.

Reading stops for several reasons, and several may hold at once. What is there already is kept (under TLS more arrives
after a pause), and our timers stand still: a peer that we do not listen to is not held to have been silent.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any, Final

from twisted.internet.interfaces import IPushProducer, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from zope.interface import implementer

from smsgw.protocols.connections import Connections
from smsgw.protocols.smpp.metrics import SmppMetrics
from smsgw.protocols.smpp.settings import SessionSettings
from smsgw.smpp.codec import Framer
from smsgw.smpp.errors import Unframed

BINDING: Final = 1
"""Reading stops: the delegate decides about a bind."""
PAUSED: Final = 2
"""Reading stops: the delegate wishes it."""
CROWDED: Final = 4
"""Reading stops: too many requests are unanswered."""
UNREAD: Final = 8
"""Reading stops: the peer does not read what it is sent."""

_TRANSPORT_BUFFER: Final = 64 * 1024
"""Octets not read by the peer at which a transport pauses its producer."""

log: Final = Logger()


@implementer(IPushProducer)
class SmppConnection(Protocol, metaclass=ABCMeta):
    """What :class:`~smsgw.protocols.smpp.session.SmppSession` stands on.

    :ivar peer: IP address as text; empty where there is none.
    :ivar tls: whether the connection is encrypted.
    """

    transport: Any

    def __init__(self, settings: SessionSettings, sessions: Connections[Any], metrics: SmppMetrics) -> None:
        self.settings = settings
        self._metrics = metrics
        self.peer = ""
        self.tls = False
        self._sessions = sessions
        self._seconds = sessions.clock.seconds
        self._framer = Framer(settings.pdu_limit)
        self._kept: list[bytes] = []  # as read, not cut
        self._frames: list[bytes] = []  # cut, not decoded
        self._pumping = False
        self._half_since: float | None = None
        self._holds = 0
        self._reading = True
        self._held_at = 0.0
        self._stopped = 0.0  # seconds for which nothing was read, in all
        self._unread = 0
        self._unread_since: float | None = None
        self._unread_full_since: float | None = None
        self._deaf = False  # whatever still arrives is thrown away
        self._abort_at: float | None = None

    # What the transport calls

    def connectionMade(self) -> None:
        """It is there; under TLS the handshake has only begun."""
        self.peer = str(getattr(self.transport.getPeer(), "host", ""))
        self.tls = ISSLTransport.providedBy(self.transport)
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._sessions.add(self)
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Take what was read, now or when reading goes on."""
        if self._deaf:
            return
        self._kept.append(data)
        if not self._holds:
            self._pump()
        else:
            self._stop_reading()

    def pauseProducing(self) -> None:
        """The peer does not read what it is sent: let it wait with its requests.

        Under TLS this is also said while the handshake waits for octets of the peer, so that reading stops only when
        something arrives that would have to wait.
        """
        if self._unread_since is None:
            self._unread_since = self._seconds()
            self._unread = _TRANSPORT_BUFFER
            self._hold(UNREAD)

    def resumeProducing(self) -> None:
        """It has read everything."""
        self._unread_since = self._unread_full_since = None
        self._release(UNREAD)
        self._room_grew()

    def stopProducing(self) -> None:
        """The transport ends; ``connectionLost`` follows."""

    # What a session adds

    @abstractmethod
    def check_time(self, now: float) -> None:
        """Look at every timer; called once a second."""

    @abstractmethod
    def close(self, why: str = "") -> None:
        """Take leave in good order."""

    @abstractmethod
    def _take(self, frames: list[bytes]) -> None:
        """Whole PDUs, in order."""

    @abstractmethod
    def _next_frames(self) -> list[bytes]:
        """Take those frames that may be decoded now."""

    @abstractmethod
    def _framing_lost(self, broken: Unframed) -> None:
        """What comes next is anybody's guess."""

    @abstractmethod
    def _room_grew(self) -> None:
        """The peer reads again."""

    @abstractmethod
    def _began_to_leave(self, why: str) -> None:
        """Nothing new is taken or sent from here on."""

    # Reading

    def _pump(self) -> None:
        """Go on with what is there until there is nothing, or a reason not to."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while not self._holds and not self._deaf:
                if self._frames:
                    self._take(self._next_frames())
                elif self._kept:
                    self._cut()
                elif self._framer.broken is not None:
                    self._framing_lost(self._framer.broken)
                else:
                    break
        finally:
            self._pumping = False

    def _cut(self) -> None:
        data = b"".join(self._kept)
        self._kept.clear()
        self._frames = self._framer.feed(data)
        if not self._framer.pending:
            self._half_since = None
        elif self._frames or self._half_since is None:
            self._half_since = self._seconds()

    def _hold(self, reason: int) -> None:
        """Read nothing for one more reason."""
        if not self.connected:
            return
        if not self._holds:
            self._held_at = self._seconds()
        self._holds |= reason
        if reason != UNREAD:
            self._stop_reading()

    def _release(self, reason: int) -> None:
        """One or several of the reasons are gone; go on if none is left."""
        if not self._holds & reason:
            return
        self._holds &= ~reason
        if self._holds:
            return
        held = self._seconds() - self._held_at
        self._stopped += held
        if self._half_since is not None:
            self._half_since += held
        self._pump()
        if not self._holds and not self._deaf:
            self._start_reading()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self.transport.pauseProducing()

    def _start_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self.transport.resumeProducing()

    def _reading_time(self) -> float:
        """Seconds of a clock that stands still while nothing is read."""
        return (self._held_at if self._holds else self._seconds()) - self._stopped

    # Writing

    def _write(self, octets: bytes) -> None:
        if self._abort_at is not None or not self.connected:
            return
        self.transport.write(octets)
        if self._unread_since is not None:
            self._unread += len(octets)
            if self._unread_full_since is None and self._unread > self.settings.unread_abort:
                self._unread_full_since = self._seconds()

    # The end

    def abort(self, why: str) -> None:
        """Go at once, whatever is under way."""
        if self.connected:
            self._drop(why)
            self.transport.abortConnection()

    def drain(self) -> None:
        """Take leave, since the whole service does."""
        self.close("we are shutting down")

    def cut(self) -> None:
        """Go at once, since it has taken too long or failed."""
        self.abort("it was cut off")

    def _drop(self, why: str) -> None:
        """Close: what was written still goes out, but the peer is not waited for long."""
        if self._abort_at is not None or not self.connected:
            return
        self._began_to_leave(why)
        self._discard_input()
        self._abort_at = self._seconds() + self.settings.close_wait
        self._start_reading()  # the end of TLS has to be read
        self.transport.unregisterProducer()  # or it would be waited for
        self.transport.loseConnection()

    def _discard_input(self) -> None:
        self._deaf = True
        self._kept.clear()
        self._frames.clear()

    def _expired(self, timer: str, why: str) -> None:
        """A timer says that it is enough."""
        if self._abort_at is not None or not self.connected:
            return
        self._metrics.faults[timer].inc()
        if self._sessions.may_log(self):
            log.info("SMPP peer {peer}: closed, {timer}: {why}", peer=self.peer, timer=timer, why=why)
        self._drop(f"{timer}: {why}")

    def _check_link(self, now: float) -> bool:
        """Look at the timers of the octets; whether the session's own are still of interest."""
        if self._abort_at is not None:
            if now >= self._abort_at:
                self.transport.abortConnection()
            return False
        if self._unread_full_since is not None and now >= self._unread_full_since + self.settings.unread_abort_after:
            self._expired("slow_reader", f"{self._unread} octets unread")
            self.transport.abortConnection()
            return False
        if not self._holds and self._half_since is not None and now >= self._half_since + self.settings.half_pdu:
            self._expired("half_pdu", "the rest of a PDU does not come")
            return False
        return True

"""The octets of one SMPP connection: pausing reads, framing, unread output, closing.

Reading pauses for several reasons, and several may hold at once. Octets that arrive nevertheless are kept (under TLS
some arrive after a pause), and our timers stop, because a peer is not silent while we do not read.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IPushProducer, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from zope.interface import implementer

from smsgw.model.pacing import Bucket
from smsgw.protocols.connections import Connections
from smsgw.protocols.smpp.metrics import SmppMetrics
from smsgw.protocols.smpp.settings import SessionSettings
from smsgw.smpp.codec import Framer
from smsgw.smpp.errors import Unframed

BINDING: Final = 1
"""Reason to pause: the delegate decides about a bind."""
PAUSED: Final = 2
"""Reason to pause: the delegate called ``pause()``."""
CROWDED: Final = 4
"""Reason to pause: too many requests of the peer are unanswered."""
UNREAD: Final = 8
"""Reason to pause: the peer does not read our output."""
FLOODING: Final = 16
"""Reason to pause: the peer sends too many PDUs that send no message."""

MOST_FRAMES: Final = 1024
"""PDUs that are processed at a time, so that a read of many small ones does not hold up other sessions."""

FEW_FRAMES: Final = 64
"""The same after PDUs that send no message have used up half of what is allowed at once."""

_TRANSPORT_BUFFER: Final = 64 * 1024
"""Octets unread by the peer at which a transport pauses its producer."""

log: Final = Logger()


@implementer(IPushProducer)
class SmppConnection(Protocol, metaclass=ABCMeta):
    """Reads and writes octets for :class:`~smsgw.protocols.smpp.session.SmppSession`.

    :ivar peer: IP address of the other end as text; empty on a UNIX socket.
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
        self._stopped = 0.0  # total seconds of pauses
        self._unread = 0
        self._unread_since: float | None = None
        self._unread_full_since: float | None = None
        self._discarding = False  # input is dropped from now on
        self._abort_at: float | None = None
        self._fruitless = Bucket(settings.pdu_rate, settings.pdu_rate)
        self._flood_ends: IDelayedCall | None = None

    # Calls of the transport

    def connectionMade(self) -> None:
        """Start; under TLS the handshake has only begun."""
        self.peer = str(getattr(self.transport.getPeer(), "host", ""))
        self.tls = ISSLTransport.providedBy(self.transport)
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._sessions.add(self)
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Process what was read, or keep it during a pause."""
        if self._discarding:
            return
        self._kept.append(data)
        if not self._holds:
            self._pump()
        else:
            self._stop_reading()

    def pauseProducing(self) -> None:
        """Stop taking requests, because the peer does not read our output.

        Under TLS the transport also calls this while its handshake waits for octets of the peer. Therefore the
        transport is paused only when more octets arrive.
        """
        if self._unread_since is None:
            self._unread_since = self._seconds()
            self._unread = _TRANSPORT_BUFFER
            self._hold(UNREAD)

    def resumeProducing(self) -> None:
        """Go on: the peer has read our output."""
        self._unread_since = self._unread_full_since = None
        self._release(UNREAD)
        self._peer_reads_again()

    def stopProducing(self) -> None:
        """The transport is closing; ``connectionLost`` follows."""

    # Methods of the subclasses

    @abstractmethod
    def check_time(self, now: float) -> None:
        """Check all timers; called once a second."""

    @abstractmethod
    def close(self, why: str = "") -> None:
        """Unbind in order, then close."""

    @abstractmethod
    def _take(self, frames: list[bytes]) -> None:
        """Process complete PDUs, in order."""

    @abstractmethod
    def _next_frames(self) -> list[bytes]:
        """Remove and return the frames that may be decoded now."""

    @abstractmethod
    def _framing_broken(self, broken: Unframed) -> None:
        """Answer broken framing and close."""

    @abstractmethod
    def _flooding(self) -> None:
        """Note that the peer sends too many PDUs."""

    @abstractmethod
    def _peer_reads_again(self) -> None:
        """Notify the delegate that requests can be sent again."""

    @abstractmethod
    def _begin_closing(self, why: str) -> None:
        """Stop accepting and sending new requests."""

    # Reading

    def _pump(self) -> None:
        """Process the kept octets until none are left or reading pauses."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while not self._holds and not self._discarding:
                if self._frames:
                    self._take(self._next_frames())
                elif self._kept:
                    self._cut()
                elif self._framer.broken is not None:
                    self._framing_broken(self._framer.broken)
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
        """Pause reading for a reason."""
        if not self.connected:
            return
        if not self._holds:
            self._held_at = self._seconds()
        self._holds |= reason
        if reason != UNREAD:
            self._stop_reading()

    def _release(self, reason: int) -> None:
        """Remove one or several reasons; go on if none is left."""
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
        if not self._holds and not self._discarding:
            self._start_reading()

    def _charge(self, pdus: int) -> None:
        """Count PDUs that send no message; pause for as long as there are too many of them."""
        wait = self._fruitless.owe(pdus, self._seconds())
        if wait and self._flood_ends is None:
            self._hold(FLOODING)
            self._flood_ends = self._sessions.clock.callLater(wait, self._flood_ended)
            self._flooding()

    def _flood_ended(self) -> None:
        self._flood_ends = None
        self._release(FLOODING)

    def _most_frames(self) -> int:
        """Return how many PDUs are processed at a time."""
        bucket = self._fruitless
        return FEW_FRAMES if bucket.level(self._seconds()) < bucket.burst / 2 else MOST_FRAMES

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self.transport.pauseProducing()

    def _start_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self.transport.resumeProducing()

    def _reading_time(self) -> float:
        """Return the seconds of a clock that stops while reading is paused."""
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

    # Closing

    def abort(self, why: str) -> None:
        """Close at once, without waiting for answers."""
        if self.connected:
            self._drop(why)
            self.transport.abortConnection()

    def drain(self) -> None:
        """Close in order, because the service shuts down."""
        self.close("we are shutting down")

    def cut(self) -> None:
        """Close at once, because closing took too long or failed."""
        self.abort("it was cut off")

    def _drop(self, why: str) -> None:
        """Close; written octets are still sent, for at most ``close_wait``."""
        if self._abort_at is not None or not self.connected:
            return
        self._begin_closing(why)
        self._discard_input()
        self._abort_at = self._seconds() + self.settings.close_wait
        self._start_reading()  # TLS has to read the peer's close_notify
        self.transport.unregisterProducer()  # otherwise loseConnection waits for the producer
        self.transport.loseConnection()

    def _discard_input(self) -> None:
        self._discarding = True
        self._kept.clear()
        self._frames.clear()

    def _timed_out(self, timer: str, why: str) -> None:
        """Log and close after a timer has run out."""
        if self._abort_at is not None or not self.connected:
            return
        self._metrics.faults[timer] += 1
        if self._sessions.may_log(self):
            log.info("SMPP peer {peer}: closed, {timer}: {why}", peer=self.peer, timer=timer, why=why)
        self._drop(f"{timer}: {why}")

    def _check_link(self, now: float) -> bool:
        """Check the timers of the connection; return whether it goes on."""
        if self._abort_at is not None:
            if now >= self._abort_at:
                self.transport.abortConnection()
            return False
        if self._unread_full_since is not None and now >= self._unread_full_since + self.settings.unread_abort_after:
            self._timed_out("slow_reader", f"{self._unread} octets unread")
            self.transport.abortConnection()
            return False
        if not self._holds and self._half_since is not None and now >= self._half_since + self.settings.half_pdu:
            self._timed_out("half_pdu", "the rest of a PDU did not arrive")
            return False
        return True

"""One connection of the ESMTP server: reads commands and writes replies in order, in bounded memory and time.

The :class:`~smsgw.protocols.smtp.dialogue.Dialogue` decides the replies; this module decides when it gets a line.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, cast
from typing import Protocol as Shape

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress, IHandshakeListener, IPushProducer, IReactorTime, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import Reply
from smsgw.protocols.connections import Connections
from smsgw.protocols.smtp import replies
from smsgw.protocols.smtp.context import ServerContext
from smsgw.protocols.smtp.dialogue import Dialogue
from smsgw.protocols.smtp.lines import CommandLines
from smsgw.protocols.smtp.session import Session

log = Logger()

_CONTROLS: Final = bytes(range(32)) + b"\x7f"
_HARMLESS: Final = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_FLUSH_AT: Final = 256
"""The most replies in one write, so that the transport notices early that a client does not read."""


class _Wire(Shape):
    """The methods of the transport that are used."""

    def write(self, data: bytes) -> None: ...
    def loseConnection(self) -> None: ...
    def abortConnection(self) -> None: ...
    def getPeer(self) -> IAddress: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...
    def registerProducer(self, producer: object, streaming: bool) -> None: ...
    def unregisterProducer(self) -> None: ...
    def startTLS(self, contextFactory: object) -> None: ...


class Server(ServerContext, Shape):
    """What a connection asks of the server that it belongs to."""

    clock: IReactorTime
    greeting: str
    tls: object | None
    connections: Connections[SubmissionProtocol]

    def connected(self, session: SubmissionProtocol) -> Reply | None:
        """Take note of a new connection; why it must not stay, or None."""


@implementer(IHandshakeListener, IPushProducer)
class SubmissionProtocol(Protocol):
    """The protocol of one connection, made by a :class:`~smsgw.protocols.smtp.factory.SubmissionFactory`.

    :ivar dialogue: the SMTP dialogue; its ``session`` is what the delegate sees.
    :ivar peer: the client's IP address as text; empty on a UNIX socket.
    """

    dialogue: Dialogue
    peer: str
    _wire: _Wire

    def __init__(self, factory: Server) -> None:
        self._factory = factory
        self._settings = factory.settings
        self._lines = CommandLines()
        self._replies: list[bytes] = []
        self._running = False
        self._busy = False  # waiting for the delegate
        self._blocked = False  # the client does not read our replies
        self._paused = False  # reading is paused
        self._handshaking = False
        self._closing = False
        self._since = 0.0  # start of the time that `check_time` measures

    # Calls of Twisted

    def connectionMade(self) -> None:
        """Greet, or start TLS and greet inside it."""
        self._wire = cast(_Wire, self.transport)
        self.peer = getattr(self._wire.getPeer(), "host", "")
        self._since = self._factory.clock.seconds()
        implicit = self._settings.tls == "implicit"
        self._handshaking = implicit or ISSLTransport.providedBy(self.transport)
        self.dialogue = Dialogue(self, self._factory, self._session(self._handshaking))
        if implicit:
            self._wire.startTLS(self._factory.tls)
        self._wire.registerProducer(self, True)
        refusal = self._factory.connected(self)
        if refusal is None:
            self.say(Reply(220, self._factory.greeting))
            self._flush()
        else:
            self.hang_up(refusal)

    def dataReceived(self, data: bytes) -> None:
        """Process what was read, or keep it while the delegate works or the client does not read."""
        if self._closing:
            return
        self._handshaking = False
        self._lines.octets += data
        if self._busy or self._blocked:
            if not self._paused and len(self._lines.octets) > self._settings.backlog:
                self._paused = True
                self._wire.pauseProducing()
        else:
            self._run()

    def handshakeCompleted(self) -> None:
        """Restart the command timer."""
        self._handshaking = False
        self._since = self._factory.clock.seconds()

    def pauseProducing(self) -> None:
        """Stop processing commands, because the client does not read our replies."""
        self._blocked = True

    def resumeProducing(self) -> None:
        """Go on: the client has read our replies."""
        self._blocked = False
        self._run()

    def stopProducing(self) -> None:
        """Stop; :meth:`connectionLost` follows."""
        self._blocked = True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the session; the delegate's outstanding answer is dropped."""
        self._closing = True
        self._lines.octets.clear()
        self._factory.connections.discard(self)
        self._notify_closed(self.dialogue.session)

    # Calls of the factory

    def check_time(self, now: float) -> None:
        """Check the timers; none runs while the delegate works."""
        taken = now - self._since
        settings = self._settings
        if self._closing:
            if taken >= settings.close_time:
                self._wire.abortConnection()
        elif self._handshaking:
            if taken >= settings.handshake_time:
                self.cut()
        elif self._busy:
            return
        elif self.dialogue.message is None:
            if taken >= settings.inactivity:
                self.hang_up(replies.TIMED_OUT)
        elif taken >= settings.data_time:
            self.hang_up(replies.TIMED_OUT)
        elif taken >= settings.data_grace and self.dialogue.message.size < taken * settings.data_rate:
            self.hang_up(replies.TOO_SLOW)

    def drain(self) -> None:
        """Close as soon as no transaction is open."""
        self._run()

    def cut(self) -> None:
        """Close at once."""
        self._closing = True
        self._wire.abortConnection()

    # Calls of the dialogue

    def say(self, reply: Reply) -> None:
        """Queue a reply as one line of ASCII; other characters of its text are replaced."""
        text = reply.text.encode("ascii", "replace").translate(_HARMLESS)
        self._replies.append(b"%03d %b\r\n" % (reply.code, text))

    def say_lines(self, octets: bytes) -> None:
        """Queue an encoded reply of several lines."""
        self._replies.append(octets)

    def hang_up(self, reply: Reply) -> None:
        """Send the last reply, then close; :meth:`check_time` aborts if the client does not close."""
        self.say(reply)
        self._flush()
        self._closing = True
        self._since = self._factory.clock.seconds()
        self._lines.octets.clear()
        self.dialogue.message = None
        self._wire.unregisterProducer()
        if self._paused:
            self._paused = False
            self._wire.resumeProducing()  # TLS has to read the peer's close_notify
        self._wire.loseConnection()

    def ask(self, then: Callable[[Reply], None], question: Callable[..., Deferred[Reply]], *arguments: object) -> None:
        """Call a method of the delegate; process no line until `then` has got its answer."""
        waiting = maybeDeferred(question, self.dialogue.session, *arguments)
        if waiting.called and isinstance(waiting.result, Reply):
            then(waiting.result)  # an immediate answer needs no callback chain
        else:
            self._busy = True
            waiting.addBoth(self._answered, then).addErrback(self._broken)

    def admitted(self) -> None:
        """Mark this connection as authenticated."""
        self._factory.connections.admit(self)

    def start_tls(self) -> None:
        """Start TLS with a new session; hang up if clear text follows STARTTLS, because it would be read as
        encrypted."""
        former = self.dialogue.session
        if self._lines.octets:
            if self._factory.connections.may_log(self):
                log.warn("{peer} sent clear text after STARTTLS", peer=former.peer)
            self.hang_up(replies.INJECTED)
            return
        self.say(self._factory.positive.tls)
        self._flush()
        self._handshaking = True
        self.dialogue.session = self._session(tls=True)
        self._factory.connections.deauthenticate(self)
        self._wire.startTLS(self._factory.tls)
        self._blocked = False  # TLS registers us as its producer anew
        self._notify_closed(former)

    # The loop

    def _run(self, worked: bool = False) -> None:
        """Process commands until one waits for the delegate, none is complete, or the client does not read."""
        if self._running or self._closing:
            return
        self._running = True
        try:
            while not (self._busy or self._blocked or self._closing) and self._step():
                worked = True
                if len(self._replies) >= _FLUSH_AT:
                    self._flush()
        finally:
            self._running = False
        self._flush()
        if worked:
            self._since = self._factory.clock.seconds()
        if self._paused and len(self._lines.octets) <= self._settings.backlog:
            self._paused = False
            self._wire.resumeProducing()

    def _step(self) -> bool:
        """Process the next line or piece of a message; return False if none is complete."""
        lines = self._lines
        dialogue = self.dialogue
        if dialogue.message is not None:
            if not dialogue.message.take(lines.octets):
                return False
            dialogue.data_ended(dialogue.message)
            return True
        if self._factory.connections.draining and dialogue.idle:
            self.hang_up(replies.SHUTTING_DOWN)
            return True
        if not lines.octets or not lines.at_start():
            return False
        line = lines.next(dialogue.limit(lines.octets))
        if line is None:
            return False
        dialogue.line(line)
        return True

    def _answered(self, result: Reply | Failure, then: Callable[[Reply], None]) -> None:
        self._busy = False
        if isinstance(result, Failure):
            log.failure("the delegate failed at a command of {peer}", result, peer=self.dialogue.session.peer)
            result = replies.LOCAL_ERROR
        if not self._closing:
            then(result)
            self._run(worked=True)

    def _broken(self, failure: Failure) -> None:
        """Close after a fault of our own, or a delegate's answer that is no Reply."""
        log.failure("the session of {peer} cannot go on", failure, peer=self.dialogue.session.peer)
        self.cut()

    def _flush(self) -> None:
        if self._replies:
            octets = b"".join(self._replies)
            self._replies.clear()
            self._wire.write(octets)

    def _session(self, tls: bool) -> Session:
        return Session(self.peer, tls)

    def _notify_closed(self, session: Session) -> None:
        maybeDeferred(self._factory.delegate.closed, session).addErrback(
            partial(log.failure, "the delegate failed at the end of a session of {peer}", peer=session.peer)
        )

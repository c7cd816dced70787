"""An ESMTP submission server that does one command at a time, for any program that brings a delegate.

A client that has been told of SMTP pipelining sends MAIL, RCPT and DATA in one go, while each may need a look into a
database. So nothing of what follows a command is looked at before its answer is known; answers leave in order, and those
that are ready together leave in one write. Reading pauses while too much is waiting to be looked at, or while the client
does not read what it is answered.

The session is the one of the provider's document, line by line (000-2 to 000-14, 000-28 to 000-40)::

    220 Message gateway
    EHLO mycomputer
    250-SMTP Server ... 250 Ok
    AUTH PLAIN
    334 Ok
    ADMAZnJlZXRlc3Q=
    235 Authentication successful.
    MAIL FROM:<default@mydomain.ru>     RCPT TO:<89061234567@sms.qtelecom.ru>     DATA
    250 33 message accepted
    STATUS 33
    250 33 1 0 0 Message is accepted for delivery

STARTTLS (RFC 3207) begins a new session which knows nothing of the old one; clear text sent along behind it ends the
connection. A message with a CR or LF of its own is read to its true end and refused (see :mod:`~smsgw.protocols.smtplines`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol as Shape, cast

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import IMailDelegate, Reply
from smsgw.protocols import sasl, smtpaddress
from smsgw.protocols.smtplines import BadLine, BadMessage, CommandLines, MessageReader
from smsgw.protocols.smtpsession import Envelope, Session
from smsgw.protocols.smtpsettings import QUICKTEL_EHLO, STANDARD_EHLO, SubmissionSettings

__all__ = [
    "QUICKTEL_EHLO",
    "STANDARD_EHLO",
    "Envelope",
    "Session",
    "SubmissionFactory",
    "SubmissionProtocol",
    "SubmissionSettings",
]

log = Logger()

_ARGUMENT: Final = re.compile(rb"[ -~]*")
_HOST: Final = re.compile(r"[!-~]{1,255}")
_STATUS_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_CONTROLS: Final = bytes(range(32)) + b"\x7f"
_HARMLESS: Final = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_FLUSH_AT: Final = 256


class _Wire(Shape):
    """What is asked of a transport."""

    def write(self, data: bytes) -> None: ...
    def loseConnection(self) -> None: ...
    def abortConnection(self) -> None: ...
    def getPeer(self) -> IAddress: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...
    def registerProducer(self, producer: object, streaming: bool) -> None: ...
    def unregisterProducer(self) -> None: ...
    def startTLS(self, contextFactory: object) -> None: ...


@implementer(IHandshakeListener, IPushProducer)
class SubmissionProtocol(Protocol):
    """One connection. Made by a :class:`SubmissionFactory`."""

    _wire: _Wire
    session: Session

    def __init__(self, factory: SubmissionFactory) -> None:
        self.factory = factory
        self._settings = factory.settings
        self._delegate = factory.delegate
        self._lines = CommandLines()
        self._replies: list[bytes] = []
        self._exchange: sasl.Exchange | None = None
        self._message: MessageReader | None = None
        self._running = False
        self._busy = False  # the delegate has not answered
        self._blocked = False  # the client does not read
        self._paused = False  # we do not read
        self._handshaking = False
        self._closing = False
        self._refused_data = False
        self._junk = 0
        self._failed_logins = 0
        self._transactions = 0
        self._tried_recipients = 0
        self._since = 0.0  # start of what `check_time` measures

    # What Twisted calls

    def connectionMade(self) -> None:
        """Greet, or begin TLS and greet inside it."""
        self._wire = cast(_Wire, self.transport)
        self._since = self.factory.clock.seconds()
        implicit = self._settings.tls == "implicit"
        self._begin(implicit or ISSLTransport.providedBy(self.transport))
        if implicit:
            self._start_tls()
        self._wire.registerProducer(self, True)
        refusal = self.factory.connected(self)
        self._say(refusal or Reply(220, self._settings.greeting))
        if refusal:
            self._hang_up()
        self._flush()

    def dataReceived(self, data: bytes) -> None:
        """Look at as much as may be looked at now."""
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
        """TLS stands: from here on commands are waited for."""
        self._handshaking = False
        self._since = self.factory.clock.seconds()

    def pauseProducing(self) -> None:
        """The client does not read its replies: do nothing that would make more of them."""
        self._blocked = True

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self._blocked = False
        self._run()

    def stopProducing(self) -> None:
        """Nobody will read again; :meth:`connectionLost` follows."""
        self._blocked = True

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:
        """Forget everything; what the delegate still works on is not answered."""
        self._closing = True
        self._lines.octets.clear()
        self._message = self._exchange = None
        self.factory.disconnected(self)
        self._farewell(self.session)

    # What the factory calls

    def check_time(self, now: float) -> None:
        """End what has taken too long. While the delegate works, nothing has."""
        taken = now - self._since
        settings = self._settings
        if self._closing:
            if taken >= settings.close_time:
                self._wire.abortConnection()
        elif self._handshaking:
            if taken >= settings.handshake_time:
                self._wire.abortConnection()
        elif self._busy:
            return
        elif self._message is None:
            if taken >= settings.command_time:
                self._hang_up(replies.TIMED_OUT)
        elif taken >= settings.data_time:
            self._hang_up(replies.TIMED_OUT)
        elif taken >= settings.data_grace and self._message.size < taken * settings.data_rate:
            self._hang_up(replies.TOO_SLOW)

    def drain(self) -> None:
        """Close as soon as no transaction is under way."""
        self._run()

    def abort(self) -> None:
        """Close whatever is under way."""
        self._closing = True
        self._wire.abortConnection()

    # The loop

    def _run(self) -> None:
        """One command after the other, until one has to wait or is not complete."""
        if self._running or self._closing:
            return
        self._running = True
        worked = False
        try:
            while not (self._busy or self._blocked or self._closing) and self._step():
                worked = True
                if len(self._replies) >= _FLUSH_AT:
                    self._flush()
        finally:
            self._running = False
        self._flush()
        if worked:
            self._since = self.factory.clock.seconds()
        if self._paused and not self._closing and len(self._lines.octets) <= self._settings.backlog:
            self._paused = False
            self._wire.resumeProducing()

    def _step(self) -> bool:
        """Do the next thing; False: there is nothing complete to do."""
        lines = self._lines
        if self._message is not None:
            if not self._message.take(lines.octets):
                return False
            self._data_ended(self._message)
            return True
        if self.factory.draining and self.session.envelope is None and self._exchange is None:
            self._hang_up(replies.SHUTTING_DOWN)
            return True
        if not lines.octets or not lines.at_start():
            return False
        long = self._exchange is not None or lines.octets[:5].upper() == b"AUTH "
        line = lines.next(self._settings.auth_line if long else self._settings.command_line)
        if line is None:
            return False
        if isinstance(line, BadLine):
            self._exchange = None
            self._not_a_command(replies.BAD_LINES[line])
        elif self._exchange is not None:
            self._responded(self._exchange, line)
        else:
            self._command(line)
        return True

    def _command(self, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        verb = VERBS.get(word.upper())
        if verb is None:
            self._not_a_command(replies.UNKNOWN)
            return
        self._refused_data = False
        session = self.session
        if not verb.before_hello and not session.ehlo:
            self._refuse(replies.HELLO_FIRST)
        elif not verb.before_tls and not session.tls and self._settings.tls == "demanded":
            self._refuse(replies.TLS_FIRST)
        elif not verb.before_login and not session.authenticated:
            self._refuse(replies.LOGIN_FIRST)
        elif not _ARGUMENT.fullmatch(rest):
            self._refuse(replies.BAD_ARGUMENT)
        else:
            verb.run(self, rest.decode("ascii").strip(" "))

    def _ask(self, answer: Callable[[], Deferred[Reply]], then: Callable[[Reply], None]) -> None:
        """Put a question to the delegate; nothing else is looked at until `then` has had the answer."""
        self._busy = True
        try:
            waiting = answer()
        except Exception:
            waiting = fail()
        waiting.addBoth(self._answered, then).addErrback(self._broken)

    def _answered(self, result: Reply | Failure, then: Callable[[Reply], None]) -> None:
        self._busy = False
        if isinstance(result, Failure):
            log.failure("the delegate failed at a command of {peer}", result, peer=self.session.peer)
            result = replies.LOCAL_ERROR
        if self._closing:
            return
        then(result)
        self._run()

    def _broken(self, failure: Failure) -> None:
        """A fault of our own, or a delegate that answered something else than a Reply."""
        log.failure("session of {peer} cannot go on", failure, peer=self.session.peer)
        self.abort()

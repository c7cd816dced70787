"""An ESMTP submission server that does one command at a time, for any program that brings a delegate.

A client may send MAIL, RCPT and DATA in one go (RFC 2920), while each may need a look into a database. So nothing of
what follows a command is looked at before its answer is known; answers leave in order, and those that are ready
together leave in one write. Reading pauses while too much waits to be looked at, or while the client does not read
what it is answered.

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
connection. A message with a CR or LF of its own is read to its true end and refused (:mod:`smsgw.protocols.smtplines`).
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory

from smsgw.interfaces import IMailDelegate, Reply
from smsgw.protocols import smtpreplies as replies
from smsgw.protocols.smtpdialogue import Connection
from smsgw.protocols.smtpserver import SubmissionProtocol
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

_SWEEP: Final = 1.0
"""Seconds between two looks at what has taken too long: the precision of all timers here."""


class SubmissionFactory(Factory):
    """Makes the protocols of one listener, watches their time and ends them.

    :param delegate: provides :class:`~smsgw.interfaces.IMailDelegate`.
    :param clock: its seconds must be monotonic.
    :param tls: whatever ``transport.startTLS`` takes on the server side, or None.
    :raises ValueError: when `settings` want TLS and there is no `tls`.
    :ivar sessions: the connections there are.
    :ivar draining: :meth:`shut_down` has been called.
    """

    noisy = False

    def __init__(
        self,
        delegate: IMailDelegate,
        settings: SubmissionSettings,
        clock: IReactorTime,
        tls: object | None = None,
    ) -> None:
        if tls is None and settings.tls in ("demanded", "implicit"):
            raise ValueError(f"tls = {settings.tls} needs a certificate")
        self.delegate = delegate
        self.settings = settings
        self.clock = clock
        self.tls = tls
        self.offers_tls = tls is not None and settings.tls in ("optional", "demanded")
        self.extensions = settings.extensions()
        self.positive = replies.Positive.make("ENHANCEDSTATUSCODES" in self.extensions)
        self.sessions: set[SubmissionProtocol] = set()
        self.draining = False
        self._strangers: set[Connection] = set()
        self._clear_capabilities = self._answer_to_ehlo(tls=False)
        self._tls_capabilities = self._answer_to_ehlo(tls=True)
        self._next_sweep: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> SubmissionProtocol:
        """A protocol for one connection."""
        return SubmissionProtocol(self)

    def shut_down(self, within: float | None = None) -> Deferred[None]:
        """Let transactions under way come to their end, answer everything else 421, and close.

        :param within: seconds after which whoever is left is cut off; None: only the timers of the settings end them.
        :return: fires when no session is left.
        """
        self.draining = True
        if not self.sessions:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._waiting.append(gone)
        if within is not None and self._deadline is None:
            self._deadline = self.clock.callLater(within, self._cut_off)
        for session in list(self.sessions):
            session.drain()
        return gone

    def capabilities(self, tls: bool) -> bytes:
        """The answer to EHLO, with or without TLS."""
        return self._tls_capabilities if tls else self._clear_capabilities

    # What the protocols tell

    def connected(self, session: SubmissionProtocol) -> Reply | None:
        """It is here; why it must not stay, or None."""
        crowded = len(self._strangers) >= self.settings.strangers
        self.sessions.add(session)
        self._strangers.add(session)
        if self._next_sweep is None:
            self._next_sweep = self.clock.callLater(_SWEEP, self._sweep)
        if self.draining:
            return replies.SHUTTING_DOWN
        return replies.CROWDED if crowded else None

    def admitted(self, connection: Connection) -> None:
        """It has authenticated."""
        self._strangers.discard(connection)

    def estranged(self, session: SubmissionProtocol) -> None:
        """It has begun anew with STARTTLS."""
        self._strangers.add(session)

    def disconnected(self, session: SubmissionProtocol) -> None:
        """It is gone."""
        self.sessions.discard(session)
        self._strangers.discard(session)
        if self.sessions:
            return
        for timer in (self._next_sweep, self._deadline):
            if timer is not None and timer.active():
                timer.cancel()
        self._next_sweep = self._deadline = None
        waiting, self._waiting = self._waiting, []
        for gone in waiting:
            gone.callback(None)

    def _sweep(self) -> None:
        self._next_sweep = self.clock.callLater(_SWEEP, self._sweep)
        now = self.clock.seconds()
        for session in list(self.sessions):
            session.check_time(now)

    def _cut_off(self) -> None:
        for session in list(self.sessions):
            session.abort()

    def _answer_to_ehlo(self, tls: bool) -> bytes:
        shown = [self.settings.ehlo[0]]
        for line in self.settings.ehlo[1:]:
            keyword = line.split(" ")[0].upper()
            if keyword == "STARTTLS" and (tls or not self.offers_tls):
                continue
            if keyword == "AUTH" and not (tls or (self.settings.auth_without_tls and self.settings.tls != "demanded")):
                continue
            shown.append(f"SIZE {self.settings.message}" if line == "SIZE" else line)
        lines = [f"250-{line}\r\n" for line in shown[:-1]] + [f"250 {shown[-1]}\r\n"]
        return "".join(lines).encode("ascii")

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
connection. A message with a CR or LF of its own is read to its true end and refused
(:mod:`smsgw.protocols.smtp.lines`).
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from smsgw.config import SubmissionSettings
from smsgw.interfaces import IMailDelegate, Reply
from smsgw.protocols.connections import Connections
from smsgw.protocols.smtp import replies
from smsgw.protocols.smtp.server import SubmissionProtocol
from smsgw.protocols.smtp.session import Envelope, Session

__all__ = [
    "Envelope",
    "Session",
    "SubmissionFactory",
    "SubmissionProtocol",
    "SubmissionSettings",
]


class SubmissionFactory(Factory):
    """Makes the protocols of one listener.

    :param delegate: provides :class:`~smsgw.interfaces.IMailDelegate`.
    :param clock: its seconds must be monotonic.
    :param tls: whatever ``transport.startTLS`` takes on the server side, or None.
    :param host: the name of the server, for the gaps ``{host}`` of the settings.
    :raises ValueError: when `settings` want TLS and there is no `tls`.
    :ivar connections: those there are.
    """

    noisy = False

    def __init__(
        self,
        delegate: IMailDelegate,
        settings: SubmissionSettings,
        clock: IReactorTime,
        tls: object | None = None,
        host: str = "localhost",
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
        self.greeting = settings.greeting.replace("{host}", host)
        self._ehlo = [line.replace("{host}", host) for line in settings.ehlo]
        self.connections: Connections[SubmissionProtocol] = Connections(clock)
        self._clear_capabilities = self._answer_to_ehlo(tls=False)
        self._tls_capabilities = self._answer_to_ehlo(tls=True)

    def buildProtocol(self, addr: IAddress | None) -> SubmissionProtocol:
        """A protocol for one connection."""
        return SubmissionProtocol(self)

    @property
    def sessions(self) -> set[SubmissionProtocol]:
        """The connections there are, whatever they have said."""
        return self.connections.all

    def shut_down(self, within: float | None = None) -> Deferred[None]:
        """Let transactions under way come to their end, answer everything else 421, and close.

        :param within: seconds after which whoever is left is cut off; None: only the timers of the settings end them.
        :return: fires when no session is left.
        """
        return self.connections.shut_down(within)

    def capabilities(self, tls: bool) -> bytes:
        """The answer to EHLO, with or without TLS."""
        return self._tls_capabilities if tls else self._clear_capabilities

    def connected(self, session: SubmissionProtocol) -> Reply | None:
        """It is here; why it must not stay, or None."""
        here, settings = self.connections, self.settings
        crowded = (
            len(here.unauthenticated) >= settings.unauthenticated
            or here.unauthenticated_from(session.peer) >= settings.unauthenticated_per_source
        )
        here.add(session)
        if here.draining:
            return replies.SHUTTING_DOWN
        return replies.CROWDED if crowded else None

    def _answer_to_ehlo(self, tls: bool) -> bytes:
        shown = self._ehlo[:1]
        for line in self._ehlo[1:]:
            keyword = line.split(" ")[0].upper()
            if keyword == "STARTTLS" and (tls or not self.offers_tls):
                continue
            if keyword == "AUTH" and not (tls or (self.settings.auth_without_tls and self.settings.tls != "demanded")):
                continue
            shown.append(f"SIZE {self.settings.mail_limit}" if line == "SIZE" else line)
        lines = [f"250-{line}\r\n" for line in shown[:-1]] + [f"250 {shown[-1]}\r\n"]
        return "".join(lines).encode("ascii")

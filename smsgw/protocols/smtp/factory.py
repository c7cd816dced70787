"""An ESMTP submission server that processes one command at a time, for any program that provides a delegate.

A client may send MAIL, RCPT and DATA in one write (RFC 2920), and the delegate may need a database look-up for each. So
the octets after a command wait until the command is answered; replies are sent in order, and those that are ready
together in one write. Reading pauses while too many octets wait, or while the client does not read its replies.

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

STARTTLS (RFC 3207) starts a new session, which knows nothing of the old one; clear text after it ends the
connection. A message with a bare CR or LF is read to its end and refused
(:mod:`smsgw.protocols.smtp.lines`).
"""

from __future__ import annotations

from twisted.internet.interfaces import IAddress, IReactorTime

from smsgw.config import SubmissionSettings
from smsgw.interfaces import IMailDelegate, Reply
from smsgw.protocols.connections import SessionFactory, Surroundings
from smsgw.protocols.smtp import replies
from smsgw.protocols.smtp.sasl import MECHANISMS
from smsgw.protocols.smtp.server import SubmissionProtocol
from smsgw.protocols.smtp.session import Envelope, Session

__all__ = [
    "Envelope",
    "Session",
    "SubmissionFactory",
    "SubmissionProtocol",
    "SubmissionSettings",
]


class SubmissionFactory(SessionFactory[SubmissionProtocol]):
    """Makes the sessions of one listener. When it is shut down, they finish open transactions and answer all other
    commands with 421.

    :param delegate: provides :class:`~smsgw.interfaces.IMailDelegate`.
    :param clock: its seconds must be monotonic.
    :param tls: the context for ``transport.startTLS`` on the server side, or None.
    :param host: the name of the server, which replaces ``{host}`` in the settings.
    :param surroundings: what the connections know of the program around them.
    :raises ValueError: if `settings` need TLS and `tls` is None, or offer a mechanism that cannot be verified.
    """

    def __init__(
        self,
        delegate: IMailDelegate,
        settings: SubmissionSettings,
        clock: IReactorTime,
        tls: object | None = None,
        host: str = "localhost",
        surroundings: Surroundings = Surroundings(),
    ) -> None:
        if tls is None and settings.tls in ("demanded", "implicit"):
            raise ValueError(f"tls = {settings.tls} needs a certificate")
        unknown = [word for word in settings.mechanisms() if word not in MECHANISMS]
        if unknown:
            raise ValueError(f"AUTH can be {' or '.join(MECHANISMS)}, not {', '.join(unknown)}")
        super().__init__(clock, settings, surroundings)
        self.delegate = delegate
        self.settings = settings
        self.clock = clock
        self.tls = tls
        self.offers_tls = tls is not None and settings.tls in ("optional", "demanded")
        self.extensions = settings.extensions()
        self.positive = replies.Positive.make("ENHANCEDSTATUSCODES" in self.extensions)
        self.greeting = settings.greeting.replace("{host}", host)
        self._ehlo = [line.replace("{host}", host) for line in settings.ehlo]
        self._clear_capabilities = self._answer_to_ehlo(tls=False)
        self._tls_capabilities = self._answer_to_ehlo(tls=True)

    def buildProtocol(self, addr: IAddress | None) -> SubmissionProtocol:
        """Return a protocol for one connection."""
        return SubmissionProtocol(self)

    def capabilities(self, tls: bool) -> bytes:
        """Return the encoded answer to EHLO, with or without TLS."""
        return self._tls_capabilities if tls else self._clear_capabilities

    def connected(self, session: SubmissionProtocol) -> Reply | None:
        """Register a new connection; return the reply that refuses it, or None."""
        self.connections.add(session)
        return replies.SHUTTING_DOWN if self.connections.draining else None

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

"""An upstream that is a mail relay: each message leaves as an e-mail, for what is sent to people's mailboxes.

The standard library's client does the talking, in a few threads of the connector's own with one connection each, which
is used again for the next mail. Twisted's client would need the global reactor, and nothing here is hot.
"""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from queue import Empty, Queue
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from smsgw.config import Conflict, ConnectorSettings, Secret, fields
from smsgw.connectors.templates import TEMPLATE, Template
from smsgw.connectors.whole import UNEXPLAINED, UNREADABLE, WholeConnector
from smsgw.interfaces import Awaited, IConnector, IConnectorSink
from smsgw.model.message import Part
from smsgw.model.outcome import Accepted, Busy, Lost, Outcome, Refused

_log = Logger()


@attrs.frozen(kw_only=True)
class SmtpConnectorSettings(ConnectorSettings):
    """A mail relay: messages leave as e-mails. What it takes counts as delivered."""

    host: str = fields.text("the relay's name or address")
    port: int = fields.integer("its port", 25, at_least=1, at_most=65_535)
    tls: str = fields.choice("none, starttls or implicit; certificates are verified", ("none", "starttls", "implicit"),
                             "starttls")
    login: str = fields.text("for AUTH; empty: none", "")
    password: Secret | None = fields.secret("for AUTH", None)
    sender: str = fields.text("envelope and From address", pattern=r"[!-?A-~]+@[A-Za-z0-9.-]+", allowed="an address")
    to: Template = fields.declare(TEMPLATE, "the recipient's address, with {to} filled in")
    subject: Template = fields.declare(TEMPLATE, "with {to} and {from} filled in", "Message from {from}")
    timeout: float = fields.duration("for each step of the dialogue", "30s", at_least=0.1)
    connections: int = fields.integer("at once", 2, at_least=1, at_most=50)

    def check(self) -> Iterator[Conflict]:
        """Yield what does not go together."""
        yield from super().check()
        if "@" not in self.to.source:
            yield Conflict("to", "an address has an @, as in {to}@mail.example")
        if bool(self.login) != (self.password is not None):
            yield Conflict("password", "login and password go together", ("login",))
        if self.login and self.tls == "none":
            yield Conflict("tls", "the password would cross the network in clear text", ("login",))


@implementer(IConnector)
class SmtpConnector(WholeConnector):
    """Implements :class:`~smsgw.interfaces.IConnector`.

    :param clock: the reactor; its seconds are monotonic. :param wall: absolute seconds since 1970.
    :param context: of TLS; that of the system if None.
    """

    def __init__(
        self,
        settings: SmtpConnectorSettings,
        clock: Any,
        wall: Callable[[], float] = time.time,
        context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(settings, clock, wall)
        self._settings = settings
        self._pool = ThreadPool(0, settings.connections, f"connector {settings.name}")
        self._relay = _Relay(settings, context)

    def start(self, sink: IConnectorSink) -> None:
        """See :meth:`smsgw.interfaces.IConnector.start`."""
        self._pool.start()
        super().start(sink)

    def send(self, part: Part) -> None:
        """Hand the message to a thread as a mail."""
        mail = self._mail(part)
        if isinstance(mail, Refused):
            self._settle(part, mail)
            return
        self._asking += 1
        sending: Deferred[Any] = deferToThreadPool(self._clock, self._pool, self._relay.send, mail)
        sending.addCallback(lambda outcome: self._over(part, outcome))
        sending.addErrback(lambda failure: _log.failure("connector {name} failed", failure, name=self.name))

    def _mail(self, part: Part) -> EmailMessage | Refused:
        """The e-mail of a message; refused where its addresses are none."""
        message = part.message
        content = message.content
        settings = self._settings
        uid = f"{message.id}.{message.attempts}"
        values = {"to": message.dst, "from": content.source, "text": "", "uid": uid, "id": ""}
        mail = EmailMessage(SMTP)
        try:
            mail["From"] = settings.sender
            mail["To"] = settings.to.fill(values, str)
            mail["Subject"] = settings.subject.fill(values, str)
            mail["Date"] = formatdate(self._wall())
            mail["Message-ID"] = f"<{uid}.{int(message.created)}@{settings.sender.rpartition('@')[2]}>"
            mail.set_content(content.text())
        except (ValueError, IndexError) as error:
            return Refused(UNREADABLE, f"no mail can be made of it: {type(error).__name__}")
        return mail

    def _over(self, part: Part, outcome: Outcome) -> None:
        """The relay answered."""
        self._asking -= 1
        self._settle(part, outcome)
        if isinstance(outcome, Accepted):
            self._delivered(outcome.remote_id)
        if self._stopped is not None and not self._asking:
            self._finish()

    def resume(self, awaited: Sequence[Awaited]) -> None:
        """See :meth:`smsgw.interfaces.IConnector.resume`."""
        for remote_id in self._messages.resumed(awaited):
            self._delivered(remote_id)

    def stop(self) -> Deferred[None]:
        """See :meth:`smsgw.interfaces.IConnector.stop`."""
        self._window.close()
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        if not self._asking:
            self._finish()
        return stopped

    def _finish(self) -> None:
        self._relay.close()
        if self._pool.started:
            self._pool.stop()
        if self._stopped is not None and not self._stopped.called:
            self._stopped.callback(None)


class _Relay:
    """Connections to the relay, used again; each by one thread at a time."""

    def __init__(self, settings: SmtpConnectorSettings, context: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._context = context
        self._idle: Queue[smtplib.SMTP] = Queue()

    def send(self, mail: EmailMessage) -> Outcome:
        """Hand a mail over. Runs in a thread."""
        try:
            connection = self._connection()
        except smtplib.SMTPAuthenticationError as error:
            return Busy(why=f"login: {_words(error.smtp_code, error.smtp_error)}")
        except (OSError, smtplib.SMTPException) as error:
            return Busy(why=f"no connection: {type(error).__name__}")
        try:
            connection.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            ((code, words),) = list(error.recipients.values())[:1]
            outcome = _refusal(code, words)
        except smtplib.SMTPResponseException as error:
            outcome = _refusal(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            connection.close()
            return Lost(f"the connection ended: {type(error).__name__}")
        except (UnicodeError, ValueError) as error:
            outcome = Refused(UNREADABLE, f"no mail can be made of it: {type(error).__name__}")
        else:
            outcome = Accepted(str(mail["Message-ID"]))
        self._idle.put(connection)
        return outcome

    def _connection(self) -> smtplib.SMTP:
        """One that works: an idle one that still answers, or a new one."""
        while True:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                break
            try:
                if connection.rset()[0] == 250:
                    return connection
            except (OSError, smtplib.SMTPException):
                pass
            connection.close()
        settings = self._settings
        where, timeout = (settings.host, settings.port), settings.timeout
        context = None if settings.tls == "none" else self._context or ssl.create_default_context()
        if settings.tls == "implicit":
            connection = smtplib.SMTP_SSL(*where, timeout=timeout, context=context)
        else:
            connection = smtplib.SMTP(*where, timeout=timeout)
        try:
            if settings.tls == "starttls":
                connection.starttls(context=context)
            if settings.login and settings.password is not None:
                connection.login(settings.login, settings.password.reveal())
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return


def _refusal(code: int, words: bytes | str) -> Outcome:
    """4xx is for now, 5xx for ever (RFC 5321, 4.2.1)."""
    why = _words(code, words)
    return Busy(why=why) if 400 <= code < 500 else Refused(UNEXPLAINED, why)


def _words(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {text[:100]}"

"""The connector to a mail relay: each message is sent as an e-mail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from socket import gethostname
from typing import Any, ClassVar, Final

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import Conflict, ConnectorSettings, Secret, fields
from smsgw.connectors.templates import TEMPLATE, Template
from smsgw.connectors.wholemessage import WholeMessageConnector
from smsgw.interfaces import IAdjustable, IConnector, IConnectorSink, IRetrying
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.message import Part
from smsgw.model.outcome import Busy, Lost, Outcome, Rejected, Sent
from smsgw.protocols.smtp import ServerReply, SmtpClient, SmtpClientSettings, SmtpFailed, SmtpPool, Step, connect

_SEVEN_BITS: Final = SMTP.clone(cte_type="7bit")
"""The policy for mails that a relay without extensions accepts."""

_WORDS: Final = 120
"""Characters of a relay's reply that are kept."""

_log = Logger()


@attrs.frozen(kw_only=True)
class SmtpConnectorSettings(ConnectorSettings):
    """A mail relay: messages leave as e-mails. What the relay accepts counts as delivered."""

    EXAMPLE: ClassVar[Mapping[str, str]] = {
        "host": "relay.example",
        "port": "587",
        "login": "gateway",
        "password": "a-long-secret",
        "sender": "sms@gateway.example",
        "to": "{to}@mail.example",
    }

    host: str = fields.text("name or address of the mail relay")
    port: int = fields.integer("TCP port of the relay", 25, at_least=1, at_most=65_535)
    tls: str = fields.choice("none, starttls or implicit; certificates are verified", ("none", "starttls", "implicit"),
                             "starttls")
    login: str = fields.text("user name for AUTH; empty: none", "")
    password: Secret | None = fields.secret("password for AUTH", None)
    sender: str = fields.text(
        "envelope sender and From address of the mails", pattern=r"[!-?A-~]+@[A-Za-z0-9.-]+", allowed="an address")
    to: Template = fields.declare(TEMPLATE, "mail address of the recipient, with {to} filled in")
    subject: Template = fields.declare(
        TEMPLATE, "subject of the mails, with {to} and {from} filled in", "Message from {from}")
    timeout: float = fields.duration("time for each step of the SMTP dialogue", "30s", at_least=0.1)
    connections: int = fields.integer("simultaneous connections to the relay", 2, at_least=1, at_most=50)

    @property
    def parts_form(self) -> str:
        """Whole messages."""
        return ""

    def check(self) -> Iterator[Conflict]:
        """Yield settings that conflict."""
        yield from super().check()
        if "@" not in self.to.source:
            yield Conflict("to", "an address has an @, as in {to}@mail.example")
        if bool(self.login) != (self.password is not None):
            yield Conflict("password", "login and password go together", ("login",))
        if self.login and self.tls == "none":
            yield Conflict("tls", "the password would cross the network in clear text", ("login",))


@implementer(IAdjustable, IConnector, IRetrying)
class SmtpConnector(WholeMessageConnector):
    """Sends messages as e-mails.

    :param clock: the reactor; its seconds are monotonic. :param now: absolute seconds since 1970.
    :param trust: the certificate authorities to trust; None: those of the system.
    """

    _settings: SmtpConnectorSettings

    def __init__(
        self,
        settings: SmtpConnectorSettings,
        clock: Any,
        now: Callable[[], float] = time.time,
        trust: Any = None,
    ) -> None:
        super().__init__(settings, clock, now)
        self._trust = trust
        self._pool = SmtpPool(self._session, settings.connections)
        self._endpoint: IStreamClientEndpoint
        self._client: SmtpClientSettings

    def start(self, sink: IConnectorSink) -> None:
        """Prepare TLS, then take parts."""
        settings = self._settings
        self._endpoint = HostnameEndpoint(self._clock, settings.host, settings.port, settings.timeout)
        starttls = None
        if settings.tls != "none":
            tls = optionsForClientTLS(settings.host, self._trust)
            if settings.tls == "implicit":
                self._endpoint = wrapClientTLS(tls, self._endpoint)
            else:
                starttls = tls
        name = gethostname()
        self._client = SmtpClientSettings(
            name=name if "." in name else "",
            starttls=starttls,
            login=settings.login,
            password=settings.password.reveal() if settings.password is not None else "",
            timeout=settings.timeout,
        )
        super().start(sink)

    def _send(self, part: Part) -> None:
        """Send the message as a mail."""
        try:
            id, recipient, octets = self._mail(part)
        except ValueError as error:
            self._decided(part, _no_mail(error))
            return
        self._requests += 1
        sending: Deferred[Any] = self._pool.send(self._settings.sender, [recipient], octets)
        sending.addCallbacks(_answered, _failed, callbackArgs=(id,))
        sending.addCallback(lambda outcome: self._over(part, outcome))
        sending.addErrback(lambda failure: _log.failure("connector {name} failed", failure, name=self.name))

    def _mail(self, part: Part) -> tuple[str, str, bytes]:
        """The e-mail of a message: its Message-ID, its recipient, its octets.

        :raises ValueError: no mail can be made of the message.
        """
        message = part.message
        content = message.content
        settings = self._settings
        uid = f"{message.id}.{message.attempts}"
        values = {"to": message.recipient, "from": content.sender, "text": "", "uid": uid, "id": ""}
        id = f"<{uid}.{int(message.created)}@{settings.sender.rpartition('@')[2]}>"
        mail = EmailMessage(_SEVEN_BITS)
        mail["From"] = settings.sender
        mail["To"] = settings.to.fill(values, str)
        mail["Subject"] = settings.subject.fill(values, str)
        mail["Date"] = formatdate(self._now())
        mail["Message-ID"] = id
        mail.set_content(content.text())
        (recipient,) = mail["To"].addresses
        return id, recipient.addr_spec, mail.as_bytes()

    def _session(self) -> Deferred[SmtpClient]:
        """Open a session for a mail; mails that wait for one while the relay is down fail at once."""
        if not self._circuit.up:
            return fail(SmtpFailed(Step.CONNECT, "the relay is down"))

        def failed(failure: Failure) -> Failure:
            failure.trap(SmtpFailed)
            error: Any = failure.value
            if _is_down(error):
                self._circuit.fail(str(error)[:_WORDS])
            return failure

        return connect(self._endpoint, self._client, self._clock).addErrback(failed)

    def _connect(self) -> Deferred[str]:
        def failed(failure: Failure) -> str:
            failure.trap(SmtpFailed)
            error: Any = failure.value
            return str(error) if _is_down(error) else ""

        opening: Deferred[Any] = connect(self._endpoint, self._client, self._clock)
        return opening.addCallbacks(lambda session: session.quit().addCallback(lambda _: ""), failed)

    def _over(self, part: Part, outcome: Outcome) -> None:
        """End the sending of one mail."""
        self._requests -= 1
        self._decided(part, outcome)

    def _followed(self, remote_ids: Sequence[str]) -> None:
        self._report_delivered(remote_ids)

    def _close(self) -> Deferred[None]:
        return self._pool.close()


def _answered(replies: Sequence[ServerReply], id: str) -> Outcome:
    """The outcome for the relay's replies: 4xx is temporary, 5xx permanent (RFC 5321, 4.2.1)."""
    (reply,) = replies
    if reply.positive:
        return Sent(id)
    why = str(reply)[:_WORDS]
    return Busy(why=why) if reply.transient else Rejected(ErrorCode.UNEXPLAINED, why)


def _failed(failure: Failure) -> Outcome:
    """The outcome of a mail without a reply."""
    error = failure.value
    if isinstance(error, ValueError):
        return _no_mail(error)
    failure.trap(SmtpFailed)
    assert isinstance(error, SmtpFailed)
    why = str(error)[:_WORDS]
    return Lost(why) if error.sent else Busy(why=why)


def _is_down(error: SmtpFailed) -> bool:
    """Whether a session that could not be opened means that the link is down; a relay that replies 4xx works."""
    return error.reply is None or not error.reply.transient


def _no_mail(error: ValueError) -> Outcome:
    return Rejected(ErrorCode.NOT_CONVERTED, f"no mail can be made of it: {type(error).__name__}")

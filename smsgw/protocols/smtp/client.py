"""An ESMTP client for any Twisted program: opens a session, hands mails over one after the other, takes leave.

:func:`connect` does everything up to the point where mail can be sent (RFC 5321, RFC 3207, RFC 4954)::

    greeting -> EHLO -> [STARTTLS -> TLS handshake -> EHLO] -> [AUTH PLAIN or LOGIN] -> ready
    ready: MAIL -> RCPT for each recipient -> DATA -> the message -> ready; RSET -> ready; QUIT -> closed

What the server answers to a mail are values, one reply for each recipient; what the replies mean for a message is the
caller's to decide. Whatever ends a session is :class:`SmtpFailed`.

Where TLS is asked for, a server that does not offer STARTTLS, refuses it, or sends anything behind its reply to it is
left before a login or a mail has been sent: that is what an attacker on the way would do. Every reply is bounded in
octets, and every step in time: a server that drips its reply gains nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from smsgw.protocols.smtp.failures import SmtpFailed, Step, explained
from smsgw.protocols.smtp.outgoing import check_addresses, stuffed
from smsgw.protocols.smtp.serverreply import MalformedReply, ReplyReader, ServerReply

CLOSING: Final = 2.0
"""Seconds for which a connection may be closing: a peer could hold up the end of a TLS connection for ever."""


@attrs.frozen(kw_only=True)
class SmtpClientSettings:
    """How sessions with one server are opened.

    :ivar name: of this host, for EHLO; empty: the address of our end of the connection.
    :ivar starttls: what ``transport.startTLS`` takes on the client's side, as
        :func:`twisted.internet.ssl.optionsForClientTLS` makes it; it verifies the server's certificate. None: the
        connection stays as the endpoint made it.
    :ivar login: for AUTH; empty: none. The credentials are sent over whatever the connection is by then.
    :ivar timeout: seconds for each step: from a command to the end of its reply, and to connect.
    """

    name: str = attrs.field(default="", validator=attrs.validators.matches_re(r"[!-~]{0,255}"))
    starttls: Any = None
    login: str = ""
    password: str = attrs.field(default="", repr=False)
    timeout: float = 30.0


def connect(endpoint: IStreamClientEndpoint, settings: SmtpClientSettings, clock: IReactorTime) -> Deferred[SmtpClient]:
    """Open a session; with an `endpoint` of TLS the whole session is inside it (RFC 8314, implicit TLS).

    :raises SmtpFailed: through the Deferred.
    """
    return ensureDeferred(_connect(endpoint, settings, clock))


async def _connect(endpoint: IStreamClientEndpoint, settings: SmtpClientSettings, clock: IReactorTime) -> SmtpClient:
    connecting: Deferred[Any] = endpoint.connect(_SmtpClientFactory(settings, clock))
    connecting.addTimeout(settings.timeout, clock)
    try:
        client: SmtpClient = await connecting
    except DNSLookupError:
        raise SmtpFailed(Step.CONNECT, "the host is not known") from None
    except (ConnectError, ConnectionClosed, TooLate, CancelledError) as error:
        raise SmtpFailed(Step.CONNECT, f"no connection: {type(error).__name__}") from error
    await client.opened
    return client


class _SmtpClientFactory(Factory):
    noisy = False

    def __init__(self, settings: SmtpClientSettings, clock: IReactorTime) -> None:
        self._settings = settings
        self._clock = clock

    def buildProtocol(self, addr: IAddress | None) -> SmtpClient:
        return SmtpClient(self._settings, self._clock)


class SmtpClient(Protocol):
    """One session, as :func:`connect` opens it. One method at a time: its Deferred fires before the next is called.

    :ivar opened: fires when mail can be sent, or fails with :class:`SmtpFailed`; for :func:`connect`.
    :ivar extensions: what the server offers: keywords of its reply to EHLO, in upper case, with their parameters.
    """

    transport: Any

    def __init__(self, settings: SmtpClientSettings, clock: IReactorTime) -> None:
        self.extensions: dict[str, str] = {}
        self.opened: Deferred[None] = Deferred()
        self._settings = settings
        self._clock = clock
        self._reader = ReplyReader()
        self._step = Step.GREETING
        self._reply: Deferred[ServerReply] | None = None
        self._deadline: IDelayedCall | None = None
        self._ended = ""
        self._aborting: IDelayedCall | None = None
        self._closed: Deferred[None] = Deferred()

    @property
    def usable(self) -> bool:
        """Whether a mail can be sent now, as far as is known on this side."""
        return not self._ended and self._reply is None

    # What programs call

    def send(self, sender: str, recipients: Sequence[str], message: bytes) -> Deferred[list[ServerReply]]:
        """Hand one mail over.

        :param sender: the return path; empty for none. :param recipients: at least one.
        :param message: header, blank line, body: 7-bit octets in lines of at most 998, each ending with CR LF. Dots
            are stuffed here.
        :return: fires with one reply for each recipient, in order: the refusal of this recipient or of the whole mail,
            or what the server answered to the message. A positive one: the server has taken the mail.
        :raises SmtpFailed: through the Deferred; its `sent` tells whether the server may have taken the mail.
        :raises ValueError: at the call, for addresses or octets that SMTP cannot carry.
        """
        check_addresses(sender, recipients)
        return ensureDeferred(self._send(sender, recipients, stuffed(message)))

    def reset(self) -> Deferred[None]:
        """Drop what is left of a mail that was refused, and learn whether the session still lives.

        :raises SmtpFailed: through the Deferred, when it does not.
        """
        asking = ensureDeferred(self._demand(Step.RSET, b"RSET", 250)).addErrback(self._give_up)
        return asking.addCallback(lambda _: None)

    def quit(self) -> Deferred[None]:
        """Say QUIT and close. Fires when the connection is closed; never fails."""
        leaving = ensureDeferred(self._command(Step.QUIT, b"QUIT"))
        return leaving.addBoth(lambda _: self.close())

    def close(self) -> Deferred[None]:
        """Close. Fires when the connection is closed; never fails."""
        self._end("closed by us")
        closed: Deferred[None] = Deferred()
        self._closed.chainDeferred(closed)
        return closed

    # What Twisted calls

    def connectionMade(self) -> None:
        """Begin the session."""
        ensureDeferred(self._open()).addErrback(self._give_up).chainDeferred(self.opened)

    def dataReceived(self, data: bytes) -> None:
        """A piece of a reply. One that was not asked for ends the session."""
        if self._ended:
            return
        self._reader.octets += data
        if self._reply is None:
            self._end("the server spoke without being asked")
            return
        try:
            reply = self._reader.next()
        except MalformedReply as error:
            self._end(str(error))
            return
        if reply is not None:
            answered = self._step_over()
            if reply.code == 421:
                self._end("the server is closing the connection")
            answered.callback(reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed, by whichever side."""
        self._end(explained(reason.value))
        if self._aborting is not None and self._aborting.active():
            self._aborting.cancel()
        self._closed.callback(None)

    # Opening

    async def _open(self) -> None:
        settings = self._settings
        await self._demand(Step.GREETING, None, 220)
        await self._hello()
        if settings.starttls is not None:
            if "STARTTLS" not in self.extensions:
                raise SmtpFailed(Step.STARTTLS, "the server does not offer it")
            await self._demand(Step.STARTTLS, b"STARTTLS", 220)
            if not self._reader.empty:
                raise SmtpFailed(Step.STARTTLS, "clear text came behind the reply")
            self.transport.startTLS(settings.starttls)
            await self._hello()
        if settings.login:
            await self._authenticate()

    async def _hello(self) -> None:
        """Learn the extensions; those known from before TLS are forgotten (RFC 3207, 4.2)."""
        settings = self._settings
        name = (settings.name or _literal(self.transport.getHost())).encode("ascii")
        reply = await self._command(Step.EHLO, b"EHLO %b" % name)
        if reply.code // 100 == 5 and settings.starttls is None and not settings.login:
            reply = await self._command(Step.EHLO, b"HELO %b" % name)
        if reply.code != 250:
            raise SmtpFailed(Step.EHLO, str(reply), reply)
        offers = [line.replace("=", " ", 1).partition(" ") for line in reply.lines[1:]]
        self.extensions = {keyword.upper(): parameters for keyword, _, parameters in offers}

    async def _authenticate(self) -> None:
        login, password = self._settings.login.encode(), self._settings.password.encode()
        mechanisms = self.extensions.get("AUTH", "").upper().split()
        if "PLAIN" in mechanisms:
            response = b64encode(b"\0%b\0%b" % (login, password))
            await self._demand(Step.AUTH, b"AUTH PLAIN %b" % response, 235)
        elif "LOGIN" in mechanisms:
            await self._demand(Step.AUTH, b"AUTH LOGIN", 334)
            await self._demand(Step.AUTH, b64encode(login), 334)
            await self._demand(Step.AUTH, b64encode(password), 235)
        else:
            raise SmtpFailed(Step.AUTH, "the server offers neither PLAIN nor LOGIN")

    def _give_up(self, failure: Failure) -> Failure:
        """The session is of no use."""
        self._end("given up")
        return failure

    # Sending

    async def _send(self, sender: str, recipients: Sequence[str], message: bytes) -> list[ServerReply]:
        reply = await self._command(Step.MAIL, b"MAIL FROM:<%b>" % sender.encode("ascii"))
        if not reply.positive:
            return [reply] * len(recipients)
        replies = [await self._command(Step.RCPT, b"RCPT TO:<%b>" % one.encode("ascii")) for one in recipients]
        if any(one.positive for one in replies):
            reply = await self._command(Step.DATA, b"DATA")
            if reply.code == 354:
                reply = await self._command(Step.MESSAGE, message)
        return [reply if one.positive else one for one in replies]

    # One step

    async def _demand(self, step: Step, line: bytes | None, code: int) -> ServerReply:
        """Take a step without which the session cannot go on."""
        reply = await self._command(step, line)
        if reply.code != code:
            raise SmtpFailed(step, str(reply), reply)
        return reply

    async def _command(self, step: Step, line: bytes | None) -> ServerReply:
        """Take a step: write a line, or more than one, then wait for the reply. None: it is the server's turn.

        :raises SmtpFailed: when none comes, or one of a kind that the step does not know.
        """
        if self._reply is not None:
            raise RuntimeError("one method at a time")
        if not self._reader.empty:
            self._end("the server said more than it was asked")
        if self._ended:
            raise SmtpFailed(step, self._ended)
        self._step = step
        self._reply = Deferred(lambda _: self._end("given up"))
        self._deadline = self._clock.callLater(self._settings.timeout, self._end, "no reply in time")
        if line is not None:
            self.transport.write(line + b"\r\n")
        reply = await self._reply
        if reply.code not in _FITTING.get(step, _ORDINARY):
            self._end("a reply that does not fit")
            raise SmtpFailed(step, f"a reply that does not fit: {reply}", sent=step is Step.MESSAGE)
        return reply

    def _step_over(self) -> Deferred[ServerReply]:
        """The step has its reply, or will have none; the one who waits for it."""
        assert self._reply is not None and self._deadline is not None
        reply, self._reply = self._reply, None
        if self._deadline.active():
            self._deadline.cancel()
        return reply

    def _end(self, why: str) -> None:
        """The session is over: close, without waiting long for the other end."""
        if self._ended:
            return
        self._ended = why
        self.transport.loseConnection()
        self._aborting = self._clock.callLater(CLOSING, self.transport.abortConnection)
        if self._reply is not None:
            self._step_over().errback(SmtpFailed(self._step, why, sent=self._step is Step.MESSAGE))


_REFUSALS: Final = frozenset(range(400, 600))
_ORDINARY: Final = _REFUSALS | frozenset(range(200, 300))
_FITTING: Final = {Step.DATA: _REFUSALS | {354}, Step.AUTH: _ORDINARY | {334}}
"""Codes of the replies that a step can have, where these are not the ordinary ones."""


def _literal(address: Any) -> str:
    """An address of ours as RFC 5321, 4.1.3 writes it."""
    host = getattr(address, "host", "")
    if not host:
        return "localhost"
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"

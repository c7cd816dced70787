"""An ESMTP client for any Twisted program: opens a session, sends mails one after the other, quits.

:func:`connect` does everything up to the point where mail can be sent (RFC 5321, RFC 3207, RFC 4954)::

    greeting -> EHLO -> [STARTTLS -> TLS handshake -> EHLO] -> [AUTH PLAIN or LOGIN] -> ready
    ready: MAIL -> RCPT for each recipient -> DATA -> the message -> ready; RSET -> ready; QUIT -> closed

The replies to a mail are values, one for each recipient, which the caller interprets. The end of a session is
:class:`SmtpFailed`.

If TLS is required and the server does not offer STARTTLS, refuses it, or sends octets after its reply to it, the client
closes the session before it sends a login or a mail: an attacker on the path would do the same. Replies are limited in
octets, and steps in time, also against a server that sends its reply slowly.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from smsgw.protocols.smtp.failures import SmtpFailed, Step, explained
from smsgw.protocols.smtp.outgoing import check_addresses, stuffed
from smsgw.protocols.smtp.serverreply import MalformedReply, ReplyReader, ServerReply

CLOSING: Final = 2.0
"""Longest time in seconds to close a connection: a server could delay the end of a TLS connection for ever."""


@attrs.frozen(kw_only=True)
class SmtpClientSettings:
    """Settings of the sessions with one server.

    :ivar name: of this host, for EHLO; empty: the local address of the connection.
    :ivar starttls: the argument of ``transport.startTLS``, made by
        :func:`twisted.internet.ssl.optionsForClientTLS`; it verifies the server's certificate. None: no STARTTLS.
    :ivar login: for AUTH; empty: no AUTH. Without TLS the credentials are sent in clear text.
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
    except (ConnectError, ConnectingCancelledError, ConnectionClosed, TooLate, CancelledError) as error:
        raise SmtpFailed(Step.CONNECT, f"no connection: {type(error).__name__}") from error
    try:
        await client.opened
    except CancelledError:
        client.close()
        raise SmtpFailed(Step.CONNECT, "cancelled") from None
    return client


class _SmtpClientFactory(Factory):
    noisy = False

    def __init__(self, settings: SmtpClientSettings, clock: IReactorTime) -> None:
        self._settings = settings
        self._clock = clock

    def buildProtocol(self, addr: IAddress | None) -> SmtpClient:
        return SmtpClient(self._settings, self._clock)


class SmtpClient(Protocol):
    """One session, opened by :func:`connect`. Call a method only after the Deferred of the last one fired.

    :ivar opened: fires when mail can be sent, or fails with :class:`SmtpFailed`; for :func:`connect`.
    :ivar extensions: the server's extensions: keywords of its reply to EHLO, in upper case, with their parameters.
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
        """Whether the session is open and idle, as far as this side knows."""
        return not self._ended and self._reply is None

    # Called by programs

    def send(self, sender: str, recipients: Sequence[str], message: bytes) -> Deferred[list[ServerReply]]:
        """Send one mail.

        :param sender: the return path; empty for none. :param recipients: at least one.
        :param message: header, blank line, body: 7-bit octets in lines of at most 998, each ending with CR LF. Dots
            are stuffed here.
        :return: fires with one reply for each recipient, in order: the refusal of this recipient or of the whole mail,
            or the reply to the message. If it is positive, the server has accepted the mail.
        :raises SmtpFailed: through the Deferred; its `sent` is whether the server may have accepted the mail.
        :raises ValueError: at the call, for addresses or octets that SMTP cannot carry.
        """
        check_addresses(sender, recipients)
        return ensureDeferred(self._send(sender, recipients, stuffed(message)))

    def reset(self) -> Deferred[None]:
        """Send RSET, which discards a refused mail and shows whether the session is still usable.

        :raises SmtpFailed: through the Deferred, if it is not.
        """
        asking = ensureDeferred(self._demand(Step.RSET, b"RSET", 250)).addErrback(self._give_up)
        return asking.addCallback(lambda _: None)

    def quit(self) -> Deferred[None]:
        """Send QUIT and close. The Deferred fires when the connection is closed; it never fails."""
        leaving = ensureDeferred(self._command(Step.QUIT, b"QUIT"))
        return leaving.addBoth(lambda _: self.close())

    def close(self) -> Deferred[None]:
        """Close. The Deferred fires when the connection is closed; it never fails."""
        self._end("closed by us")
        closed: Deferred[None] = Deferred()
        self._closed.chainDeferred(closed)
        return closed

    # Called by Twisted

    def connectionMade(self) -> None:
        """Begin the session."""
        ensureDeferred(self._open()).addErrback(self._give_up).chainDeferred(self.opened)

    def dataReceived(self, data: bytes) -> None:
        """Take a piece of a reply; a reply without a command ends the session."""
        if self._ended:
            return
        self._reader.octets += data
        if self._reply is None:
            self._end("the server sent a reply without a command")
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
        """The connection is closed."""
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
                raise SmtpFailed(Step.STARTTLS, "clear text followed the reply")
            self.transport.startTLS(settings.starttls)
            await self._hello()
        if settings.login:
            await self._authenticate()

    async def _hello(self) -> None:
        """Send EHLO and store the extensions; those from before TLS are discarded (RFC 3207, 4.2)."""
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
        """End a session that could not be opened."""
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
        """Take a step that must get the reply `code`; any other one fails the session."""
        reply = await self._command(step, line)
        if reply.code != code:
            raise SmtpFailed(step, str(reply), reply)
        return reply

    async def _command(self, step: Step, line: bytes | None) -> ServerReply:
        """Take a step: write one or more lines (None: write nothing), then wait for the reply.

        :raises SmtpFailed: if no reply comes, or one with a code that the step does not allow.
        """
        if self._reply is not None:
            raise RuntimeError("one method at a time")
        if not self._reader.empty:
            self._end("the server sent more replies than commands")
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
        """End the step and return its Deferred, which the caller fires."""
        assert self._reply is not None and self._deadline is not None
        reply, self._reply = self._reply, None
        if self._deadline.active():
            self._deadline.cancel()
        return reply

    def _end(self, why: str) -> None:
        """End the session: close the connection, and abort it after a bounded time."""
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
"""Allowed reply codes of the steps that differ from the usual ones."""


def _literal(address: Any) -> str:
    """Return an IP address as an address literal (RFC 5321, 4.1.3)."""
    host = getattr(address, "host", "")
    if not host:
        return "localhost"
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"

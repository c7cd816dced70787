"""The replies of an ESMTP server to lines, messages and answers of its delegate.

The connection decides when the next line is processed. A table has every verb, its precondition and its function.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import attrs
from twisted.logger import Logger

from smsgw.interfaces import Reply
from smsgw.protocols.smtp import replies, sasl
from smsgw.protocols.smtp.address import BadArgument, mail_from, rcpt_to
from smsgw.protocols.smtp.context import Connection, ServerContext
from smsgw.protocols.smtp.lines import BadLine, BadMessage, MessageReader
from smsgw.protocols.smtp.session import Envelope, Session

log = Logger()

_HOST: Final = re.compile(r"[!-~]{1,255}")
_STATUS_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_WASTED: Final = 20
"""Commands without a message that are reported to the delegate at a time."""
_EXCESS: Final = 10
"""The session is ended at this multiple of the recipients that a transaction may have."""


class Dialogue:
    """The state of the SMTP dialogue on one connection.

    :ivar session: the session as the delegate sees it; the connection replaces it when TLS starts.
    :ivar message: the reader of the message that is being received, or None.
    """

    def __init__(self, connection: Connection, server: ServerContext, session: Session) -> None:
        self.session = session
        self.message: MessageReader | None = None
        self._connection = connection
        self._server = server
        self._delegate = server.delegate
        self._settings = server.settings
        self._exchange: sasl.Exchange | None = None
        self._refused_data = False
        self._junk = 0
        self._failed_logins = 0
        self._transactions = 0
        self._tried_recipients = 0
        self._wasted = 0  # commands from which no message came
        self._wasted_before = 0  # the same when the transaction began

    @property
    def idle(self) -> bool:
        """Whether no transaction and no authentication is open."""
        return self.session.envelope is None and self._exchange is None

    def limit(self, octets: bytearray) -> int:
        """Return the maximum length of the line that `octets` begin with."""
        if self._exchange is not None or octets[:5].upper() == b"AUTH ":
            return self._settings.auth_line
        return self._settings.command_line

    def line(self, line: bytes | BadLine) -> None:
        """Process a line outside a message."""
        if isinstance(line, BadLine):
            self._exchange = None
            self._refuse_line(replies.BAD_LINES[line])
        elif self._exchange is not None:
            self._responded(self._exchange, line)
        elif self._wasted >= _WASTED and self.session.envelope is None:
            wasted, self._wasted = self._wasted, 0
            ok = self._server.positive.ok
            self._connection.ask(lambda _: self._command(line), self._delegate.wasted, wasted, 0, ok)
        else:
            self._command(line)

    def data_ended(self, reader: MessageReader) -> None:
        """Process a complete message."""
        self.message = None
        message = reader.message()
        if isinstance(message, BadMessage):
            log.info("a message of {peer} is refused: {why}", peer=self.session.peer, why=message.value)
            reply = replies.BAD_MESSAGES[message]
            self._connection.ask(self._message_known, self._delegate.wasted, 1, reader.size, reply)
        else:
            self._junk = 0
            self._connection.ask(self._message_known, self._delegate.message, self.session.envelope, message)

    def _command(self, line: bytes) -> None:
        self._wasted += 1
        word, _, rest = line.partition(b" ")
        verb = VERBS.get(word.upper())
        if verb is None:
            self._refuse_line(replies.UNKNOWN)
            return
        argument = rest.rstrip(b" ")
        early = None if self.session.authenticated else self._too_early(verb.needs)
        if early is not None:
            self._reply_junk(early)
        elif verb.bare and argument:
            self._reply_junk(replies.NO_ARGUMENT)
        elif argument.isascii() and (text := argument.decode("ascii")).isprintable():
            verb.run(self, text)
        else:
            self._reply_junk(replies.BAD_ARGUMENT)
        self._refused_data = verb.run is Dialogue._data and self.message is None

    def _too_early(self, needs: Need) -> Reply | None:
        """Return the reply to an unauthenticated client whose verb needs an earlier command, or None."""
        if needs >= Need.HELLO and not self.session.ehlo:
            return replies.HELLO_FIRST
        if needs >= Need.TLS and not self.session.tls and self._settings.tls == "demanded":
            return replies.TLS_FIRST
        return replies.LOGIN_FIRST if needs >= Need.LOGIN else None

    def _refuse_line(self, reply: Reply) -> None:
        """Refuse a line that is no command. After a refused DATA it is message text, because the client did not wait
        for 354: then hang up, since the text's author could put commands into it."""
        if self._refused_data:
            self._connection.hang_up(replies.TEXT_AFTER_REFUSAL)
        else:
            self._reply_junk(reply)

    def _reply(self, reply: Reply) -> None:
        """Send a reply, and hang up if it is final."""
        if reply.close or reply.code == 421:
            self._connection.hang_up(reply)
        else:
            self._connection.say(reply)

    def _reply_junk(self, reply: Reply) -> None:
        """Reply to a junk command: one that advances neither login nor transaction."""
        if not self._count_junk():
            self._reply(reply)

    def _count_junk(self) -> bool:
        """Count a junk command; return whether it was one too many and ended the session."""
        self._junk += 1
        settings = self._settings
        if self._junk <= (settings.junk_after_login if self.session.authenticated else settings.junk_before_login):
            return False
        self._connection.hang_up(replies.TOO_MUCH_JUNK)
        return True

    def _ehlo(self, argument: str) -> None:
        self._hello(argument, self._server.capabilities(self.session.tls))

    def _helo(self, argument: str) -> None:
        self._hello(argument, b"250 %b\r\n" % self._settings.ehlo[0].encode("ascii"))

    def _hello(self, name: str, answer: bytes) -> None:
        if not _HOST.fullmatch(name):
            self._reply_junk(replies.BAD_ARGUMENT)
            return
        again = bool(self.session.ehlo)
        self.session.ehlo = name
        self.session.envelope = None
        if not (again and self._count_junk()):
            self._connection.say_lines(answer)

    def _starttls(self, argument: str) -> None:
        if self.session.tls:
            self._reply_junk(replies.TLS_ALREADY)
        elif not self._server.offers_tls:
            self._reply_junk(replies.NOT_IMPLEMENTED)
        else:
            self._connection.start_tls()

    def _auth(self, argument: str) -> None:
        name, _, initial = argument.partition(" ")
        exchange = sasl.exchange(name.upper(), self._settings.plain_challenge)
        if self.session.authenticated:
            self._reply_junk(replies.LOGIN_ALREADY)
        elif not self.session.tls and not self._settings.auth_without_tls:
            self._reply_junk(replies.TLS_FOR_AUTH)
        elif exchange is None:
            self._reply_junk(replies.NO_MECHANISM if name else replies.BAD_ARGUMENT)
        else:
            challenge = next(exchange)
            if initial:
                self._responded(exchange, b"" if initial == "=" else initial.encode("ascii"))
            else:
                self._exchange = exchange
                self._connection.say(Reply(334, challenge))

    def _responded(self, exchange: sasl.Exchange, line: bytes) -> None:
        self._exchange = None
        if line == b"*":
            self._reply_junk(replies.CANCELLED)
            return
        try:
            challenge = exchange.send(sasl.decode(line))
        except sasl.Malformed:
            self._reply_junk(replies.UNREADABLE)
        except StopIteration as end:
            self._login(end.value)
        else:
            self._exchange = exchange
            self._connection.say(Reply(334, challenge))

    def _login(self, credentials: sasl.SaslCredentials) -> None:
        if credentials.authorization in (b"", credentials.login):
            self._connection.ask(self._logged_in, self._delegate.login, credentials.login, credentials.password)
        else:
            self._logged_in(replies.NOT_AS_ANOTHER)

    def _logged_in(self, reply: Reply) -> None:
        if reply.code == 235:
            self.session.authenticated = True
            self._junk = 0
            self._connection.admitted()
            self._reply(reply)
        elif reply.code < 500:
            self._reply_junk(reply)
        else:
            self._failed_logins += 1
            if self._failed_logins >= self._settings.auth_tries:
                self._connection.say(reply)
                self._connection.hang_up(replies.TOO_MANY_TRIES)
            else:
                self._reply(reply)

    def _mail(self, argument: str) -> None:
        if self.session.envelope is not None:
            self._reply_junk(replies.NESTED)
            return
        if self._transactions >= self._settings.messages:
            self._connection.hang_up(replies.TOO_MANY_TRANSACTIONS)
            return
        try:
            address, parameters = mail_from(argument, self._server.extensions, self._settings.mail_limit)
        except BadArgument as why:
            self._reply_junk(why.reply)
            return
        self.session.envelope = Envelope(address, parameters)
        self._wasted_before = self._wasted - 1
        self._connection.ask(self._sender_known, self._delegate.sender, address, parameters)

    def _sender_known(self, reply: Reply) -> None:
        if reply.code // 100 == 2:
            self._transactions += 1
            self._tried_recipients = 0
            self._reply(reply)
        else:
            self.session.envelope = None
            (self._reply_junk if reply.code >= 500 else self._reply)(reply)

    def _rcpt(self, argument: str) -> None:
        if self.session.envelope is None:
            self._reply_junk(replies.MAIL_FIRST)
            return
        self._tried_recipients += 1
        if self._tried_recipients > self._settings.recipients:
            if self._tried_recipients > _EXCESS * self._settings.recipients:
                self._connection.hang_up(replies.TOO_MUCH_JUNK)
            else:
                self._connection.say(replies.TOO_MANY_RECIPIENTS)
            return
        try:
            address = rcpt_to(argument)
        except BadArgument as why:
            self._connection.say(why.reply)
            return
        self._connection.ask(partial(self._recipient_known, address), self._delegate.recipient, address)

    def _recipient_known(self, address: str, reply: Reply) -> None:
        if reply.code // 100 == 2 and self.session.envelope is not None:
            self.session.envelope.recipients.append(address)
        self._reply(reply)

    def _data(self, argument: str) -> None:
        if self.session.envelope is None:
            self._reply_junk(replies.MAIL_FIRST)
        elif not self.session.envelope.recipients:
            self._reply_junk(replies.NO_RECIPIENTS)
        else:
            self.message = MessageReader(self._settings)
            self._connection.say(replies.START_DATA)

    def _message_known(self, reply: Reply) -> None:
        self.session.envelope = None
        if reply.code == 250:
            self._wasted = self._wasted_before
        self._reply(reply)

    def _status(self, argument: str) -> None:
        if _STATUS_ID.fullmatch(argument):
            self._connection.ask(self._status_known, self._delegate.status, argument)
        else:
            self._reply_junk(replies.BAD_ARGUMENT)

    def _status_known(self, reply: Reply) -> None:
        if reply.code // 100 == 2:
            self._junk = 0
        self._reply(reply)

    def _rset(self, argument: str) -> None:
        if self.session.envelope is None:
            self._reply_junk(self._server.positive.ok)
        else:
            self.session.envelope = None
            self._connection.say(self._server.positive.ok)

    def _noop(self, argument: str) -> None:
        self._reply_junk(self._server.positive.ok)

    def _quit(self, argument: str) -> None:
        self._connection.hang_up(self._server.positive.bye)

    def _vrfy(self, argument: str) -> None:
        self._reply_junk(self._server.positive.unverified)

    def _help(self, argument: str) -> None:
        self._reply_junk(self._server.positive.help)

    def _not_implemented(self, argument: str) -> None:
        self._reply_junk(replies.NOT_IMPLEMENTED)

    def _hang_up(self, argument: str) -> None:
        self._connection.hang_up(replies.NOT_IMPLEMENTED)


class Need(enum.IntEnum):
    """The precondition of a verb; each includes those before it."""

    NOTHING = 0
    HELLO = 1
    TLS = 2
    LOGIN = 3


@attrs.frozen
class Verb:
    """The function of a verb, its precondition, and whether it takes no argument."""

    run: Callable[[Dialogue, str], None]
    needs: Need
    bare: bool = False


VERBS: Final[Mapping[bytes, Verb]] = {
    b"EHLO": Verb(Dialogue._ehlo, Need.NOTHING),
    b"HELO": Verb(Dialogue._helo, Need.NOTHING),
    b"STARTTLS": Verb(Dialogue._starttls, Need.NOTHING, bare=True),
    b"AUTH": Verb(Dialogue._auth, Need.TLS),
    b"MAIL": Verb(Dialogue._mail, Need.LOGIN),
    b"RCPT": Verb(Dialogue._rcpt, Need.LOGIN),
    b"DATA": Verb(Dialogue._data, Need.LOGIN, bare=True),
    b"STATUS": Verb(Dialogue._status, Need.LOGIN),
    b"RSET": Verb(Dialogue._rset, Need.NOTHING, bare=True),
    b"NOOP": Verb(Dialogue._noop, Need.NOTHING),
    b"QUIT": Verb(Dialogue._quit, Need.NOTHING, bare=True),
    b"VRFY": Verb(Dialogue._vrfy, Need.NOTHING),
    b"HELP": Verb(Dialogue._help, Need.NOTHING),
    b"EXPN": Verb(Dialogue._not_implemented, Need.NOTHING),
    b"TURN": Verb(Dialogue._not_implemented, Need.NOTHING),
    b"ETRN": Verb(Dialogue._not_implemented, Need.NOTHING),
    # After BDAT octets follow that cannot be skipped; the others come from a browser that an attacker points at us.
    b"BDAT": Verb(Dialogue._hang_up, Need.NOTHING),
    b"CONNECT": Verb(Dialogue._hang_up, Need.NOTHING),
    b"GET": Verb(Dialogue._hang_up, Need.NOTHING),
    b"POST": Verb(Dialogue._hang_up, Need.NOTHING),
    b"PUT": Verb(Dialogue._hang_up, Need.NOTHING),
}
"""All verbs."""

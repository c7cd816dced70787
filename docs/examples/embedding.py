r"""A notice board that takes texts over SMPP, SMTP and HTTP: smsgw's protocols inside another program.

    python docs/examples/embedding.py tcp:2775:interface=127.0.0.1 tcp:2525:interface=127.0.0.1 \
        tcp:8080:interface=127.0.0.1

There is no configuration, no store and no gateway here: the board is a list in memory, and what is pinned on it is
printed. Login ``demo``, password ``secret``, on each of the three.
"""

from __future__ import annotations

import hmac
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from zope.interface import implementer

from smsgw.frontends.rostelecom import RESPONSES, MessageResource
from smsgw.interfaces import ApiError, BindAccepted, IJsonDelegate, IMailDelegate, ISmppDelegate, MessageStatus, Reply
from smsgw.protocols.http import BoundedSite, ResponseForms
from smsgw.protocols.smpp import SmppServerFactory, SmppServerSettings
from smsgw.protocols.smtp import Envelope, Session, SubmissionFactory, SubmissionSettings, mail_text
from smsgw.smpp import Bind, MessageState, Pdu, QuerySm, QuerySmResp, Status, SubmitSm, SubmitSmResp
from smsgw.text import coding


@attrs.define
class Board:
    """The program that embeds the protocols: it keeps notices and has one account."""

    notices: list[tuple[str, str, str]] = attrs.field(factory=list)

    def knows(self, login: bytes, password: bytes) -> bool:
        """Check credentials, in constant time."""
        return hmac.compare_digest(login + b":" + password, b"demo:secret")

    def pin(self, way: str, recipient: str, text: str) -> str:
        """Keep a notice; return its id. A program that must not lose notices returns after they are on the disk."""
        self.notices.append((way, recipient, text))
        print(f"pinned {len(self.notices)} over {way} for {recipient}: {text}", flush=True)
        return str(len(self.notices))

    def has(self, id: str) -> bool:
        """Whether a notice with this id was pinned."""
        return id.isdecimal() and len(id) < 10 and 1 <= int(id) <= len(self.notices)


@implementer(ISmppDelegate)
@attrs.frozen(eq=False)
class SmppBoard:
    """The delegate for SMPP: an ESME may bind, submit and query."""

    board: Board

    def bind(self, session: Any, pdu: Pdu) -> Deferred[BindAccepted | int]:
        """Accept any of the three binds with the right password."""
        assert isinstance(pdu, Bind)
        if self.board.knows(pdu.system_id, pdu.password):
            return succeed(BindAccepted("demo", b"board"))
        return succeed(Status.ESME_RINVPASWD)

    def requests(self, session: Any, pdus: Sequence[Pdu]) -> Deferred[list[Pdu | int]]:
        """Answer all requests of one read together; the session sets the sequence numbers."""
        return succeed([self._answer(pdu) for pdu in pdus])

    def _answer(self, pdu: Pdu) -> Pdu | int:
        if isinstance(pdu, SubmitSm):
            text = coding.decode(pdu.user_data(), pdu.data_coding)
            id = self.board.pin("smpp", pdu.destination_addr.decode("latin-1"), text)
            return SubmitSmResp(0, Status.ESME_ROK, id.encode())
        if isinstance(pdu, QuerySm):
            if self.board.has(pdu.message_id.decode("latin-1")):
                return QuerySmResp(0, Status.ESME_ROK, pdu.message_id, b"", MessageState.DELIVERED, 0)
            return Status.ESME_RINVMSGID
        return Status.ESME_RINVCMDID

    def answers(self, session: Any, answers: Sequence[tuple[object, int, Pdu | None]]) -> None:
        """Ignore answers to our requests, because the board sends none."""

    def bound(self, session: Any) -> None:
        """The session is bound: a program may send requests from now on."""

    def ready(self, session: Any) -> None:
        """The session has room for our requests again."""

    def closed(self, session: Any, why: str) -> None:
        """The session has ended; the board keeps no data of it."""


@implementer(IMailDelegate)
@attrs.frozen(eq=False)
class MailBoard:
    """The delegate for SMTP: a mail program may log in, send, and query with STATUS. Replies are sent unchanged."""

    board: Board

    def login(self, session: Session, login: bytes, password: bytes) -> Deferred[Reply]:
        """Check the login; 235 authenticates the session."""
        right = self.board.knows(login, password)
        return succeed(Reply(235, "Welcome") if right else Reply(535, "5.7.8 Wrong login or password"))

    def sender(self, session: Session, address: str, parameters: Mapping[str, str]) -> Deferred[Reply]:
        """Accept any sender."""
        return succeed(Reply(250, "Ok"))

    def recipient(self, session: Session, address: str) -> Deferred[Reply]:
        """Accept a recipient; the syntax local@domain has been checked."""
        return succeed(Reply(250, "Ok"))

    def message(self, session: Session, envelope: Envelope, octets: bytes) -> Deferred[Reply]:
        """Pin the text of a mail, whose dots are unstuffed, once for each recipient."""
        text = mail_text(octets)
        if not isinstance(text, str):
            return succeed(Reply(554, f"5.6.1 {text}"))
        ids = [self.board.pin("smtp", address.partition("@")[0], text) for address in envelope.recipients]
        return succeed(Reply(250, f"{ids[-1]} message accepted"))

    def wasted(self, session: Session, commands: int, octets: int, reply: Reply) -> Deferred[Reply]:
        """Let commands and refused mails without a result pass; a delayed answer would slow such a client down."""
        return succeed(reply)

    def status(self, session: Session, argument: str) -> Deferred[Reply]:
        """Answer STATUS for an id."""
        if self.board.has(argument):
            return succeed(Reply(250, f"{argument} 1 1 2 Message is delivered"))
        return succeed(Reply(550, f"5.1.1 {argument} message not found"))

    def closed(self, session: Session) -> None:
        """The session has ended; the board keeps no data of it."""


@implementer(IJsonDelegate)
@attrs.frozen(eq=False)
class JsonBoard:
    """The delegate for HTTP: a client may send and query. The program chooses the words of refusals."""

    board: Board

    def login(self, login: bytes, password: bytes, peer: str) -> Deferred[str | ApiError]:
        """Check the credentials of a request; return the account."""
        return succeed("demo" if self.board.knows(login, password) else ApiError("wrong_credentials", 403))

    def submit(self, account: str, msisdn: str, shortcode: str, text: str) -> Deferred[str | ApiError]:
        """Pin a text. Number and sender have been checked, the text has not."""
        return succeed(self.board.pin("http", msisdn, text) if text else ApiError("invalid_field_text"))

    def status(self, account: str, id: str) -> Deferred[MessageStatus | ApiError]:
        """Return the status of one message for GET."""
        if not self.board.has(id):
            return succeed(ApiError("transaction_not_found"))
        _, recipient, text = self.board.notices[int(id) - 1]
        now = int(time.time())
        return succeed(MessageStatus(now, now, recipient, 1, "delivered", text))


def main(reactor: Any, *endpoints: str) -> Deferred[None]:
    """Listen at three endpoints, for SMPP, SMTP and HTTP, until a signal ends the program."""
    # Deadlines must not depend on the wall clock, which the reactor reads by default.
    reactor.seconds = time.monotonic
    board = Board()
    factories: dict[str, Any] = {
        "smpp": SmppServerFactory(SmppBoard(board), SmppServerSettings(system_id="board"), reactor),
        "smtp": SubmissionFactory(MailBoard(board), SubmissionSettings(auth_without_tls=True), reactor),
        "http": BoundedSite(MessageResource(JsonBoard(board)), reactor, forms=ResponseForms(RESPONSES)),
    }
    for (name, factory), endpoint in zip(factories.items(), endpoints, strict=True):
        listening = serverFromString(reactor, endpoint).listen(factory)
        listening.addCallback(lambda port, name=name: print(name, port.getHost().port, flush=True))

    def finish() -> Deferred[Any]:
        """Let each protocol finish open requests, for five seconds at most."""
        return gatherResults([factory.shut_down(within=5) for factory in factories.values()])

    reactor.addSystemEventTrigger("before", "shutdown", finish)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])

"""The failures of a session of the ESMTP client."""

from __future__ import annotations

from enum import Enum

from OpenSSL import SSL
from service_identity import VerificationError

from smsgw.protocols.smtp.serverreply import ServerReply


class Step(Enum):
    """The steps of a session; the values are texts for messages."""

    CONNECT = "connecting"
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    MESSAGE = "message"
    RSET = "RSET"
    QUIT = "QUIT"


class SmtpFailed(Exception):
    """A session has ended or could not be opened. The text has the reason, without credentials.

    :ivar step: the current step. :ivar reply: the server's refusal; None if it did not reply.
    :ivar sent: whether a mail was sent without a reply to it: the server may have accepted it.
    """

    def __init__(self, step: Step, why: str, reply: ServerReply | None = None, *, sent: bool = False) -> None:
        super().__init__(f"{step.value}: {why}")
        self.step = step
        self.reply = reply
        self.sent = sent


def explained(error: BaseException | None) -> str:
    """Return why a connection ended, from the transport's failure."""
    if isinstance(error, VerificationError):
        return "the certificate does not match the host"
    if isinstance(error, SSL.Error) and error.args and error.args[0]:
        return f"no TLS: {error.args[0][0][-1]}"
    return f"the connection ended: {type(error).__name__}"

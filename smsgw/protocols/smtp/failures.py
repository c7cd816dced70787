"""Why a session of the ESMTP client came to its end, in our words."""

from __future__ import annotations

from enum import Enum

from OpenSSL import SSL
from service_identity import VerificationError

from smsgw.protocols.smtp.serverreply import ServerReply


class Step(Enum):
    """What a session is at; the values are for people."""

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
    """A session has come to its end, or there is none. The text says why, in our words and without credentials.

    :ivar step: what was under way. :ivar reply: the server's refusal; None where it gave no reply.
    :ivar sent: whether a mail had left without an answer to it: the server may have taken it.
    """

    def __init__(self, step: Step, why: str, reply: ServerReply | None = None, *, sent: bool = False) -> None:
        super().__init__(f"{step.value}: {why}")
        self.step = step
        self.reply = reply
        self.sent = sent


def explained(error: BaseException | None) -> str:
    """Why a connection ended, by what its transport says."""
    if isinstance(error, VerificationError):
        return "the certificate is not the host's"
    if isinstance(error, SSL.Error) and error.args and error.args[0]:
        return f"no TLS: {error.args[0][0][-1]}"
    return f"the connection ended: {type(error).__name__}"

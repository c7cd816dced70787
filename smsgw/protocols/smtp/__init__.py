"""ESMTP with AUTH and STARTTLS over Twisted transports, without policy: a submission server, and a client."""

from smsgw.config import SubmissionSettings
from smsgw.protocols.smtp.client import SmtpClient, SmtpClientSettings, connect
from smsgw.protocols.smtp.clientpool import SmtpPool
from smsgw.protocols.smtp.factory import SubmissionFactory
from smsgw.protocols.smtp.failures import SmtpFailed, Step
from smsgw.protocols.smtp.mailtext import mail_text
from smsgw.protocols.smtp.server import SubmissionProtocol
from smsgw.protocols.smtp.serverreply import ServerReply
from smsgw.protocols.smtp.session import Envelope, Session

__all__ = [
    "Envelope",
    "ServerReply",
    "Session",
    "SmtpClient",
    "SmtpClientSettings",
    "SmtpFailed",
    "SmtpPool",
    "Step",
    "SubmissionFactory",
    "SubmissionProtocol",
    "SubmissionSettings",
    "connect",
    "mail_text",
]

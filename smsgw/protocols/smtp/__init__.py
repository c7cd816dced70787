"""Mail submission (ESMTP with AUTH, STARTTLS and STATUS) over a Twisted transport, without policy."""

from smsgw.protocols.smtp.factory import SubmissionFactory
from smsgw.protocols.smtp.mailtext import mail_text
from smsgw.protocols.smtp.server import SubmissionProtocol
from smsgw.protocols.smtp.session import Envelope, Session
from smsgw.protocols.smtp.settings import SubmissionSettings

__all__ = [
    "Envelope",
    "Session",
    "SubmissionFactory",
    "SubmissionProtocol",
    "SubmissionSettings",
    "mail_text",
]

"""The replies of the ESMTP server itself; all other replies come from the delegate.

Refusals have an enhanced status code (RFC 3463) in every dialect; clients without that extension read it as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from smsgw.interfaces import Reply
from smsgw.protocols.smtp.lines import BadLine, BadMessage

START_DATA: Final = Reply(354, "End data with <CR><LF>.<CR><LF>")
UNKNOWN: Final = Reply(500, "5.5.1 Command not recognized")
NOT_IMPLEMENTED: Final = Reply(502, "5.5.1 Command not implemented")
NO_ARGUMENT: Final = Reply(501, "5.5.4 No argument is allowed here")
BAD_ARGUMENT: Final = Reply(501, "5.5.4 Syntax error in the argument")
HELLO_FIRST: Final = Reply(503, "5.5.1 Say EHLO first")
LOGIN_FIRST: Final = Reply(530, "5.7.0 Authentication required")
TLS_FIRST: Final = Reply(530, "5.7.0 Must issue a STARTTLS command first")
TLS_FOR_AUTH: Final = Reply(538, "5.7.11 Encryption required for authentication")
TLS_ALREADY: Final = Reply(503, "5.5.1 TLS is active already")
INJECTED: Final = Reply(503, "5.5.1 Nothing may follow STARTTLS before the TLS handshake", close=True)
LOGIN_ALREADY: Final = Reply(503, "5.5.1 Already authenticated")
NO_MECHANISM: Final = Reply(504, "5.5.4 Authentication mechanism not supported")
UNREADABLE: Final = Reply(501, "5.5.2 Credentials cannot be read")
CANCELLED: Final = Reply(501, "5.7.0 Authentication cancelled")
NOT_AS_ANOTHER: Final = Reply(535, "5.7.8 Authentication failed")
NESTED: Final = Reply(503, "5.5.1 Transaction already open")
MAIL_FIRST: Final = Reply(503, "5.5.1 MAIL first")
TOO_MANY_RECIPIENTS: Final = Reply(452, "4.5.3 Too many recipients")
NO_RECIPIENTS: Final = Reply(554, "5.5.1 No valid recipients")
LOCAL_ERROR: Final = Reply(451, "4.3.0 Requested action aborted: local error in processing")
SHUTTING_DOWN: Final = Reply(421, "4.3.2 Service shutting down")
TIMED_OUT: Final = Reply(421, "4.4.2 Timeout, closing the connection")
TOO_SLOW: Final = Reply(421, "4.4.2 Data too slow, closing the connection")
TOO_MUCH_JUNK: Final = Reply(421, "4.7.0 Too many useless commands")
TOO_MANY_TRIES: Final = Reply(421, "4.7.0 Too many failed logins")
TOO_MANY_TRANSACTIONS: Final = Reply(421, "4.5.3 Too many transactions, connect again")
TEXT_AFTER_REFUSAL: Final = Reply(421, "4.5.0 Text sent without leave, closing the connection")
MAIL_SYNTAX: Final = Reply(501, "5.5.4 Syntax: MAIL FROM:<address>")
RCPT_SYNTAX: Final = Reply(501, "5.5.4 Syntax: RCPT TO:<address>")
BAD_SENDER: Final = Reply(553, "5.1.7 Sender address not acceptable")
BAD_RECIPIENT: Final = Reply(553, "5.1.3 Recipient address not acceptable")
BAD_PARAMETER: Final = Reply(501, "5.5.4 Parameter malformed or repeated")
UNKNOWN_PARAMETER: Final = Reply(555, "5.5.4 Parameter not recognized")
TOO_BIG: Final = Reply(552, "5.3.4 Message too big")

BAD_LINES: Final[Mapping[BadLine, Reply]] = {
    BadLine.TOO_LONG: Reply(500, "5.5.2 Line too long"),
    BadLine.BARE: Reply(500, "5.5.2 Lines end with CR LF and hold no other CR, LF or NUL"),
}
BAD_MESSAGES: Final[Mapping[BadMessage, Reply]] = {
    BadMessage.BARE: Reply(550, "5.5.2 A CR, LF or NUL of its own in the message", close=True),
    BadMessage.TOO_BIG: TOO_BIG,
    BadMessage.LONG_LINE: Reply(552, "5.3.4 Line too long"),
    BadMessage.BIG_HEADER: Reply(552, "5.3.4 Header too big"),
    BadMessage.LOOP: Reply(554, "5.4.6 Mail loop: too many Received fields"),
}


@attrs.frozen
class Positive:
    """The positive replies: the provider's words, or with enhanced codes if those are announced."""

    ok: Reply
    bye: Reply
    tls: Reply
    unverified: Reply
    help: Reply

    @classmethod
    def make(cls, enhanced: bool) -> Positive:
        """Make the replies with or without enhanced codes (RFC 2034 wants them in all replies or in none)."""

        def reply(code: int, status: str, text: str) -> Reply:
            return Reply(code, f"{status} {text}" if enhanced else text)

        return cls(
            ok=reply(250, "2.0.0", "Ok"),
            bye=reply(221, "2.0.0", "Bye"),
            tls=reply(220, "2.0.0", "Ready to start TLS"),
            unverified=reply(252, "2.1.5", "Cannot verify, send to it and see"),
            help=reply(214, "2.0.0", "EHLO AUTH STARTTLS MAIL RCPT DATA STATUS RSET NOOP QUIT"),
        )

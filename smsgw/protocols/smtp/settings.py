"""What a submission service over ESMTP can be told, with the dialect `quicktel` as the default."""

from __future__ import annotations

from typing import Final

import attrs

QUICKTEL_EHLO: Final = ("SMTP Server", "8BITMIME", "STARTTLS", "AUTH LOGIN PLAIN", "Ok")
"""The five lines of the answer to EHLO in the dialect `quicktel` (000-3)."""

STANDARD_EHLO: Final = ("8BITMIME", "STARTTLS", "AUTH LOGIN PLAIN", "SIZE", "PIPELINING", "ENHANCEDSTATUSCODES")
"""What the dialect `standard` says behind its first line, which is the name of the host (RFC 5321, 4.1.1.1)."""

TLS_MODES: Final = ("none", "optional", "demanded", "implicit")


@attrs.frozen(kw_only=True)
class SubmissionSettings:
    """Manners, limits and timers of one listener. Sizes are octets, times are seconds.

    :ivar greeting: text behind the first 220 (000-2).
    :ivar ehlo: lines of the answer to EHLO, which also decide what is on offer. STARTTLS and AUTH are left out where
        they would be refused; a line ``SIZE`` is sent with the size of `message` and makes the parameter known,
        ``8BITMIME`` likewise BODY; ``ENHANCEDSTATUSCODES`` puts RFC 3463 codes into positive replies (refusals always
        carry them).
    :ivar plain_challenge: text behind the 334 of AUTH PLAIN without an initial response (000-5); empty in RFC 4954.
    :ivar auth_without_tls: whether AUTH is taken before TLS (000-14).
    :ivar tls: ``none``; ``optional``: STARTTLS is offered if there is a TLS context; ``demanded``: no AUTH
        and no mail before STARTTLS; ``implicit``: TLS from the first octet.
    :ivar command_line: longest command with its CRLF. RFC 5321, 4.5.3.1.4 asks for 512, to which the parameters of
        RFC 1870, RFC 6152 and RFC 4954 add 543.
    :ivar auth_line: longest AUTH command or response to a challenge (RFC 4954, section 4).
    :ivar data_line: longest line, or header field with its continuation lines, of a message.
    :ivar message: longest message as sent, without the final dot.
    :ivar header: longest header block.
    :ivar header_fields: most fields in the header.
    :ivar header_lines: most lines in the header, continuation lines included.
    :ivar hops: most Received fields: more of them are a mail loop.
    :ivar recipients: most RCPT commands looked at in one transaction.
    :ivar transactions: most transactions in one session.
    :ivar auth_tries: wrong credentials after which the session is closed.
    :ivar junk_before_login: commands without use, since the last useful one, that a stranger may send.
    :ivar junk_after_login: the same for a session that has authenticated.
    :ivar unauthenticated: connections at once that have not authenticated.
    :ivar strangers_per_source: as many of them from one address.
    :ivar backlog: octets of commands kept while an earlier command is not answered; reading pauses above it.
    :ivar command_time: from one reply to the end of the next command (RFC 5321, 4.5.3.2.7 wishes 300).
    :ivar data_time: from the 354 to the final dot.
    :ivar data_rate: octets per second that a message must have on average, once `data_grace` has passed.
    :ivar data_grace: seconds after the 354 during which a message may be slow.
    :ivar handshake_time: from the start of TLS to the end of its handshake.
    :ivar close_time: for the peer to take the last reply and, under TLS, to answer the shutdown.
    """

    greeting: str = "Message gateway"
    ehlo: tuple[str, ...] = attrs.field(default=QUICKTEL_EHLO, validator=attrs.validators.min_len(1))
    plain_challenge: str = "Ok"
    auth_without_tls: bool = True
    tls: str = attrs.field(default="optional", validator=attrs.validators.in_(TLS_MODES))
    command_line: int = 1055
    auth_line: int = 12_288
    data_line: int = 8_192
    message: int = 1_048_576
    header: int = 65_536
    header_fields: int = 200
    header_lines: int = 1_000
    hops: int = 20
    recipients: int = 100
    transactions: int = 10_000
    auth_tries: int = 3
    junk_before_login: int = 10
    junk_after_login: int = 20
    unauthenticated: int = 500
    strangers_per_source: int = 100
    backlog: int = 65_536
    command_time: float = 60.0
    data_time: float = 120.0
    data_rate: float = 500.0
    data_grace: float = 30.0
    handshake_time: float = 10.0
    close_time: float = 5.0

    def extensions(self) -> frozenset[str]:
        """The keywords that the answer to EHLO names."""
        return frozenset(line.split(" ")[0].upper() for line in self.ehlo[1:])

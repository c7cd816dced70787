"""The settings of a submission server: all keys of [listen NAME] with protocol = smtp."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from smsgw.config import fields, types
from smsgw.config.errors import Conflict
from smsgw.config.listeners.common import ClientListenSettings, ConnectionLimits
from smsgw.config.settings import WORD

_DOMAIN = types.text(253, r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
                     "a domain in small Latin letters")

EHLO: Final = (
    "{host}", "8BITMIME", "STARTTLS", "AUTH LOGIN PLAIN", "SIZE", "PIPELINING", "ENHANCEDSTATUSCODES"
)  # fmt: skip
"""The lines of the answer to EHLO unless a dialect has others (RFC 5321, 4.1.1.1)."""

_TLS_MODES: Final = ("none", "optional", "demanded", "implicit")


@attrs.frozen(kw_only=True, slots=False)
class SubmissionSettings(ConnectionLimits):
    """Texts, limits and timers of a submission service over ESMTP (RFC 6409). Sizes are octets, times are seconds.

    :ivar tls: ``optional``: STARTTLS is offered if there is a TLS context; ``demanded``: no AUTH and no mail before
        STARTTLS; ``implicit``: TLS from the first octet.
    :ivar auth_without_tls: whether AUTH is accepted before TLS.
    :ivar greeting: text after the first 220; ``{host}`` is replaced by the name of the server.
    :ivar ehlo: lines of the answer to EHLO, with ``{host}`` likewise; they also enable the extensions. STARTTLS and
        AUTH are omitted while they would be refused; a line ``SIZE`` is sent with `mail_limit` and enables the
        parameter SIZE, ``8BITMIME`` enables BODY; ``ENHANCEDSTATUSCODES`` puts RFC 3463 codes into positive replies
        (refusals always have them).
    :ivar plain_challenge: text after the 334 of AUTH PLAIN without an initial response; empty in RFC 4954.
    :ivar inactivity: from one reply to the end of the next command (RFC 5321, 4.5.3.2.7 recommends 300).
    :ivar data_time: from the 354 to the final dot.
    :ivar mail_limit: longest message as sent, without the final dot.
    :ivar recipients: most RCPT commands handled in one transaction.
    :ivar messages: most transactions in one session.
    :ivar command_line: longest command with its CRLF. RFC 5321, 4.5.3.1.4 asks for 512, to which the parameters of
        RFC 1870, RFC 6152 and RFC 4954 add 543.
    :ivar auth_line: longest AUTH command or response to a challenge (RFC 4954, section 4).
    :ivar data_line: longest line, or header field with its continuation lines, of a message.
    :ivar header: longest header block.
    :ivar header_fields: most fields in the header.
    :ivar header_lines: most lines in the header, continuation lines included.
    :ivar hops: most Received fields; a mail with more is taken for a loop.
    :ivar junk_before_login: useless commands in a row from a session that has not authenticated.
    :ivar junk_after_login: the same for a session that has authenticated.
    :ivar backlog: octets of commands kept while an earlier command is not answered; reading pauses above it.
    :ivar data_rate: octets per second that a message must have on average, once `data_grace` has passed.
    :ivar data_grace: seconds after the 354 during which a message may be slow.
    :ivar handshake_time: from the start of TLS to the end of its handshake.
    :ivar close_time: for the peer to take the last reply and, under TLS, to answer the shutdown.
    """

    tls: str = fields.choice("none, optional (STARTTLS), demanded (STARTTLS before AUTH) or implicit", _TLS_MODES,
                             "none")
    auth_without_tls: bool = fields.flag("allow passwords in clear text; empty: the dialect's (quicktel yes)", False)
    auth_tries: int = fields.integer("failed logins before the session is closed", 3, at_least=1)
    recipients: int = fields.integer("recipients of one message", 100, at_least=1, at_most=10_000)
    messages: int = fields.integer("messages in one session", 10_000, at_least=1)
    mail_limit: int = fields.octets("the longest mail", "128K", at_least=1024, at_most=64 << 20)
    inactivity: float = fields.duration("time for the next command", "1m", at_least=1)
    data_time: float = fields.duration("time for a whole mail to arrive after DATA", "2m", at_least=1)
    greeting: str = "{host} ESMTP"
    ehlo: tuple[str, ...] = attrs.field(default=EHLO, validator=attrs.validators.min_len(1))
    plain_challenge: str = ""
    command_line: int = 1055
    auth_line: int = 12_288
    data_line: int = 8_192
    header: int = 65_536
    header_fields: int = 200
    header_lines: int = 1_000
    hops: int = 20
    junk_before_login: int = 10
    junk_after_login: int = 20
    unauthenticated: int = 500
    unauthenticated_listed: int = 250
    unauthenticated_per_source: int = 100
    backlog: int = 65_536
    data_rate: float = 500.0
    data_grace: float = 30.0
    handshake_time: float = 10.0
    close_time: float = 5.0

    def __attrs_post_init__(self) -> None:
        """Raise ValueError for an unknown mode of TLS."""
        if self.tls not in _TLS_MODES:
            raise ValueError(f"tls = {self.tls} is not one of {', '.join(_TLS_MODES)}")

    def extensions(self) -> frozenset[str]:
        """The keywords in the answer to EHLO."""
        return frozenset(line.split(" ")[0].upper() for line in self.ehlo[1:])

    def mechanisms(self) -> list[str]:
        """The SASL mechanisms in the answer to EHLO."""
        lines = [line.upper().split() for line in self.ehlo[1:]]
        return [word for words in lines if words[:1] == ["AUTH"] for word in words[1:]]


@attrs.frozen(kw_only=True)
class SmtpListenSettings(SubmissionSettings, ClientListenSettings):
    """A listener for mail programs."""

    protocol: str = fields.declare(WORD, "smpp, smtp, http or admin", "smtp")
    domains: tuple[str, ...] = fields.texts("mail to NUMBER@ one of these goes to NUMBER", entry=_DOMAIN, at_least=1)
    full_stop: bool = fields.flag('end the positive reply with a full stop: "250 33 message accepted."', False)
    text_limit: int = fields.integer("the longest text in characters; empty: the dialect's (quicktel 480)", 480,
                                     at_least=1)

    def check(self) -> Iterator[Conflict]:
        """Yield also a listener over which no client can log in."""
        yield from super().check()
        if self.tls == "none" and not self.auth_without_tls:
            yield Conflict("auth_without_tls", "no client can log in: with tls = none it must be yes", ("tls",))

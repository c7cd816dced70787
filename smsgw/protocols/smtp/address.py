"""The arguments of MAIL and RCPT: a strict grammar of ``local@domain`` and of the parameters after it.

Narrower than RFC 5321: no source routes, no quoted strings, no address literals, no empty path and none of the
characters that once routed mail (``%``, ``!``). Wider in one point, because the provider's clients write numbers so
(000-16): a local part may hold parentheses, and a local part that is a telephone number may hold blanks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from smsgw.interfaces import Reply
from smsgw.protocols.smtp import replies

LONGEST: Final = 254
"""The most octets of an address: a path of 256 without its angle brackets (RFC 5321, 4.5.3.1.3)."""

_WORD = r"[A-Za-z0-9#$&'*+/=?^_`{|}~()-]+"
_NAME = rf"(?=.{{1,64}}@){_WORD}(?:\.{_WORD})*"
_PHONE = r"(?=[^0-9@]*[0-9])[0-9+() -]{1,64}"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SENDER = re.compile(rf"{_NAME}@{_LABEL}(?:\.{_LABEL})*")
_RECIPIENT = re.compile(rf"(?:{_NAME}|{_PHONE})@{_LABEL}(?:\.{_LABEL})*")
_FROM = re.compile(r"(?i:FROM): ?<([^<>]*)>(?: +([^ ].*))?")
_TO = re.compile(r"(?i:TO): ?<([^<>]*)>(?: +([^ ].*))?")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?")
_XTEXT = re.compile(r"<>|(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")
_SIZE = re.compile(r"[0-9]{1,20}")


class BadArgument(ValueError):
    """The argument is refused with `reply`."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


def mail_from(argument: str, extensions: frozenset[str], biggest: int) -> tuple[str, dict[str, str]]:
    """Parse the argument of MAIL: the sender, and parameters with upper-case keywords.

    :param extensions: announced EHLO keywords; ``8BITMIME``, ``SIZE`` and ``AUTH`` each allow a parameter.
    :param biggest: the largest declared SIZE in octets.
    :raises BadArgument: with the reply to send.
    """
    parts = _FROM.fullmatch(argument)
    if parts is None:
        raise BadArgument(replies.MAIL_SYNTAX)
    address, rest = parts.groups("")
    if len(address) > LONGEST or not _SENDER.fullmatch(address):
        raise BadArgument(replies.BAD_SENDER)
    parameters = _parameters(rest)
    for keyword, value in parameters.items():
        if _EXTENSION.get(keyword) not in extensions:
            raise BadArgument(replies.UNKNOWN_PARAMETER)
        if keyword == "BODY" and value.upper() not in ("7BIT", "8BITMIME"):
            raise BadArgument(replies.BAD_PARAMETER if value == "" else replies.UNKNOWN_PARAMETER)
        if keyword == "AUTH" and not _XTEXT.fullmatch(value):
            raise BadArgument(replies.BAD_PARAMETER)
        if keyword == "SIZE":
            if not _SIZE.fullmatch(value):
                raise BadArgument(replies.BAD_PARAMETER)
            if int(value) > biggest:
                raise BadArgument(replies.TOO_BIG)
    return address, parameters


_EXTENSION: Final[Mapping[str, str]] = {"BODY": "8BITMIME", "SIZE": "SIZE", "AUTH": "AUTH"}


def rcpt_to(argument: str) -> str:
    """Parse the argument of RCPT: the recipient, without parameters.

    :raises BadArgument: with the reply to send.
    """
    parts = _TO.fullmatch(argument)
    if parts is None:
        raise BadArgument(replies.RCPT_SYNTAX)
    address, rest = parts.groups("")
    if len(address) > LONGEST or not _RECIPIENT.fullmatch(address):
        raise BadArgument(replies.BAD_RECIPIENT)
    if _parameters(rest):
        raise BadArgument(replies.UNKNOWN_PARAMETER)
    return address


def _parameters(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for word in text.split():
        parts = _PARAMETER.fullmatch(word)
        if parts is None:
            raise BadArgument(replies.BAD_PARAMETER)
        keyword, value = parts.groups("")
        if keyword.upper() in parameters:
            raise BadArgument(replies.BAD_PARAMETER)
        parameters[keyword.upper()] = value
    return parameters

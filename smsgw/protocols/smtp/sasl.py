"""The SASL mechanisms PLAIN (RFC 4616) and LOGIN, server side, without I/O.

A mechanism is a generator: it yields the text of a challenge, receives the decoded response, and returns the
credentials. Challenges are sent as they are: that of PLAIN comes from the dialect, the prompts of LOGIN are already
base64.

CRAM-MD5 and its like are no mechanisms here: to verify their responses a server needs the password itself, and accounts
may have only a hash of theirs.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Generator, Mapping
from typing import Final

import attrs

LONGEST: Final = 255
"""The most octets of each of the three fields (RFC 4616)."""


class Malformed(ValueError):
    """The client's response is malformed."""


@attrs.frozen(repr=False)
class SaslCredentials:
    """Authorization identity (empty: the login itself), login and password. Never printed."""

    authorization: bytes
    login: bytes
    password: bytes


Exchange = Generator[str, bytes, SaslCredentials]


def plain(challenge: str) -> Exchange:
    """Exchange of one response: authorization NUL login NUL password, in UTF-8."""
    fields = (yield challenge).split(b"\0")
    if len(fields) != 3:
        raise Malformed("PLAIN takes three fields")
    return _credentials(*fields)


def login(_challenge: str) -> Exchange:
    """Exchange of two responses, to the prompts ``Username:`` and ``Password:`` in base64."""
    name = yield "VXNlcm5hbWU6"
    password = yield "UGFzc3dvcmQ6"
    return _credentials(b"", name, password)


MECHANISMS: Final[Mapping[str, Callable[[str], Exchange]]] = {"PLAIN": plain, "LOGIN": login}
"""The mechanisms; each starts an exchange, for the challenge of PLAIN."""


def exchange(mechanism: str, plain_challenge: str) -> Exchange | None:
    """Start the exchange of a mechanism (in upper case); None for an unknown one."""
    start = MECHANISMS.get(mechanism)
    return None if start is None else start(plain_challenge)


def decode(response: bytes) -> bytes:
    """Decode a response from strict base64.

    :raises Malformed: if it is anything else.
    """
    try:
        return binascii.a2b_base64(response, strict_mode=True)
    except binascii.Error as why:
        raise Malformed("not base64") from why


def _credentials(authorization: bytes, name: bytes, password: bytes) -> SaslCredentials:
    for field in (authorization, name, password):
        if len(field) > LONGEST or b"\0" in field:
            raise Malformed("a field is too long or holds NUL")
        try:
            field.decode()
        except UnicodeDecodeError:
            raise Malformed("a field is not UTF-8") from None
    return SaslCredentials(authorization, name, password)

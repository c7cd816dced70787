"""SASL mechanisms PLAIN (RFC 4616) and LOGIN, server side, without a stream.

A mechanism is a generator: it yields the text of a challenge, takes the decoded response, and returns the credentials.
Who drives it encodes nothing for PLAIN, whose challenge the dialect decides; the prompts of LOGIN are already base64.
"""

from __future__ import annotations

import binascii
from collections.abc import Generator
from typing import Final

import attrs

LONGEST: Final = 255
"""Octets that RFC 4616 allows for each of the three fields."""


class Malformed(ValueError):
    """The response cannot be read; whose fault it is cannot be in doubt."""


@attrs.frozen(repr=False)
class Credentials:
    """Whom the peer wants to act as (empty: itself), who it is, and how it proves that. Never printed."""

    authorization: bytes
    login: bytes
    password: bytes


Exchange = Generator[str, bytes, Credentials]


def plain(challenge: str) -> Exchange:
    """One response: authorization NUL login NUL password, in UTF-8."""
    fields = (yield challenge).split(b"\0")
    if len(fields) != 3:
        raise Malformed("PLAIN takes three fields")
    return _credentials(*fields)


def login() -> Exchange:
    """Two responses, prompted in base64 with ``Username:`` and ``Password:``."""
    name = yield "VXNlcm5hbWU6"
    password = yield "UGFzc3dvcmQ6"
    return _credentials(b"", name, password)


def exchange(mechanism: str, plain_challenge: str) -> Exchange | None:
    """Begin the exchange of a mechanism (in upper case); None: it is not known."""
    if mechanism == "PLAIN":
        return plain(plain_challenge)
    return login() if mechanism == "LOGIN" else None


def decode(response: bytes) -> bytes:
    """The octets of a response in strict base64.

    :raises Malformed: when it is anything else.
    """
    try:
        return binascii.a2b_base64(response, strict_mode=True)
    except binascii.Error as why:
        raise Malformed("not base64") from why


def _credentials(authorization: bytes, name: bytes, password: bytes) -> Credentials:
    for field in (authorization, name, password):
        if len(field) > LONGEST or b"\0" in field:
            raise Malformed("a field is too long or holds NUL")
        try:
            field.decode()
        except UnicodeDecodeError:
            raise Malformed("a field is not UTF-8") from None
    return Credentials(authorization, name, password)

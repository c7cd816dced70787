"""Basic credentials (RFC 7617) of the Authorization header."""

from __future__ import annotations

import binascii
import re
from typing import Final

import attrs

_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


@attrs.frozen(repr=False)
class Credentials:
    """The login and password of a client, both UTF-8. An empty login means that the password is an API key."""

    login: bytes
    password: bytes


def read_basic(header: bytes) -> Credentials | None:
    """Return the credentials of an Authorization header; None if its scheme is different or it is malformed.

    All malformed headers give the same result, so that a client cannot learn from the response what was wrong.
    """
    scheme, _, token = header.partition(b" ")
    token = token.strip(b" ")
    if scheme.lower() != b"basic" or not _BASE64.fullmatch(token):
        return None
    octets = binascii.a2b_base64(token)
    try:
        octets.decode()
    except UnicodeDecodeError:
        return None
    login, colon, password = octets.partition(b":")
    if not colon or _CONTROL.search(octets):
        return None
    return Credentials(login, password)

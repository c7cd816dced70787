"""Basic credentials (RFC 7617), as a header carries them."""

from __future__ import annotations

import binascii
import re
from typing import Final

import attrs

_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


@attrs.frozen(repr=False)
class Credentials:
    """Who somebody says he is, and how he proves it; both UTF-8. An empty login means an API key. Never printed."""

    login: bytes
    password: bytes


def read_basic(header: bytes) -> Credentials | None:
    """The credentials in the value of an Authorization header, or None: it is of another scheme or cannot be read.

    Every form that cannot be read is the same None, so that whoever probes learns nothing from the answer.
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

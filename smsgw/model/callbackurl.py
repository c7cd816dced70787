"""Addresses of callbacks: what may be called, and where it is."""

from __future__ import annotations

import re
from typing import Final

_ADDRESS: Final = re.compile(
    r"https?://(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?(?:[/?#][!-\[\]-~]*)?"
)


def host_of(url: str) -> str:
    """The host of an http or https address, in lower case; an IPv6 address without its brackets.

    :raises ValueError: saying what is wrong with it.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise ValueError("an address is http:// or https://, a host without user or password, perhaps port and path")
    if found["port"] is not None and not 0 < int(found["port"]) < 65_536:
        raise ValueError("a port is a number from 1 to 65535")
    return (found["six"] or found["name"]).lower()

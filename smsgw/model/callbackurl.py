"""Parsing of callback addresses. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

import attrs

_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
    r"""(?:[/?][!"$-\[\]-~]*)?"""
)

_PORTS: Final = {"http": 80, "https": 443}


@attrs.frozen
class Place:
    """The origin of an address: scheme, host in lower case (an IPv6 address without its brackets), port."""

    scheme: str
    host: str
    port: int


def place_of(url: str) -> Place:
    """Parse the scheme, host and port of an http or https address.

    :raises ValueError: the address has other elements than scheme, host, port, path and query, or is not ASCII.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise ValueError(
            "an address is http:// or https://, a host without user or password, perhaps port and path; no fragment"
        )
    if found["six"] is not None:
        IPv6Address(found["six"])
    scheme = found["scheme"]
    port = int(found["port"]) if found["port"] is not None else _PORTS[scheme]
    if not 0 < port < 65_536:
        raise ValueError("a port is a number from 1 to 65535")
    return Place(scheme, (found["six"] or found["name"]).lower(), port)


def host_of(url: str) -> str:
    """Return the host of an http or https address, in lower case; an IPv6 address without its brackets.

    :raises ValueError: as :func:`place_of`.
    """
    return place_of(url).host


def origin_of(url: str) -> str:
    """Return scheme, host and port as text, for logs and keys: path and query may hold secrets.

    :raises ValueError: as :func:`place_of`.
    """
    place = place_of(url)
    return f"{place.scheme}://{place.host}:{place.port}"

"""Which IP addresses are public: a client must not direct requests of the gateway to its private networks. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_REFUSED: Final = tuple(
    ip_network(written)
    for written in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers; also where clouds keep their metadata
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)

_PUBLIC_6: Final = IPv6Network("2000::/3")
_REFUSED_6: Final = tuple(
    IPv6Network(written)
    for written in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID and others
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside, by a tunnel
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")


def why_not_public(address: str) -> str:
    """Return why an IP address is not public, so that the gateway must not connect to it for a client; empty if it is.

    Only global unicast addresses are public. An IPv4-mapped address counts as its IPv4 address; other addresses that
    contain one (NAT64, 6to4, Teredo) and addresses with an IPv6 zone are refused.
    """
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return "not an IP address"
    if isinstance(ip, IPv6Address):
        if ip.scope_id is not None:
            return "an address of one network"
        if ip in _MAPPED and ip.ipv4_mapped is not None:
            return why_not_public(str(ip.ipv4_mapped))
        if ip not in _PUBLIC_6 or any(ip in network for network in _REFUSED_6):
            return "not a public address"
        return ""
    return "not a public address" if any(ip in network for network in _REFUSED) else ""

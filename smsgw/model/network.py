"""The network that an address is counted for."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address


@lru_cache(maxsize=4096)
def network_of(peer: str) -> str:
    """Return the network for which clients at `peer` are counted together: an IPv4 address, or 64 bits of an IPv6
    address, of which one client usually has all. A peer without an IP address stands for itself."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or f"{IPv6Address(int(address) >> 64 << 64)}/64")
    return str(address)

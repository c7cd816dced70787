"""Types of configured values."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

import attrs

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


class Secret:
    """A password or key; its representation in logs and tracebacks hides the text. Two are equal if their texts are."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text, to compare it or to send it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(...)"


@attrs.frozen
class AllowList:
    """The networks from which an account may log in. Empty allows no address; `everyone` allows all."""

    networks: tuple[Network, ...] = ()
    everyone: bool = False

    def allows(self, host: str) -> bool:
        """Whether a client with this numeric address may log in; an IPv4-mapped IPv6 address counts as IPv4.

        A client without an IP address (at a UNIX socket) may log in only if `everyone` is true.
        """
        if self.everyone:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(address in network or mapped in network for network in self.networks)


class NetworkSet:
    """Many networks, searched in a time that does not grow with their number."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._by_size: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            shift = network.max_prefixlen - network.prefixlen
            self._by_size.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)

    def __contains__(self, host: str) -> bool:
        """Whether one of the networks has this numeric address; an IPv4-mapped IPv6 address counts as IPv4."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        forms = {address, getattr(address, "ipv4_mapped", None) or address}
        return any(
            int(form) >> shift in some
            for form in forms
            for (version, shift), some in self._by_size.items()
            if version == form.version
        )


def folded_network(text: str) -> Network:
    """Parse an address or network; an IPv4-mapped IPv6 one becomes IPv4.

    :raises ValueError: if it is neither."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((int(mapped or 0), network.prefixlen - _MAPPED.prefixlen))
    return network


def _one_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    words = {"*": ".*", "?": "."}
    return re.compile(
        "|".join("".join(words.get(char) or re.escape(char) for char in pattern) for pattern in patterns),
        re.IGNORECASE | re.DOTALL,
    )


@attrs.frozen
class Globs:
    """Patterns of which one must match the whole text, case ignored: `*` is any number of characters, `?` is one.

    All other characters are literal. Without patterns the object is false and matches no text.
    """

    patterns: tuple[str, ...] = ()
    _regex: re.Pattern[str] = attrs.field(
        init=False, eq=False, repr=False, default=attrs.Factory(lambda self: _one_of(self.patterns), takes_self=True)
    )

    def matches(self, text: str) -> bool:
        """Whether one of the patterns matches."""
        return bool(self.patterns) and self._regex.fullmatch(text) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.patterns)

    def __bool__(self) -> bool:
        return bool(self.patterns)


@attrs.frozen
class Way:
    """A connector of a route. Connectors with a weight share the messages; those with weight 0 are tried after them."""

    connector: str
    weight: int = 0

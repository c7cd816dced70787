"""The types of configured values that plain Python has no word for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

import attrs

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


class Secret:
    """A password or key that no log, traceback or representation shows. Two are equal when their texts are."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself, for the one place that compares or sends it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(...)"


@attrs.frozen
class AllowList:
    """The networks that an account may come from. Empty allows nobody; `everyone` allows all."""

    networks: tuple[Network, ...] = ()
    everyone: bool = False

    def allows(self, host: str) -> bool:
        """Tell whether a peer with this numeric address may enter; IPv4 written inside IPv6 counts as IPv4.

        Anything that is not an address (a UNIX socket's path) enters only where everyone does.
        """
        if self.everyone:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(address in network or mapped in network for network in self.networks)


def folded_network(text: str) -> Network:
    """Read an address or network; one of IPv4 written inside IPv6 becomes IPv4. ValueError when it is neither."""
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
    """Patterns of which one must fit the whole text, case ignored: `*` is any run of characters, `?` is any one.

    Every other character is itself. No pattern at all fits nothing and is false.
    """

    patterns: tuple[str, ...] = ()
    _regex: re.Pattern[str] = attrs.field(
        init=False, eq=False, repr=False, default=attrs.Factory(lambda self: _one_of(self.patterns), takes_self=True)
    )

    def matches(self, text: str) -> bool:
        """Tell whether one of the patterns fits."""
        return bool(self.patterns) and self._regex.fullmatch(text) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.patterns)

    def __bool__(self) -> bool:
        return bool(self.patterns)


@attrs.frozen
class Way:
    """A connector that a route may use. Those with a weight share the messages; weight 0 is tried only after them."""

    connector: str
    weight: int = 0

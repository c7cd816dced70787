"""Checks the endpoint strings of listeners, and finds out which machines can connect. It does not import Twisted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

import attrs

from smsgw.config.errors import InvalidValue
from smsgw.config.types import Kind

_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "interface", "backlog"),
    "unix": ("address", "mode", "lockfile", "backlog"),
    "systemd": ("domain", "index", "name"),
}
_HIGHEST_PORT = 65535
_ALLOWED = "tcp:PORT:interface=ADDRESS, tcp6:PORT, unix:PATH or systemd:domain=INET:index=0"
_DIGITS = re.compile(r"[0-9]{1,9}")
_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "backlog": (_DIGITS, "a whole number"),
    "index": (_DIGITS, "a whole number"),
    "lockfile": (re.compile(r"[01]"), "0 or 1"),
    "mode": (re.compile(r"[0-7]{3,4}"), "an octal mode such as 660"),
}


@attrs.frozen
class Listening:
    """A parsed endpoint string: its first word, and its arguments by name; the first is named port or address."""

    scheme: str
    arguments: Mapping[str, str]

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect; False for a socket of systemd, whose address is not known here."""
        if self.scheme == "unix":
            return True
        interface = self.arguments.get("interface", "")
        return interface == "localhost" or (bool(interface) and ipaddress.ip_address(interface).is_loopback)

    def clashes(self, other: Listening) -> bool:
        """Whether the two endpoints need the same port or address, so that only one of them can listen."""
        if self.scheme == other.scheme == "unix":
            return self.arguments["address"] == other.arguments["address"]
        if not self.scheme.startswith("tcp"):
            return self == other
        ports = (self.arguments["port"], other.arguments.get("port", ""))
        if not other.scheme.startswith("tcp") or int(ports[0]) != int(ports[1]) or int(ports[0]) == 0:
            return False
        mine, others = self._interface(), other._interface()
        return mine.version == others.version and (mine == others or mine.is_unspecified or others.is_unspecified)

    def _interface(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        everywhere, here = ("::", "::1") if self.scheme == "tcp6" else ("0.0.0.0", "127.0.0.1")  # noqa: S104
        interface = self.arguments.get("interface") or everywhere
        return ipaddress.ip_address(here if interface == "localhost" else interface)


def take_apart(text: str) -> Listening:
    """Parse an endpoint string as Twisted does: colons separate, a backslash escapes the next character.

    `ssl:` is refused because the key `tls` does that, `haproxy:` because any client could then claim any address.

    :raises InvalidValue: for a scheme, an argument or a port that is not allowed.
    """
    (no_name, scheme), *rest = _cut(text)
    names = _ARGUMENTS.get(scheme)
    if names is None or no_name is not None:
        raise InvalidValue(f'"{text}" is not an endpoint to listen on; allowed: {_ALLOWED}')
    arguments: dict[str, str] = {}
    for index, (name, value) in enumerate(rest):
        known = names[0] if name is None and index == 0 and scheme != "systemd" else name
        if known not in names or known in arguments:
            raise InvalidValue(f'"{text}": unknown or repeated argument "{name or value}"; allowed: {_ALLOWED}')
        arguments[known] = value
    listening = Listening(scheme, arguments)
    _check(text, listening)
    return listening


def _cut(text: str) -> list[tuple[str | None, str]]:
    """Split at the colons; each piece is its name (None without an equals sign) and its value."""
    pieces: list[tuple[str | None, str]] = [(None, "")]
    escaped = False
    for char in text:
        name, value = pieces[-1]
        if escaped or char not in "\\:=" or (char == "=" and name is not None):
            pieces[-1] = name, value + char
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ":":
            pieces.append((None, ""))
        else:
            pieces[-1] = value, ""
    if escaped:
        raise InvalidValue(f'"{text}" ends with a backslash that escapes nothing')
    return pieces


def _check(text: str, listening: Listening) -> None:
    arguments = listening.arguments
    for name, (form, words) in _FORMS.items():
        if name in arguments and not form.fullmatch(arguments[name]):
            raise InvalidValue(f'"{text}": {name} "{arguments[name]}" is not {words}')
    if listening.scheme == "systemd":
        if not arguments.get("domain") or ("index" in arguments) == ("name" in arguments):
            raise InvalidValue(f'"{text}" needs domain= and either index= or name=, as in systemd:domain=INET:index=0')
        return
    if listening.scheme == "unix":
        if not arguments.get("address"):
            raise InvalidValue(f'"{text}" names no path; allowed: {_ALLOWED}')
        return
    port = arguments.get("port", "")
    if not _DIGITS.fullmatch(port) or int(port) > _HIGHEST_PORT:
        raise InvalidValue(f'"{text}": "{port}" is not a port; allowed: 0 to {_HIGHEST_PORT}')
    interface = arguments.get("interface", "")
    if interface not in ("", "localhost"):
        try:
            version = ipaddress.ip_address(interface).version
        except ValueError:
            raise InvalidValue(
                f'"{text}": interface "{interface}" is not an address (colons in it are written \\:)'
            ) from None
        if listening.scheme == "tcp6" and version == 4:
            raise InvalidValue(f'"{text}": interface "{interface}" is not an IPv6 address')


def _read(text: str) -> str:
    take_apart(text)
    return text


ENDPOINT = Kind(f"an endpoint to listen on: {_ALLOWED}", _read, str, "tcp:0:interface=127.0.0.1")
"""An endpoint string for Twisted's serverFromString, of the schemes that are allowed here."""

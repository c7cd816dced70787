"""The addresses of a configuration's listeners, as reached from this machine."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Final

import attrs

from smsgw.cli.console import CONFIGURATION, UNREACHABLE, Stop
from smsgw.config import ConfigErrors, ListenSettings, Settings
from smsgw.config.endpoint import take_apart
from smsgw.program import configfile

CONNECT: Final = 5.0
"""Seconds that a connection attempt may take."""


@attrs.frozen
class ListenerAddress:
    """The address of a listener.

    :ivar host: IP address, or the path of a UNIX socket. :ivar port: TCP port; 0 for a UNIX socket.
    :ivar listener: the listener's name in the configuration. :ivar config: the configuration file.
    """

    host: str
    port: int
    listener: str
    config: str

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connect(self, seconds: float) -> socket.socket:
        """Connect; each call on the socket takes at most `seconds`.

        :raises Stop: if the connection fails.
        """
        family = socket.AF_UNIX if not self.port else socket.AF_INET6 if ":" in self.host else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT)
            connection.connect((self.host, self.port) if self.port else self.host)
            connection.settimeout(seconds)
        except OSError as error:
            connection.close()
            raise self.unreachable(error.strerror or "no answer") from None
        return connection

    def unreachable(self, why: str) -> Stop:
        """Return the error that the gateway does not answer, with advice."""
        return Stop(
            UNREACHABLE,
            f"nothing answers at {self} ({why}), where {self.config} has [listen {self.listener}].\n"
            f"Is the gateway running? It is started with: twistd -n --pidfile= smsgw -c {self.config}",
        )


def read_settings(config: str) -> Settings:
    """Read the configuration of the gateway that a command connects to.

    :raises Stop: with every mistake of the file, if there is one.
    """
    try:
        return configfile.read(Path(config))
    except ConfigErrors as errors:
        raise Stop(CONFIGURATION, f"{errors}\n(-c names another file)") from None


def address_of(listener: ListenSettings, config: str) -> ListenerAddress:
    """Return the address of `listener`.

    :raises Stop: if the configuration leaves the port to the system.
    """
    listening = take_apart(listener.endpoint)
    if listening.scheme == "unix":
        return ListenerAddress(listening.arguments["address"], 0, listener.name, config)
    port = int(listening.arguments.get("port", "0"))
    if not port:
        raise Stop(
            CONFIGURATION,
            f"{config}: [listen {listener.name}] endpoint = {listener.endpoint}: only the running gateway knows its "
            "port; set a fixed one",
        )
    loopback = "::1" if listening.scheme == "tcp6" else "127.0.0.1"
    interface = listening.arguments.get("interface") or loopback
    if interface == "localhost" or ipaddress.ip_address(interface).is_unspecified:
        interface = loopback
    return ListenerAddress(interface, port, listener.name, config)

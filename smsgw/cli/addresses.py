"""Where the listeners of a configuration can be reached from this machine."""

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
"""Seconds that connecting on this machine may take."""


@attrs.frozen
class Place:
    """An address to connect to.

    :ivar host: IP address, or the path of a socket in the file system. :ivar port: 0 for the latter.
    :ivar listener: free name of the listener that is expected there. :ivar config: the file that says so.
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
        """A connection whose calls take at most `seconds`.

        :raises Stop: when nobody listens there.
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
        """Say that the gateway is not there, and what to do."""
        return Stop(
            UNREACHABLE,
            f"nothing answers at {self} ({why}), where {self.config} has [listen {self.listener}].\n"
            f"Is the gateway running? It is started with: twistd -n --pidfile= smsgw -c {self.config}",
        )


def read_settings(config: str) -> Settings:
    """The configuration of the gateway that a command is to talk to.

    :raises Stop: with every mistake of the file.
    """
    try:
        return configfile.read(Path(config))
    except ConfigErrors as errors:
        raise Stop(CONFIGURATION, f"{errors}\n(-c names another file)") from None


def place_of(listener: ListenSettings, config: str) -> Place:
    """Where `listener` is reached.

    :raises Stop: when the configuration does not say.
    """
    listening = take_apart(listener.endpoint)
    if listening.scheme == "unix":
        return Place(listening.arguments["address"], 0, listener.name, config)
    port = int(listening.arguments.get("port", "0"))
    if not port:
        raise Stop(
            CONFIGURATION,
            f"{config}: [listen {listener.name}] endpoint = {listener.endpoint}: only the running gateway knows that "
            "address; give it a port of its own",
        )
    loopback = "::1" if listening.scheme == "tcp6" else "127.0.0.1"
    interface = listening.arguments.get("interface") or loopback
    if interface == "localhost" or ipaddress.ip_address(interface).is_unspecified:
        interface = loopback
    return Place(interface, port, listener.name, config)

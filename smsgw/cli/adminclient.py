"""Client of the running gateway's admin listener."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import pwd
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import attrs

from smsgw.cli.addresses import ListenerAddress, address_of, read_settings
from smsgw.cli.console import CONFIGURATION, REFUSED, UNREACHABLE, Stop, printable
from smsgw.config import AdminListenSettings

Fact = Mapping[str, Any]
"""A JSON object in a response."""

PATIENCE: Final = 30.0
"""Seconds that a response may take."""


@attrs.frozen
class AdminClient:
    """The admin listener of one gateway; each request opens a connection."""

    address: ListenerAddress

    def ask(
        self, method: str, path: str, body: object = None, patience: float = PATIENCE
    ) -> tuple[int, dict[str, Any]]:
        """Send a request, with `body` as JSON; return the status and the value of the response.

        :param patience: seconds that the response may take.
        :raises Stop: if there is no response, or the gateway is temporarily unable to give one.
        """
        status, value = self.exchange(method, path, body, patience)
        if status >= 500:
            why = value.get("why") or value.get("reason") or "no reason given"
            raise Stop(UNREACHABLE, f"the gateway cannot answer at present: {why}")
        return status, value

    def exchange(
        self, method: str, path: str, body: object = None, patience: float = PATIENCE
    ) -> tuple[int, dict[str, Any]]:
        """The same as :meth:`ask`, for requests whose response of 5xx is an ordinary one.

        :raises Stop: if there is no response.
        """
        connection = http.client.HTTPConnection("localhost", timeout=patience)
        connection.sock = self.address.connect(patience)
        try:
            octets = None if body is None else json.dumps(body).encode("ascii")
            connection.request(method, path, octets, {"Connection": "close", "X-Smsgw-User": _user()})
            answer = connection.getresponse()
            status, octets = answer.status, answer.read()
        except TimeoutError:
            raise self.address.unreachable(f"no answer within {patience:g} s") from None
        except (OSError, http.client.HTTPException):
            raise self._another_server() from None
        finally:
            connection.close()
        try:
            value = json.loads(octets)
        except ValueError:
            raise self._another_server() from None
        if not isinstance(value, dict):
            raise self._another_server()
        return status, value

    def _another_server(self) -> Stop:
        address = self.address
        return Stop(
            UNREACHABLE,
            f"the server at {address}, where {address.config} has [listen {address.listener}], is not the gateway",
        )


def _user() -> str:
    """Who runs the command, for the gateway's log; with sudo, who ran that."""
    try:
        own = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        own = f"uid {os.getuid()}"
    behind = os.environ.get("SUDO_USER", own)
    name = own if behind == own else f"{behind} as {own}"
    return name.encode("ascii", "replace").decode("ascii")[:64]


def admin_of(config: str) -> AdminClient:
    """Return the client for the admin listener of a configuration.

    :raises Stop: if it has no admin listener.
    """
    for listener in read_settings(config).listeners.values():
        if isinstance(listener, AdminListenSettings):
            return AdminClient(address_of(listener, config))
    raise Stop(
        CONFIGURATION,
        f"{config} has no listener with protocol = admin, which this command needs; add\n"
        "[listen admin]\nprotocol = admin\nendpoint = tcp:8081:interface=127.0.0.1",
    )


def fetch(options: argparse.Namespace, path: str) -> dict[str, Any]:
    """Return the gateway's response to a GET; with ``--json`` print it unchanged.

    :raises Stop: if the gateway refuses.
    """
    status, value = admin_of(options.config).ask("GET", path)
    require_success(status, value, options)
    if options.json:
        print(json.dumps(value, indent=2, sort_keys=True))
    return value


def require_success(status: int, value: Fact, options: argparse.Namespace) -> None:
    """Check that a response is positive.

    :raises Stop: with the reason of a refusal.
    """
    if status == 200:
        return
    if status == 404 and "id" in options:
        raise Stop(REFUSED, f"there is no message or batch {options.id} (any more)")
    raise Stop(REFUSED, f"the gateway refuses: {printable(str(value.get('why') or value.get('reason')))}")


def with_query(path: str, **given: object) -> str:
    """Append the given values to a path as its query."""
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{path}?{query}" if query else path

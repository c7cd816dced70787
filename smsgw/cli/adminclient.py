"""Asks the admin listener of the running gateway."""

from __future__ import annotations

import argparse
import http.client
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import attrs

from smsgw.cli.addresses import Place, place_of, read_settings
from smsgw.cli.console import CONFIGURATION, REFUSED, UNREACHABLE, Stop, printable
from smsgw.config import AdminListenSettings

Fact = Mapping[str, Any]
"""A JSON object of an answer."""

PATIENCE: Final = 30.0
"""Seconds that an answer may take."""


@attrs.frozen
class AdminClient:
    """One gateway; each question is a connection of its own."""

    place: Place

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Status and value of the answer; a `body` goes as JSON.

        :raises Stop: when there is none, or the gateway cannot give one now.
        """
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        connection.sock = self.place.connect(PATIENCE)
        try:
            octets = None if body is None else json.dumps(body).encode("ascii")
            connection.request(method, path, octets, {"Connection": "close"})
            answer = connection.getresponse()
            status, octets = answer.status, answer.read()
        except TimeoutError:
            raise self.place.unreachable(f"no answer within {PATIENCE:g} s") from None
        except (OSError, http.client.HTTPException):
            raise self._stranger() from None
        finally:
            connection.close()
        try:
            value = json.loads(octets)
        except ValueError:
            raise self._stranger() from None
        if not isinstance(value, dict):
            raise self._stranger()
        if status >= 500:
            why = value.get("why") or value.get("reason") or "no reason given"
            raise Stop(UNREACHABLE, f"the gateway cannot answer at present: {why}")
        return status, value

    def _stranger(self) -> Stop:
        place = self.place
        return Stop(
            UNREACHABLE,
            f"what answers at {place}, where {place.config} has [listen {place.listener}], is not the gateway",
        )


def admin_of(config: str) -> AdminClient:
    """The admin listener that a configuration has.

    :raises Stop: when it has none.
    """
    for listener in read_settings(config).listeners.values():
        if isinstance(listener, AdminListenSettings):
            return AdminClient(place_of(listener, config))
    raise Stop(
        CONFIGURATION,
        f"{config} has no listener with protocol = admin, over which this command would ask the gateway; add\n"
        "[listen admin]\nprotocol = admin\nendpoint = tcp:8081:interface=127.0.0.1",
    )


def asked(options: argparse.Namespace, path: str) -> dict[str, Any]:
    """What the gateway answers; printed as it is if that is wanted.

    :raises Stop: when it refuses.
    """
    status, value = admin_of(options.config).ask("GET", path)
    good(status, value, options)
    if options.json:
        print(json.dumps(value, indent=2, sort_keys=True))
    return value


def good(status: int, value: Fact, options: argparse.Namespace) -> None:
    """Go on only after a good answer.

    :raises Stop: with the reason of a bad one.
    """
    if status == 200:
        return
    if status == 404 and "id" in options:
        raise Stop(REFUSED, f"there is no message or batch {options.id} (any more)")
    raise Stop(REFUSED, f"the gateway refuses: {printable(str(value.get('why') or value.get('reason')))}")


def with_query(path: str, **given: object) -> str:
    """A path with those of the values that are given."""
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{path}?{query}" if query else path

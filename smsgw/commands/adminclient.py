"""Asks the admin listener of the running gateway."""

from __future__ import annotations

import http.client
import json
from typing import Any, Final

import attrs

from smsgw.commands.console import CONFIGURATION, UNREACHABLE, Stop
from smsgw.commands.places import Place, place_of, read_settings
from smsgw.config import AdminListenSettings

PATIENCE: Final = 30.0
"""Seconds that an answer may take."""


@attrs.frozen
class AdminClient:
    """One gateway; each question is a connection of its own."""

    place: Place

    def ask(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        """Status and value of the answer.

        :raises Stop: when there is none, or the gateway cannot give one now.
        """
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        connection.sock = self.place.connect(PATIENCE)
        try:
            connection.request(method, path, headers={"Connection": "close"})
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

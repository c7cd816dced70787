"""The content of /health, and the rules by which the gateway is called healthy. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Fact = Mapping[str, Any]


def report(state: str, connectors: Mapping[str, Fact]) -> dict[str, Any]:
    """Return the content of /health, except what the store answers.

    A gateway that runs is ``degraded`` while anything is among its ``problems``.

    :param state: of the program. :param connectors: :meth:`smsgw.services.dispatch.Dispatch.health`.
    """
    problems = list(_problems(connectors))
    if state == "running" and problems:
        state = "degraded"
    return {"state": state, "problems": problems, "connectors": connectors}


def _problems(connectors: Mapping[str, Fact]) -> Iterator[str]:
    for name, connector in connectors.items():
        if connector["paused"]:
            yield f"connector {name} is paused"
        if not connector["up"]:
            yield f"connector {name} is down"

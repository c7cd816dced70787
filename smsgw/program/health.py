"""The content of /health, and the rules by which the gateway is called healthy. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Fact = Mapping[str, Any]


def report(state: str, connectors: Mapping[str, Fact], watch: Fact, overloads: Sequence[Fact] = ()) -> dict[str, Any]:
    """Return the content of /health, except what the store answers.

    A gateway that runs is ``degraded`` while anything is among its ``problems``.

    :param state: of the program. :param connectors: :meth:`smsgw.services.dispatch.Dispatch.health`.
    :param watch: :meth:`smsgw.services.watch.Watch.health`.
    :param overloads: :meth:`smsgw.protocols.overload.Overloads.current`. They are no problem of the gateway: what
        clients do must not make it look ill.
    """
    problems = [*_of_machine(watch), *_of_connectors(connectors)]
    if state == "running" and problems:
        state = "degraded"
    return {"state": state, "problems": problems, "connectors": connectors, "overloads": list(overloads), **watch}


def _of_machine(watch: Fact) -> Iterator[str]:
    if watch["disk"] == "short":
        yield "the disk is nearly full: new messages are refused"
    if watch["clock"] == "jumped":
        yield f"the wall clock jumped by {watch['clock_jump_seconds']:+.0f} s"
    if watch["log"] == "damaged":
        yield "the log of the database was damaged at the start: commits are lost"


def _of_connectors(connectors: Mapping[str, Fact]) -> Iterator[str]:
    for name, connector in connectors.items():
        if connector["paused"]:
            yield f"connector {name} is paused"
        if not connector["up"]:
            yield f"connector {name} is down"
        for call, exception in connector["failing"].items():
            yield f"connector {name} is broken: {call} raises {exception}"

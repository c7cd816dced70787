"""The content of /health, and the rules by which the gateway is called healthy. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Fact = Mapping[str, Any]

SOON: Final = 14
"""Days before its end from which on a certificate is a problem."""

_RELOADS: Final = {"refused": "refused", "partly": "taken only in part"}


def report(state: str, connectors: Mapping[str, Fact], facts: Fact, overloads: Sequence[Fact] = ()) -> dict[str, Any]:
    """Return the content of /health, except what the store answers.

    A gateway that runs is ``degraded`` while anything is among its ``problems``.

    :param state: of the program. :param connectors: :meth:`smsgw.services.dispatch.Dispatch.health`.
    :param facts: :meth:`smsgw.services.watch.Watch.health`, the messages ``without_connector``, the ``certificates`` of
        listeners, and the result of the last ``reload``.
    :param overloads: :meth:`smsgw.protocols.overload.Overloads.current`. They are no problem of the gateway: what
        clients do must not make it look ill.
    """
    problems = [*_of_machine(facts), *_of_configuration(facts), *_of_connectors(connectors)]
    if state == "running" and problems:
        state = "degraded"
    return {"state": state, "problems": problems, "connectors": connectors, "overloads": list(overloads), **facts}


def _of_machine(facts: Fact) -> Iterator[str]:
    if facts["disk"] == "short":
        yield "the disk is nearly full: new messages are refused"
    if facts["clock"] == "jumped":
        yield f"the wall clock jumped by {facts['clock_jump_seconds']:+.0f} s"
    if facts["log"] == "damaged":
        yield "the log of the database was damaged or lost before the start: commits are lost"


def _of_configuration(facts: Fact) -> Iterator[str]:
    if facts["reload"] in ("refused", "partly"):
        yield f"the last reload of the configuration was {_RELOADS[facts['reload']]}"
    for listener, certificate in facts["certificates"].items():
        if certificate["days"] < SOON:
            yield f"the certificate of listener {listener} expires at {certificate['expires']}"
    for name, messages in facts["without_connector"].items():
        wait = "1 message waits" if messages == 1 else f"{messages} messages wait"
        yield f"{wait} for connector {name}, which is not configured"


def _of_connectors(connectors: Mapping[str, Fact]) -> Iterator[str]:
    for name, connector in connectors.items():
        if connector["paused"]:
            yield f"connector {name} is paused"
        if not connector["up"]:
            yield f"connector {name} is down"
        for call, exception in connector["failing"].items():
            yield f"connector {name} is broken: {call} raises {exception}"

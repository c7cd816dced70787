"""``health``: whether the running gateway is healthy, for people and for the health checks of containers."""

from __future__ import annotations

import argparse

from smsgw.cli.adminclient import Fact, admin_of
from smsgw.cli.console import DONE, REFUSED, printable


def health(options: argparse.Namespace) -> int:
    """Print the state of the gateway, its store and its connectors, and what does not work."""
    status, value = admin_of(options.config).exchange("GET", "/health")
    print(f"gateway {value.get('state')}")
    print(f"store {value.get('store')}")
    for name, connector in sorted(value.get("connectors", {}).items()):
        print(f"connector {name} {_condition(connector)}")
    for problem in value.get("problems", ()):
        print(f"problem: {printable(problem)}")
    return DONE if status == 200 else REFUSED


def _condition(connector: Fact) -> str:
    link = "up" if connector.get("up") else "down"
    if not connector.get("paused"):
        return link
    return "paused" if link == "up" else f"paused, {link}"

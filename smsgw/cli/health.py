"""``health``: whether the running gateway is healthy, for people and for the health checks of containers."""

from __future__ import annotations

import argparse

from smsgw.cli.adminclient import admin_of
from smsgw.cli.console import DONE, REFUSED


def health(options: argparse.Namespace) -> int:
    """Print the state of the gateway, its store and its connectors."""
    status, value = admin_of(options.config).exchange("GET", "/health")
    print(f"gateway {value.get('state')}")
    print(f"store {value.get('store')}")
    for name, connector in sorted(value.get("connectors", {}).items()):
        print(f"connector {name} {'up' if connector.get('up') else 'down'}")
    return DONE if status == 200 else REFUSED

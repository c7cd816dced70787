"""``clock show`` and ``clock accept``: a jump of the wall clock, which the gateway does not follow at once."""

from __future__ import annotations

import argparse

from smsgw.cli.adminclient import admin_of, fetch, require_success
from smsgw.cli.console import DONE, printable


def show_clock(options: argparse.Namespace) -> int:
    """Print by how much the wall clock jumped."""
    jump = fetch(options, "/clock")["jump_seconds"]
    if not options.json:
        print(f"the wall clock jumped by {jump:+.1f} s" if jump else "the wall clock is steady")
    return DONE


def accept_clock(options: argparse.Namespace) -> int:
    """Let the gateway follow the wall clock now."""
    status, value = admin_of(options.config).ask("POST", "/clock/accept", {})
    if status == 409 and value.get("reason") == "no_jump":
        print(printable(value["why"]))
        return DONE
    require_success(status, value, options)
    print(f"the jump of {value['accepted_seconds']:+.1f} s is accepted")
    return DONE

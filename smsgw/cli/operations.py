"""``resend``, ``retry``, ``pause``, ``resume`` and ``move``: what an administrator asks of the running gateway."""

from __future__ import annotations

import argparse
from typing import Any

from smsgw.cli.adminclient import admin_of, require_success
from smsgw.cli.console import DONE, REFUSED, Stop, command, counted, printable


def resend(options: argparse.Namespace) -> int:
    """Send a message again."""
    value = _ask(options, f"/messages/{options.id}/resend")
    if value["sent_as"] == value["message"]:
        print(f"message {options.id} is sent now")
    else:
        print(f"message {options.id} is sent again as message {value['sent_as']}; its account gets no report of that")
    return DONE


def retry(options: argparse.Namespace) -> int:
    """Try a connector now."""
    value = _ask(options, f"/connectors/{options.connector}/retry")
    print(f"{options.connector} tries now: {counted(value['messages'], 'message')} did not wait for another attempt")
    return DONE


def pause(options: argparse.Namespace) -> int:
    """Pause a connector."""
    _ask(options, f"/connectors/{options.connector}/pause")
    resume = f"{command()} resume {options.connector} -c {options.config}"
    print(f"{options.connector} is paused until: {resume}, or a restart")
    return DONE


def resume(options: argparse.Namespace) -> int:
    """End the pause of a connector."""
    _ask(options, f"/connectors/{options.connector}/resume")
    print(f"{options.connector} sends again")
    return DONE


def move(options: argparse.Namespace) -> int:
    """Move the waiting messages of a connector to another."""
    value = _ask(options, f"/connectors/{options.connector}/move/{options.other}")
    print(f"{counted(value['moved'], 'message')} moved to {options.other}")
    if value["stayed"]:
        print(f"{counted(value['stayed'], 'message')} stayed: partly sent, or about to be sent")
    return DONE


def _ask(options: argparse.Namespace, path: str) -> dict[str, Any]:
    """Send one wish.

    :raises Stop: with the reason, if the gateway refuses it.
    """
    status, value = admin_of(options.config).ask("POST", path)
    if status in (404, 409) and "why" in value:
        raise Stop(REFUSED, printable(value["why"]))
    require_success(status, value, options)
    return value

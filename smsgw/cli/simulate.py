"""``simulate``: has the loopback connector simulate a text, a call or pressed keys of a subscriber."""

from __future__ import annotations

import argparse

from smsgw.cli.addresses import read_settings
from smsgw.cli.adminclient import Fact, admin_of, require_success
from smsgw.cli.console import CONFIGURATION, DONE, Stop, command, printable


def simulate(options: argparse.Namespace) -> int:
    """Simulate an incoming text, call or keys, and print the account that gets it."""
    wish: dict[str, object] = {"kind": options.kind}
    if options.connector:
        wish["connector"] = options.connector
    if options.kind == "keys":
        wish |= {"answers": options.id, "keys": options.keys}
    else:
        wish |= {"from": options.number, "to": options.to or _number_of_ours(options)}
    if options.kind == "message":
        wish["text"] = options.text
        if options.answers:
            wish["answers"] = options.answers
    else:
        wish["seconds"] = options.seconds
    status, value = admin_of(options.config).ask("POST", "/simulate", wish)
    require_success(status, value, options)
    print(_summary(value))
    return DONE


def _number_of_ours(options: argparse.Namespace) -> str:
    """Return the first number of the configuration that accepts it.

    :raises Stop: if there is none.
    """
    calls = options.kind == "call"
    numbers = read_settings(options.config).numbers.values()
    found = next((one.name for one in numbers if (one.calls if calls else one.account)), "")
    if found:
        return found
    key = "calls = yes" if calls else "account = NAME"
    raise Stop(
        CONFIGURATION,
        f"{options.config} has no number that accepts a {options.kind}; add\n[number 79031112233]\n{key}\n"
        "or name one with --to",
    )


def _summary(value: Fact) -> str:
    account = printable(value["account"])
    stored = f"{value['kind']} {value['id']} is stored for account {account}"
    if value["path"]:
        return f"{stored}, which gets it over {value['path']}"
    return f"{stored}, which has no callback: {command()} list incoming shows it"

"""``list incoming``, ``list events`` and ``replay``: incoming texts (MO), and reports that no client took in time."""

from __future__ import annotations

import argparse
import sys

from smsgw.cli.adminclient import admin_of, fetch, require_success, with_query
from smsgw.cli.console import DONE, REFUSED, Stop, command, counted, moment, show_table


def show_incoming(options: argparse.Namespace) -> int:
    """Print a table of incoming texts, calls and keys."""
    value = fetch(options, with_query(
        "/incoming", account=options.account, before=options.before, limit=options.limit, text=int(options.text)
    ))
    if options.json:
        return DONE
    heads = ["ID", "CAME", "KIND", "ACCOUNT", "FROM", "TO", "ANSWERS", "PATH", "CONNECTOR"]
    names = ("kind", "account", "from", "to", "answers", "path", "connector")
    rows = [[one["id"], moment(one["at"]), *(one[name] or None for name in names)] for one in value["incoming"]]
    if options.text:
        heads.append("TEXT")
        for row, one in zip(rows, value["incoming"], strict=True):
            row.append(one["text"])
    show_table(heads, rows, "incoming texts, calls or keys")
    if value["before"] is not None:
        print(f"There are more: --before {value['before']}", file=sys.stderr)
    return DONE


def show_events(options: argparse.Namespace) -> int:
    """Print a table of dead letters."""
    value = fetch(options, with_query(
        "/events", account=options.account, after=options.after, limit=options.limit, text=int(options.text)
    ))
    if options.json:
        return DONE
    names = ("kind", "state", "error", "account", "number", "path", "attempts")
    rows = [[one["message"], moment(one["at"]), *(one[name] for name in names)] for one in value["events"]]
    heads = ("MESSAGE", "HAPPENED", "EVENT", "STATE", "ERROR", "ACCOUNT", "NUMBER", "PATH", "TRIES")
    show_table(heads, rows, "dead letters")
    if value["after"] is not None:
        print(f"There are more: --after {value['after']}", file=sys.stderr)
    return DONE


def replay(options: argparse.Namespace) -> int:
    """Move dead letters back to the outbox."""
    if bool(options.ids) == options.all:
        raise Stop(2, "give the ids of messages or --all")
    wish = {"ids": options.ids} if options.ids else {"all": True}
    if options.account:
        wish["account"] = options.account
    client = admin_of(options.config)
    count, more = 0, True
    while more:
        status, value = client.ask("POST", "/replay", wish)
        require_success(status, value, options)
        count, more = count + len(value["replayed"]), value["more"]
    if not count and options.all:
        print("there are no dead letters")
        return DONE
    if not count:
        raise Stop(REFUSED, f"there is no such dead letter: {command()} list events shows them")
    print(f"{counted(count, 'event')} will be sent again")
    return DONE

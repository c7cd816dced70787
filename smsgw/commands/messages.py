"""``list``, ``show`` and ``cancel``: messages of the running gateway, in words."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from smsgw.commands.adminclient import admin_of
from smsgw.commands.console import DONE, REFUSED, Stop, counted, moment, printable, table

FAILED: Final = "expired,undeliverable,rejected,refused,no_money,failed,unknown"
"""The states that `list failed` is about."""

_NOTIFY: Final = {"enroute": "handing over", "delivered": "delivery", "failed": "failure"}

Fact = Mapping[str, Any]
"""A JSON object of an answer."""


def show_list(options: argparse.Namespace) -> int:
    """Print a table of messages or of parked receipts."""
    if options.what == "parked":
        return _show_parked(options)
    states = options.state or (FAILED if options.what == "failed" else "")
    asked = {
        "account": options.account,
        "state": states,
        "before": options.before,
        "limit": options.limit,
        "text": int(options.text) or None,
    }
    value = _asked(options, "/messages?" + urlencode({name: given for name, given in asked.items() if given}))
    if not options.json:
        _print_table(value["messages"], options.text)
        if value["before"] is not None:
            print(f"There are more: --before {value['before']}", file=sys.stderr)
    return DONE


def _show_parked(options: argparse.Namespace) -> int:
    if options.account or options.state or options.before:
        raise Stop(2, "--account, --state and --before are about messages, which parked receipts do not match")
    value = _asked(options, f"/parked?limit={options.limit}&text={int(options.text)}")
    if not options.json:
        rows = [
            (
                moment(one["since"]),
                one["connector"],
                one["remote_id"],
                one["state"],
                one["error"],
                one["words"] if options.text else f"{one['octets']} octets",
            )
            for one in value["parked"]
        ]
        _print(table(("SINCE", "CONNECTOR", "ID", "STATE", "ERROR", "WORDS"), rows))
    return DONE


def show_story(options: argparse.Namespace) -> int:
    """Print what is known of one message, or the messages of a batch."""
    value = _asked(options, f"/messages/{options.id}{'?text=1' if options.text else ''}")
    if options.json:
        return DONE
    if "batch" in value and "messages" in value:
        print(f"{options.id} is a batch of {counted(len(value['messages']), 'message')}:")
        _print_table(value["messages"], options.text)
    else:
        _print(_story(value))
    return DONE


def cancel(options: argparse.Namespace) -> int:
    """Take a message back."""
    status, value = admin_of(options.config).ask("POST", f"/messages/{options.id}/cancel")
    if status == 409:
        raise Stop(REFUSED, f"{options.id} cannot be cancelled: {printable(value['why'])}")
    _good(status, value, options)
    for id in value["cancelled"]:
        print(f"message {id} is cancelled")
    return DONE


def _asked(options: argparse.Namespace, path: str) -> dict[str, Any]:
    """What the gateway answers; printed as it is if that is wanted."""
    status, value = admin_of(options.config).ask("GET", path)
    _good(status, value, options)
    if options.json:
        print(json.dumps(value, indent=2, sort_keys=True))
    return value


def _good(status: int, value: Fact, options: argparse.Namespace) -> None:
    if status == 200:
        return
    if status == 404 and "id" in options:
        raise Stop(REFUSED, f"there is no message or batch {options.id} (any more)")
    raise Stop(REFUSED, f"the gateway refuses: {printable(str(value.get('why') or value.get('reason')))}")


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        print(line)


def _print_table(messages: Sequence[Fact], text: bool) -> None:
    heads = ["ID", "ACCEPTED", "STATE", "ERROR", "ACCOUNT", "FROM", "TO", "PARTS", "CONNECTOR"]
    names = ("state", "error", "account", "from", "to", "parts", "connector")
    rows = [[one["id"], moment(one["created"]), *(one[name] for name in names)] for one in messages]
    if text:
        heads.append("TEXT")
        for row, one in zip(rows, messages, strict=True):
            row.append(one["text"]["text"])
    _print(table(heads, rows))


def _story(story: Fact) -> Iterator[str]:
    text = story["text"]
    yield f"message {story['id']} is {story['state']}" + (f", error {story['error']}" if story["error"] else "")
    if story["batch"]:
        yield f"  of batch    {story['batch']}"
    yield f"  from        {printable(story['from'])}"
    yield f"  to          {printable(story['to'])}"
    yield f"  text        {_size(text, story['parts'])}"
    if "text" in text:
        yield f"              {printable(text['text'])}"
    yield f"  connector   {story['connector'] or 'none'}"
    asked = ", ".join(_NOTIFY[word] for word in story["notify"])
    yield f"  sender      asked to be told of {asked or 'nothing'}"
    yield ""
    steps = story["timeline"]
    for step in steps:
        if not step.get("expected"):
            yield f"  {moment(step['at'], milliseconds=True)}  {_past(step)}"
    expected = [_future(step) for step in steps if step.get("expected")]
    if expected:
        yield "  still to come:"
        yield from (f"    {line}" for line in expected)
    if story["parts"] > 1:
        yield ""
        for part in story["part_states"]:
            called = f", {printable(part['remote_id'])}" if part["remote_id"] else ""
            error = f", error {part['error']}" if part["error"] else ""
            yield f"  part {part['seq']}: {part['state']}{error}{called}"


def _size(text: Fact, parts: int) -> str:
    size = counted(text["characters"], "character")
    return f"{size} in {text['encoding']} ({counted(text['octets'], 'octet')}), {counted(parts, 'part')}"


def _past(step: Fact) -> str:
    """A step that was, in words."""
    if step["step"] == "accepted":
        return f"accepted from {step['account']}" + (f" over {step['path']}" if step["path"] else "")
    if step["step"] == "handed over":
        called = f", which calls it {printable(step['remote_id'])}" if step["remote_id"] else ""
        return f"taken by {step['connector']}{called}"
    return f"{step['step']}" + (f", error {step['error']}" if step["error"] else "")


def _future(step: Fact) -> str:
    """A step that is to come, in words."""
    at = moment(step["at"]) if step["at"] else ""
    tried = f", tried {counted(step['attempts'], 'time')} in vain" if step.get("attempts") else ""
    match step["step"]:
        case "due":
            return f"will be sent over {step['connector']} at {at}"
        case "answer":
            return f"was offered to {step['connector']}, whose answer is awaited"
        case "room":
            return f"waits for {step['connector']}{tried}" + (f", next time at {at}" if at else "")
        case "receipt":
            return f"the receipt for part {step['seq']} ({printable(step['remote_id'])}), awaited until {at}"
        case "expiry":
            return f"expires at {at}, if it is not sent by then"
        case _:
            later = f", next time at {at}" if at else ""
            return f"its sender has not yet confirmed being told over {step['path']}: {step['state']}{tried}{later}"

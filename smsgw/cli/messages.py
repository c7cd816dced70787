"""``list``, ``show`` and ``cancel``: messages of the running gateway."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from smsgw.cli.adminclient import Fact, admin_of, fetch, require_success, with_query
from smsgw.cli.console import DONE, REFUSED, Stop, command, counted, moment, printable, show, show_table
from smsgw.cli.events import show_events, show_incoming
from smsgw.model.errorcodes import meaning

FAILED: Final = "expired,undeliverable,rejected,refused,no_money,failed,unknown"
"""The states that `list failed` selects."""

_NOTIFY: Final = {"enroute": "handing over", "delivered": "delivery", "failed": "failure"}
_ILL: Final = {"paused": ", which is paused,", "down": ", which is down,", "missing": ", which is not configured,"}
"""What is said of a connector that takes no message, by its condition."""


def show_list(options: argparse.Namespace) -> int:
    """Print the table that the options select."""
    only = _NOT_FOR.get(options.what, ())
    for name in only:
        if getattr(options, name):
            raise Stop(2, f"--{name} does not apply to {options.what}; see {command()} list --help")
    return _LISTS[options.what](options)


def _show_messages(options: argparse.Namespace) -> int:
    states = options.state or (FAILED if options.what == "failed" else "")
    value = fetch(options, with_query(
        "/messages", account=options.account, state=states, before=options.before, limit=options.limit,
        text=int(options.text),
    ))
    if not options.json:
        _print_table(value["messages"], options.text)
        if value["before"] is not None:
            print(f"There are more: --before {value['before']}", file=sys.stderr)
        for name, count in value["without_connector"].items():
            wait, have = ("waits", "has") if count == 1 else ("wait", "have")
            print(
                f"{counted(count, 'message')} {wait} for connector {printable(name)}, which is not configured any more,"
                f" and {have} no other route",
                file=sys.stderr,
            )
    return DONE


def _show_parked(options: argparse.Namespace) -> int:
    value = fetch(options, with_query("/parked", limit=options.limit, text=int(options.text)))
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
        show_table(("SINCE", "CONNECTOR", "ID", "STATE", "ERROR", "WORDS"), rows, "receipts")
    return DONE


_LISTS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "messages": _show_messages,
    "failed": _show_messages,
    "parked": _show_parked,
    "incoming": show_incoming,
    "events": show_events,
}
_NOT_FOR: Final[Mapping[str, Sequence[str]]] = {
    "messages": ("after",),
    "failed": ("after",),
    "parked": ("account", "state", "before", "after"),
    "incoming": ("state", "after"),
    "events": ("state", "before"),
}
"""Options that do not apply to a list."""


def show_timeline(options: argparse.Namespace) -> int:
    """Print the timeline of one message, or the messages of a batch."""
    value = fetch(options, with_query(f"/messages/{options.id}", text=int(options.text)))
    if options.json:
        return DONE
    if "batch" in value and "messages" in value:
        _print_batch(options.id, value, options.text)
    else:
        show(_timeline(value))
    return DONE


def cancel(options: argparse.Namespace) -> int:
    """Cancel a message, or the messages of a batch."""
    status, value = admin_of(options.config).ask("POST", f"/messages/{options.id}/cancel")
    if status == 409:
        raise Stop(REFUSED, f"{options.id} cannot be cancelled: {printable(value['why'])}")
    require_success(status, value, options)
    for id in value["cancelled"]:
        print(f"message {id} is cancelled")
    return DONE


def _print_batch(id: int, batch: Fact, text: bool) -> None:
    states: dict[str, int] = {}
    for one in batch["counts"]:
        states[one["state"]] = states.get(one["state"], 0) + one["messages"]
    summed = ", ".join(f"{messages} {state}" for state, messages in states.items())
    total, shown = sum(states.values()), len(batch["messages"])
    print(f"{id} is a batch of {counted(total, 'message')}: {summed}")
    _print_table(batch["messages"], text)
    if shown < total:
        print(f"these are the first {shown} of {total}")


def _print_table(messages: Sequence[Fact], text: bool) -> None:
    heads = ["ID", "ACCEPTED", "STATE", "ERROR", "ACCOUNT", "FROM", "TO", "PARTS", "CONNECTOR"]
    names = ("state", "error", "account", "from", "to", "parts", "connector")
    rows = [[one["id"], moment(one["created"]), *(one[name] for name in names)] for one in messages]
    if text:
        heads.append("TEXT")
        for row, one in zip(rows, messages, strict=True):
            row.append(one["text"]["text"])
    show_table(heads, rows, "messages")


def _timeline(timeline: Fact) -> Iterator[str]:
    text = timeline["text"]
    yield f"message {timeline['id']} is {timeline['state']}{_error(timeline['error'])}"
    if timeline["batch"]:
        yield f"  of batch    {timeline['batch']}"
    yield f"  from        {printable(timeline['from'])}"
    yield f"  to          {printable(timeline['to'])}"
    yield f"  text        {_size(text, timeline['parts'])}"
    if "text" in text:
        yield f"              {printable(text['text'])}"
    yield f"  connector   {timeline['connector'] or 'none'}"
    asked_for = ", ".join(_NOTIFY[word] for word in timeline["notify"])
    yield f"  reports     {asked_for} over {timeline['path']}" if asked_for else "  reports     none asked for"
    yield ""
    steps = timeline["timeline"]
    for step in steps:
        if not step.get("expected"):
            yield f"  {moment(step['at'], milliseconds=True)}  {_past(step)}"
    expected = [_future(step) for step in steps if step.get("expected")]
    if expected:
        yield "  still to come:"
        yield from (f"    {line}" for line in expected)
    said = timeline["upstream_words"]
    if said:
        yield "  last words of the upstream:"
    for one in said:
        about = f"part {one['seq']}, " if timeline["parts"] > 1 else ""
        words = f"{about}{printable(one['connector'])}: {printable(one['words'])}"
        yield f"    {moment(one['at'], milliseconds=True)}  {words}"
    if timeline["parts"] > 1:
        yield ""
        for part in timeline["part_states"]:
            called = f", {printable(part['remote_id'])}" if part["remote_id"] else ""
            yield f"  part {part['seq']}: {part['state']}{_error(part['error'])}{called}"


def _size(text: Fact, parts: int) -> str:
    size = counted(text["characters"], "character")
    return f"{size} in {text['encoding']} ({counted(text['octets'], 'octet')}), {counted(parts, 'part')}"


def _error(number: int) -> str:
    """An error code behind a state, with its meaning; nothing for 0."""
    return f", error {number} ({meaning(number) or 'a number of the upstream'})" if number else ""


def _past(step: Fact) -> str:
    """Describe a past step."""
    if step["step"] == "accepted":
        return f"accepted from {step['account']}" + (f" by [listen {step['listener']}]" if step["listener"] else "")
    if step["step"] == "handed over":
        called = f" as {printable(step['remote_id'])}" if step["remote_id"] else ""
        return f"taken by {step['connector']}{called}"
    return f"{step['step']}{_error(step['error'])}"


def _future(step: Fact) -> str:
    """Describe an expected step."""
    at = moment(step["at"]) if step["at"] else ""
    tried = f" after {counted(step['attempts'], 'failed attempt')}" if step.get("attempts") else ""
    match step["step"]:
        case "due":
            return f"will be sent over {step['connector']} at {at}"
        case "answer":
            return f"sent to {step['connector']}, whose answer is awaited"
        case "room":
            waits = f"waits for {step['connector']}{_ILL.get(step['condition'], '')}{tried}"
            return f"{waits.rstrip(',')}, next time at {at}" if at else waits.rstrip(",")
        case "receipt":
            return f"the receipt for part {step['seq']} ({printable(step['remote_id'])}), awaited until {at}"
        case "expiry":
            return f"expires at {at}, if it is not sent by then"
        case _:
            later = f", next time at {at}" if at else ""
            return f"the client has not yet confirmed the report over {step['path']}: {step['state']}{tried}{later}"

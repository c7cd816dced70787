"""The grammar of the command line: commands, options, help."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import smsgw
from smsgw.cli.console import command

CONFIG: Final = "etc/gw.ini"

_STATUSES: Final = """\
exit status:
  0   done; check: no mistakes; send: delivered
  1   refused, not found, not delivered, a faulty PDU
  2   the command line is wrong
  69  the gateway does not answer, or is temporarily unable
  78  mistakes in the configuration
"""


_format: Final = partial(argparse.RawDescriptionHelpFormatter, max_help_position=26)


def _identifier(text: str) -> int:
    """A message id: the number, or the form of HTTP (``message-id-7``)."""
    digits = text.removeprefix("message-id-")
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 10**18):
        raise argparse.ArgumentTypeError(f"{text!r} is not a message id: a number, or message-id- and a number")
    return int(digits)


def _rows(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 999999999999999")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds


def _whole_seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 86_400):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return int(text)


def _keys(text: str) -> str:
    if not (text and len(text) <= 100 and set(text) <= set("0123456789*#")):
        raise argparse.ArgumentTypeError(f"{text!r} are not 1 to 100 of the keys 0 to 9, * and #")
    return text


class _Commands:
    """Adds commands to a parser, each with its help and examples."""

    def __init__(self, whole: argparse.ArgumentParser, title: str = "commands", metavar: str = "COMMAND") -> None:
        self._subparsers = whole.add_subparsers(title=title, metavar=metavar, required=True)

    def add(self, name: str, run: str, brief: str, more: str = "", examples: Sequence[str] = ()) -> Any:
        """Add a command; `run` is its function, as ``module:name``."""
        shown = "".join(f"  {command()} {example}\n" for example in examples)
        one = self._subparsers.add_parser(
            name,
            help=brief,
            description=textwrap.fill(f"{brief[0].upper()}{brief[1:]}. {more}", 80),
            epilog=f"{'examples' if len(examples) > 1 else 'example'}:\n{shown}\n{_STATUSES}",
            formatter_class=_format,
        )
        one.set_defaults(run=f"smsgw.cli.{run}")
        return one


def _with_config(one: Any) -> None:
    one.add_argument("-c", "--config", metavar="FILE", default=CONFIG, help="the gateway's configuration (%(default)s)")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(
        prog=command(),
        description="Helps beside the running gateway, which is started with: twistd -n --pidfile= smsgw -c FILE",
        epilog=f"{command()} COMMAND --help explains a command.\n\n{_STATUSES}",
        formatter_class=_format,
    )
    whole.add_argument("--version", action="version", version=f"smsgw {smsgw.__version__}")
    commands = _Commands(whole)
    _add_configuration(commands)
    _add_store(commands)
    _add_messages(commands)
    _add_operations(commands)
    _add_callbacks(commands)
    _add_clock(commands)
    _add_smpp(commands)
    return whole


def _add_configuration(commands: _Commands) -> None:
    check = commands.add(
        "check",
        "configuration:check",
        "find every mistake of a configuration",
        "Nothing is started.",
        ("check", "check /etc/smsgw/gw.ini"),
    )
    check.add_argument("config", metavar="FILE", nargs="?", default=CONFIG, help="the file (%(default)s)")
    sample = commands.add(
        "sample",
        "configuration:sample",
        "print a configuration to begin with, with its keys explained",
        examples=("sample > gw.ini", "sample --all"),
    )
    extent = sample.add_mutually_exclusive_group()
    extent.add_argument("--all", action="store_true", help="with all kinds of sections and all keys")
    extent.add_argument("--page", action="store_true", help="all sections and keys as the page docs/settings.rst")
    commands.add(
        "hash-password",
        "credentials:hash_password",
        "print the hash of a password for the configuration",
        "On a terminal the command asks for the password twice and does not show it; else it reads standard input.",
        ("hash-password", "hash-password < file"),
    )
    commands.add(
        "make-key",
        "credentials:make_key",
        "make an API key",
        "The key goes to the client, its hash into the configuration.",
        ("make-key",),
    )


def _add_store(commands: _Commands) -> None:
    health = commands.add(
        "health",
        "health:health",
        "show whether the running gateway is healthy",
        "The exit status is 0 if it is and 1 if not.",
        ("health", "health -c /etc/smsgw/gw.ini"),
    )
    backup = commands.add(
        "backup",
        "backup:backup",
        "copy the store to a file, while the gateway runs or when it is stopped",
        "The copy is checked. It has all messages whose acceptance was answered before the command was given.",
        ("backup /var/backups/smsgw.sqlite",),
    )
    backup.add_argument("file", metavar="FILE", help="the file to write; an existing one is replaced")
    restore = commands.add(
        "restore",
        "backup:restore",
        "make a backup the store of the stopped gateway",
        "The former store is renamed. docs/operations.rst explains which messages are sent again.",
        ("restore /var/backups/smsgw.sqlite",),
    )
    restore.add_argument("file", metavar="FILE", help="the backup")
    restore.add_argument(
        "--skip", metavar="N", type=_count, default=10_000_000,
        help="if the former store cannot be read: message ids to leave out, more than were given since the backup was"
        " made (%(default)s)",
    )
    for one in (health, backup, restore):
        _with_config(one)


def _add_messages(commands: _Commands) -> None:
    listing = commands.add(
        "list",
        "messages:show_list",
        "list messages of the running gateway, newest first",
        "`failed` lists messages whose final state is neither delivered nor cancelled, `parked` receipts that match no"
        " message, `incoming` texts, calls and keys from subscribers (MO), `events` dead letters: reports that"
        " no client took in time.",
        ("list", "list failed --account demo --limit 10", "list messages --state enroute,queued", "list events"),
    )
    listing.add_argument(
        "what", nargs="?", choices=("messages", "failed", "parked", "incoming", "events"), default="messages"
    )
    listing.add_argument("--account", metavar="NAME", help="only those of this account")
    listing.add_argument("--state", metavar="WORDS", help="only messages in these states, with commas between them")
    listing.add_argument("--before", metavar="ID", type=_identifier, help="only those older than this one")
    listing.add_argument("--after", metavar="EVENT", help="only events after this one, as the last list said")
    listing.add_argument("--limit", metavar="N", type=_rows, default=50, help="rows, up to 1000 (%(default)s)")
    timeline = commands.add(
        "show",
        "messages:show_timeline",
        "show the timeline of a message",
        "It goes from acceptance to the last receipt. The id of a batch lists its messages.",
        ("show 3", "show message-id-3 --text"),
    )
    cancel = commands.add(
        "cancel",
        "messages:cancel",
        "cancel a message that is still waiting",
        "The account gets a report, if it asked for one.",
        ("cancel 3",),
    )
    for one in (timeline, cancel):
        one.add_argument("id", metavar="ID", type=_identifier, help="the id of a message or batch")
    for one in (listing, timeline):
        one.add_argument("--text", action="store_true", help="show texts and whole numbers, which are private")
        one.add_argument("--json", action="store_true", help="print the gateway's JSON, for programs")
    for one in (listing, timeline, cancel):
        _with_config(one)


def _connector(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a connector")
    return text


def _add_operations(commands: _Commands) -> None:
    resend = commands.add(
        "resend",
        "operations:resend",
        "send a message again",
        "A message that waits for another attempt, or is held because its answer is unknown, is sent now. One that"
        " ended without being delivered is sent as a copy with a new id, of which its account gets no report.",
        ("resend 3",),
    )
    resend.add_argument("id", metavar="ID", type=_identifier, help="the id of a message")
    retry = commands.add(
        "retry",
        "operations:retry",
        "have a connector try now, not after its pause",
        "The messages that wait for another attempt over it are sent now. Held messages stay: see resend.",
        ("retry mts",),
    )
    pause = commands.add(
        "pause",
        "operations:pause",
        "send nothing over a connector until resume, or a restart",
        "Its messages wait; new ones take the other connectors of their routes. Parts that were handed over are"
        " finished, and receipts are taken.",
        ("pause mts",),
    )
    resume = commands.add(
        "resume", "operations:resume", "end the pause of a connector", examples=("resume mts",)
    )
    move = commands.add(
        "move",
        "operations:move",
        "move the waiting messages of a connector to another",
        "Scheduled and held messages stay; so do partly sent ones, unless the other connector sends parts in the same"
        " form. New messages still go where their route says.",
        ("move mts beeline",),
    )
    for one in (retry, pause, resume, move):
        one.add_argument("connector", metavar="CONNECTOR", type=_connector, help="the name of its section")
    move.add_argument("other", metavar="OTHER", type=_connector, help="the connector that takes them over")
    for one in (resend, retry, pause, resume, move):
        _with_config(one)


def _add_callbacks(commands: _Commands) -> None:
    replay = commands.add(
        "replay",
        "events:replay",
        "send dead letters (reports that no client took in time) again",
        "Each event keeps its first date; `list events` shows them.",
        ("replay 3 4", "replay --all --account demo"),
    )
    replay.add_argument("ids", metavar="ID", nargs="*", type=_identifier, help="ids of messages or of incoming texts")
    replay.add_argument("--all", action="store_true", help="all dead letters")
    replay.add_argument("--account", metavar="NAME", help="only those of this account")
    _with_config(replay)
    kinds = _Commands(
        commands.add(
            "simulate",
            "simulate:simulate",
            "simulate a text, a call or pressed keys of a subscriber (MO)",
            "The gateway treats it like one from a real operator: it goes to the account of the number and to"
            " its callback.",
            ('simulate message 79161234567 "Yes, please"', "simulate call 79161234567", "simulate keys 3 12"),
        ),
        "what comes in",
        "KIND",
    )
    message = kinds.add(
        "message",
        "simulate:simulate",
        "a text from a subscriber to a number of ours",
        examples=('simulate message 79161234567 "Yes, please" --answers 3',),
    )
    call = kinds.add(
        "call",
        "simulate:simulate",
        "a call that confirms the caller's number",
        "The called number has calls = yes; if no account owns it, the call goes to the account that awaits it.",
        ("simulate call 79161234567 --to 79031112233",),
    )
    keys = kinds.add(
        "keys",
        "simulate:simulate",
        "keys pressed in a voice menu",
        examples=("simulate keys 3 12",),
    )
    for one in (message, call):
        one.add_argument("number", metavar="NUMBER", help="the subscriber's number")
        one.add_argument("--to", metavar="NUMBER", help="the number of ours (default: the first suitable one)")
    message.add_argument("text", metavar="TEXT", help="the text")
    message.add_argument("--answers", metavar="ID", type=_identifier, help="the message of ours that it answers")
    keys.add_argument("id", metavar="ID", type=_identifier, help="the voice message of ours")
    keys.add_argument("keys", metavar="KEYS", type=_keys, help="the pressed keys, in order")
    for one in (call, keys):
        one.add_argument("--seconds", metavar="N", type=_whole_seconds, default=0, help="duration of the call")
    for name, one in (("message", message), ("call", call), ("keys", keys)):
        one.set_defaults(kind=name)
        one.add_argument("--connector", metavar="NAME", help="the loopback connector (default: the first one)")
        _with_config(one)


def _add_clock(commands: _Commands) -> None:
    actions = _Commands(
        commands.add(
            "clock",
            "clock:show_clock",
            "show or accept a jump of the wall clock",
            "When the wall clock is set, messages do not expire and nothing is deleted for that until the clock has"
            " stood there for five minutes, or the jump is accepted.",
            ("clock show", "clock accept"),
        ),
        "actions",
        "ACTION",
    )
    show = actions.add("show", "clock:show_clock", "show by how much the wall clock jumped", examples=("clock show",))
    show.add_argument("--json", action="store_true", help="print the gateway's answer as JSON")
    accept = actions.add(
        "accept", "clock:accept_clock", "follow the wall clock at once", examples=("clock accept",)
    )
    for one in (show, accept):
        _with_config(one)


def _add_smpp(commands: _Commands) -> None:
    decode = commands.add(
        "decode",
        "decode:decode",
        "explain SMPP PDUs given in hexadecimal",
        "Blanks, line ends, colons and 0x are ignored. Every field is shown with its meaning, the text is decoded, and"
        " faults are named with their offset. Passwords are hidden.",
        ("decode 00000010 00000015 00000000 00000001", "decode --version 3.3 --charset latin1 < dump.txt"),
    )
    decode.add_argument("hex", metavar="HEX", nargs="*", help="the octets; read from standard input if not given")
    decode.add_argument(
        "--version", choices=("3.3", "3.4", "5.0"), default="3.4", help="version of the session (%(default)s)"
    )
    decode.add_argument(
        "--charset",
        choices=("gsm", "latin1", "ascii"),
        default="gsm",
        help="the alphabet of data_coding 0 (%(default)s)",
    )
    decode.add_argument("--secrets", action="store_true", help="show passwords")
    send = commands.add(
        "send",
        "send:send",
        "send one message over SMPP and wait for its receipt",
        "It goes to the first SMPP listener of the configuration, as the first account whose password is there in"
        " clear. Long texts are possible.",
        ('send 79161234567 "Hello over SMPP"', "send 79161234567 Hello --from AVARIA --account demo --password demo"),
    )
    send.add_argument("number", metavar="NUMBER", help="the recipient")
    send.add_argument("text", metavar="TEXT", help="the text")
    send.add_argument("--from", dest="sender", metavar="NAME", help="the sender (the account's default)")
    send.add_argument("--account", metavar="NAME", help="the account to send as")
    send.add_argument("--password", help="its password; the command asks for a missing one")
    send.add_argument(
        "--wait", metavar="SECONDS", type=_seconds, default=30.0, help="how long to wait for the receipt (%(default)g)"
    )
    _with_config(send)

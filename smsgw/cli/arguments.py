"""The command line as it is written: commands, options, help."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import smsgw

CONFIG: Final = "etc/gw.ini"

_STATUSES: Final = """\
exit status:
  0   done; check: no mistakes; send: delivered
  1   no: refused, not there, not delivered, a PDU that is wrong
  2   the command line is wrong
  69  the gateway does not answer, or cannot do it at present
  78  mistakes in the configuration
"""


_format: Final = partial(argparse.RawDescriptionHelpFormatter, max_help_position=26)


def _identifier(text: str) -> int:
    """A message id as people have it before them: the number, or what HTTP shows (``message-id-7``)."""
    digits = text.removeprefix("message-id-")
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 10**18):
        raise argparse.ArgumentTypeError(f"{text!r} is not a message id: a number, or message-id- and a number")
    return int(digits)


def _rows(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
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
    """The commands of a parser, each with help and examples of its own."""

    def __init__(self, whole: argparse.ArgumentParser, title: str = "commands", metavar: str = "COMMAND") -> None:
        self._subparsers = whole.add_subparsers(title=title, metavar=metavar, required=True)

    def add(self, name: str, run: str, brief: str, more: str = "", examples: Sequence[str] = ()) -> Any:
        """A command; `run` is the function that carries it out, as ``module:name``."""
        shown = "".join(f"  python -m smsgw {example}\n" for example in examples)
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
    """The parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="python -m smsgw",
        description="Helps beside the running gateway, which is started with: twistd -n --pidfile= smsgw -c FILE",
        epilog=f"python -m smsgw COMMAND --help tells more.\n\n{_STATUSES}",
        formatter_class=_format,
    )
    whole.add_argument("--version", action="version", version=f"smsgw {smsgw.__version__}")
    commands = _Commands(whole)
    _add_configuration(commands)
    _add_messages(commands)
    _add_callbacks(commands)
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
    commands.add(
        "sample",
        "configuration:sample",
        "print a complete configuration, with every key explained",
        examples=("sample > gw.ini",),
    )
    commands.add(
        "hash-password",
        "credentials:hash_password",
        "print what to write in place of a password",
        "The password is asked for twice and not shown, or read from standard input if that is no terminal.",
        ("hash-password", "hash-password < file"),
    )
    commands.add(
        "make-key",
        "credentials:make_key",
        "make an API key",
        "The key goes to the client, its hash into the configuration.",
        ("make-key",),
    )


def _add_messages(commands: _Commands) -> None:
    listing = commands.add(
        "list",
        "messages:show_list",
        "list messages of the running gateway, newest first",
        "`failed` lists those that ended otherwise than delivered or cancelled, `parked` the receipts that match no"
        " message, `incoming` what came from subscribers, `events` what accounts should have been told and nobody took"
        " in time.",
        ("list", "list failed --account demo --limit 10", "list messages --state enroute,queued", "list events"),
    )
    listing.add_argument(
        "what", nargs="?", choices=("messages", "failed", "parked", "incoming", "events"), default="messages"
    )
    listing.add_argument("--account", metavar="NAME", help="only those of this account")
    listing.add_argument("--state", metavar="WORDS", help="only messages in these states, with commas between them")
    listing.add_argument("--before", metavar="ID", type=_identifier, help="only those older than this one")
    listing.add_argument("--after", metavar="EVENT", help="only events behind this one, as the last list said")
    listing.add_argument("--limit", metavar="N", type=_rows, default=50, help="rows, up to 1000 (%(default)s)")
    timeline = commands.add(
        "show",
        "messages:show_story",
        "show the timeline of a message",
        "It goes from acceptance to the last receipt. The id of a batch lists its messages.",
        ("show 3", "show message-id-3 --text"),
    )
    cancel = commands.add(
        "cancel",
        "messages:cancel",
        "take back a message that is still waiting",
        "Its sender is told, if he asked to be.",
        ("cancel 3",),
    )
    for one in (timeline, cancel):
        one.add_argument("id", metavar="ID", type=_identifier, help="the id of a message or batch")
    for one in (listing, timeline):
        one.add_argument("--text", action="store_true", help="show texts and whole numbers, which are private")
        one.add_argument("--json", action="store_true", help="print what the gateway answers, for programs")
    for one in (listing, timeline, cancel):
        _with_config(one)


def _add_callbacks(commands: _Commands) -> None:
    replay = commands.add(
        "replay",
        "events:replay",
        "tell accounts again what nobody took in time",
        "Each event keeps its first date; `list events` shows them.",
        ("replay 3 4", "replay --all --account demo"),
    )
    replay.add_argument("ids", metavar="ID", nargs="*", type=_identifier, help="ids of messages, or of incoming things")
    replay.add_argument("--all", action="store_true", help="all that were given up")
    replay.add_argument("--account", metavar="NAME", help="only those of this account")
    _with_config(replay)
    kinds = _Commands(
        commands.add(
            "simulate",
            "simulate:simulate",
            "have the simulated operator bring something from a subscriber",
            "It takes the way that it would take from a real one: to the account of the number, and to its callback.",
            ('simulate message 79161234567 "Yes, please"', "simulate call 79161234567", "simulate keys 3 12"),
        ),
        "what comes in",
        "KIND",
    )
    message = kinds.add(
        "message",
        "simulate:simulate",
        "a text that a subscriber wrote to a number of ours",
        examples=('simulate message 79161234567 "Yes, please" --answers 3',),
    )
    call = kinds.add(
        "call",
        "simulate:simulate",
        "a call that confirms the number of whoever calls",
        "The number has calls = yes; if no account owns it, the call is for whoever waits for it.",
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
        one.add_argument("--to", metavar="NUMBER", help="the number of ours (the first that fits)")
    message.add_argument("text", metavar="TEXT", help="what it says")
    message.add_argument("--answers", metavar="ID", type=_identifier, help="the message of ours that it answers")
    keys.add_argument("id", metavar="ID", type=_identifier, help="the message of ours that was listened to")
    keys.add_argument("keys", metavar="KEYS", type=_keys, help="what was pressed, in order")
    for one in (call, keys):
        one.add_argument("--seconds", metavar="N", type=_whole_seconds, default=0, help="how long the call took")
    for name, one in (("message", message), ("call", call), ("keys", keys)):
        one.set_defaults(kind=name)
        one.add_argument("--connector", metavar="NAME", help="the simulated operator (the first there is)")
        _with_config(one)


def _add_smpp(commands: _Commands) -> None:
    decode = commands.add(
        "decode",
        "decode:decode",
        "explain SMPP PDUs that are given in hexadecimal",
        "Blanks, line ends, colons and 0x are ignored. Every field is shown with its meaning, the text is decoded, and"
        " what is wrong is named with its place. Passwords are hidden.",
        ("decode 00000010 00000015 00000000 00000001", "decode --version 3.3 --charset latin1 < dump.txt"),
    )
    decode.add_argument("hex", metavar="HEX", nargs="*", help="the octets; read from standard input if not given")
    decode.add_argument("--version", choices=("3.3", "3.4", "5.0"), default="3.4", help="of the session (%(default)s)")
    decode.add_argument(
        "--charset", choices=("gsm", "latin1", "ascii"), default="gsm", help="what data_coding 0 means (%(default)s)"
    )
    decode.add_argument("--secrets", action="store_true", help="show passwords")
    send = commands.add(
        "send",
        "send:send",
        "send one message over SMPP and wait for its receipt",
        "It goes to the first SMPP listener of the configuration, as the first account whose password is written there"
        " in clear. Long texts are sent, too.",
        ('send 79161234567 "Hello over SMPP"', "send 79161234567 Hello --from AVARIA --account demo --password demo"),
    )
    send.add_argument("number", metavar="NUMBER", help="the recipient")
    send.add_argument("text", metavar="TEXT", help="what to say")
    send.add_argument("--from", dest="sender", metavar="NAME", help="the sender (the account's default)")
    send.add_argument("--account", metavar="NAME", help="the account to send as")
    send.add_argument("--password", help="its password; asked for if it is needed and not given")
    send.add_argument(
        "--wait", metavar="SECONDS", type=_seconds, default=30.0, help="how long to wait for the receipt (%(default)g)"
    )
    _with_config(send)

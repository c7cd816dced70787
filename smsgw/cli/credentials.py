"""``hash-password`` and ``make-key``: secrets that never stand in the configuration themselves."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Final

from smsgw.cli.console import DONE, REFUSED, Stop
from smsgw.services import passwords

SMPP_OCTETS: Final = 8
"""Octets of the longest password that a bind can carry (3.4 section 4.1.1)."""


def hash_password(_options: argparse.Namespace) -> int:
    """Print the line that stands in the configuration in place of a password."""
    password = _asked() if sys.stdin.isatty() else _read()
    if len(password.encode("utf-8")) > SMPP_OCTETS:
        print(
            f"Longer than {SMPP_OCTETS} octets: a bind over SMPP cannot carry it. Give the account a smpp_password too,"
            " if it uses SMPP.",
            file=sys.stderr,
        )
    print(f"password_hash = {passwords.hash_password(password)}")
    return DONE


def _asked() -> str:
    """The password, typed twice alike."""
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise Stop(REFUSED, "These were two different passwords.")
    return _good(password)


def _read() -> str:
    """The first line of standard input."""
    try:
        return _good(sys.stdin.buffer.readline().decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError:
        raise Stop(REFUSED, "The password is not UTF-8.") from None


def _good(password: str) -> str:
    if not password:
        raise Stop(REFUSED, "An empty password is none.")
    return password


def make_key(_options: argparse.Namespace) -> int:
    """Print a new API key and its hash."""
    key, digest = passwords.make_key()
    print(f"api_key_hash = {digest}")
    print(f"; the key for the client, who logs in with it as password and an empty login: {key}")
    print("Keep the key now: the configuration has only its hash, from which it cannot be found.", file=sys.stderr)
    return DONE

"""``hash-password`` and ``make-key``: make the hashes that the configuration holds in place of secrets."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Final

from smsgw.cli.console import DONE, REFUSED, Stop
from smsgw.services import passwords

SMPP_OCTETS: Final = 8
"""Octets of the longest password in a bind (3.4 section 4.1.1)."""


def hash_password(_options: argparse.Namespace) -> int:
    """Print the line for the configuration in place of a password."""
    password = _ask_password() if sys.stdin.isatty() else _read_password()
    if len(password.encode("utf-8")) > SMPP_OCTETS:
        print(
            f"The password is longer than {SMPP_OCTETS} octets, the most that an SMPP bind can carry. If the"
            " account uses SMPP, give it an smpp_password too.",
            file=sys.stderr,
        )
    print(f"password_hash = {passwords.hash_password(password)}")
    return DONE


def _ask_password() -> str:
    """Ask for the password twice and return it."""
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise Stop(REFUSED, "The two passwords differ.")
    return _check_password(password)


def _read_password() -> str:
    """Return the first line of standard input."""
    try:
        return _check_password(sys.stdin.buffer.readline().decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError:
        raise Stop(REFUSED, "The password is not UTF-8.") from None


def _check_password(password: str) -> str:
    if not password:
        raise Stop(REFUSED, "The password is empty.")
    return password


def make_key(_options: argparse.Namespace) -> int:
    """Print a new API key and its hash."""
    key, digest = passwords.make_key()
    print(f"api_key_hash = {digest}")
    print(f"; the key for the client, which sends it as password with an empty login: {key}")
    print("Save the key now: the configuration holds only its hash.", file=sys.stderr)
    return DONE

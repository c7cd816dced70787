"""Addresses: normalisation of recipients, and the forms of senders."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_FILLING: Final = str.maketrans("", "", " ()-\u00a0")
_E164: Final = re.compile(r"[1-9][0-9]{4,14}")
_ALPHANUMERIC: Final = re.compile(r"[A-Za-z0-9 _.!&'*+/:-]{1,11}")
_DIGITS: Final = re.compile(r"[0-9]{1,15}")
_SHORT_CODE: Final = 6
"""The most digits of a short code."""


def _russian(digits: str) -> str:
    """Convert the national form 8XXXXXXXXXX to 7XXXXXXXXXX (000-17)."""
    return "7" + digits[1:] if len(digits) == 11 and digits[0] == "8" else digits


def _international(digits: str) -> str:
    return digits


NATIONAL: Final[dict[str, Callable[[str], str]]] = {"ru": _russian, "": _international}
"""By country (the setting ``country``): the function that converts national numbers to international ones."""


def normalise(number: str, national: Callable[[str], str] = _international) -> str | None:
    """Return a number in international form, digits only; None if `number` is malformed.

    Blanks, ``(``, ``)`` and ``-`` are dropped (000-16), as is a leading ``+``.
    """
    if _E164.fullmatch(number):
        return national(number)
    digits = number.translate(_FILLING)
    digits = digits[1:] if digits.startswith("+") else national(digits)
    return digits if _E164.fullmatch(digits) else None


def masked(number: str) -> str:
    """Shorten a number for the log to its first four and last two digits."""
    return f"{number[:4]}...{number[-2:]}" if len(number) > 6 else "..."


def masked_sender(sender: str) -> str:
    """Shorten a sender that is a phone number; alphanumeric senders and short codes are public."""
    digits = sender.removeprefix("+")
    return masked(sender) if digits.isdigit() and len(digits) > _SHORT_CODE else sender


def sender_kind(sender: str) -> tuple[int, int] | None:
    """Return TON and NPI of a sender, or None if it is malformed.

    Up to 15 digits are a number (international if longer than 6, else a short code); up to 11 printable characters are
    an alphanumeric sender.
    """
    digits = sender.removeprefix("+")
    if _DIGITS.fullmatch(digits):
        return (1, 1) if len(digits) > _SHORT_CODE else (0, 1)
    if _ALPHANUMERIC.fullmatch(sender) and sender.strip():
        return (5, 0)
    return None

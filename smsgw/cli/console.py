"""What all commands share: exit statuses, and how things are written for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

DONE: Final = 0
REFUSED: Final = 1
"""The answer is no: refused, not there, not delivered, not readable."""
UNREACHABLE: Final = 69
"""Nothing answers, or the gateway cannot do it at present."""
CONFIGURATION: Final = 78
"""Mistakes in the configuration."""
INTERRUPTED: Final = 130

NOTHING: Final = "-"
"""Stands in a table for what is not there."""


class Stop(Exception):
    """A command cannot go on. The text says why and what can be done; `status` is the exit status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def printable(text: str) -> str:
    """Text from elsewhere, fit for a terminal: control and direction characters become escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def moment(at: float, milliseconds: bool = False) -> str:
    """A time (seconds since 1970) in the local zone."""
    local = datetime.fromtimestamp(at).astimezone()
    return local.isoformat(" ", "milliseconds" if milliseconds else "seconds")


def counted(number: int, thing: str) -> str:
    """``1 part``, ``2 parts``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Lines of a table. Columns of whole numbers are aligned to the right; None shows as a dash."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(heads)
    right = [bool(column) and all(isinstance(value, int) for value in column) for column in columns]
    shown = [[NOTHING if value is None else printable(str(value)) for value in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = [
            value.rjust(width) if to_right else value.ljust(width)
            for value, width, to_right in zip(row, widths, right, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def show(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        print(line)

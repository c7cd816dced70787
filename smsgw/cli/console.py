"""Exit statuses and formatting for all commands."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

DONE: Final = 0
REFUSED: Final = 1
"""Exit status: refused, not found, not delivered, not readable."""
UNREACHABLE: Final = 69
"""Exit status: the gateway does not answer, or is temporarily unable."""
CONFIGURATION: Final = 78
"""Exit status: mistakes in the configuration."""
INTERRUPTED: Final = 130

NOTHING: Final = "-"
"""An absent value in a table."""


class Stop(Exception):
    """A command cannot go on. The text gives the reason and advice; `status` is the exit status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def command() -> str:
    """How this command was called, as the beginning of a command to try."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{_shortest(sys.executable)} -m smsgw"
    found = shutil.which("smsgw")
    if called.name != "smsgw" or (found is not None and Path(found).resolve() == called.resolve()):
        return "smsgw"
    return _shortest(str(called))


def _shortest(path: str) -> str:
    """The path of a file below the working directory without that."""
    inside = os.path.relpath(path)
    return path if inside.startswith(os.pardir) else inside


def printable(text: str) -> str:
    """Make text from other systems safe for a terminal: control and direction characters become escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def moment(at: float, milliseconds: bool = False) -> str:
    """Format a time (seconds since 1970) in the local zone."""
    local = datetime.fromtimestamp(at).astimezone()
    return local.isoformat(" ", "milliseconds" if milliseconds else "seconds")


def counted(number: int, thing: str) -> str:
    """Return the number and the thing, as in ``1 part``, ``2 parts``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a table. Columns of integers are aligned to the right; None is a dash."""
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


def show_table(heads: Sequence[str], rows: Sequence[Sequence[object]], things: str) -> None:
    """Print a table, or that there are no such things."""
    show(table(heads, rows) if rows else [f"there are no such {things}"])


def show(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        print(line)

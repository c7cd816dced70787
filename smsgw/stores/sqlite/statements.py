"""Statements over many rows at once.

A statement over many rows runs as a few executions of fixed sizes, so that prepared statements are reused.
``executemany`` would release the interpreter lock and take it again for every row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from sqlite3 import Cursor
from typing import Any, Final, Protocol

_SIZES: Final = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)

FEW: Final = 32
"""Groups with fewer rows are written together with other groups, because each execution has a cost."""

PREPARED: Final = 700
"""Prepared statements that a connection keeps: every form of every statement here."""

_MANY: Final = tuple(size for size in _SIZES if size >= FEW)


class Forms(dict[int, str]):
    """The text of a statement for each number of rows, made when it is first used."""

    def __init__(self, make: Callable[[int], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, size: int) -> str:
        form = self[size] = self._make(size)
        return form


class Execute(Protocol):
    """``connection.execute``."""

    def __call__(self, sql: str, parameters: Any = ..., /) -> Cursor:
        """Run one statement."""


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    """(start, size) of executions of fixed sizes that make up `count` rows."""
    at = 0
    for size in _SIZES:
        while count - at >= size:
            yield at, size
            at += size


class MultiRow:
    """A statement over many rows of parameters: `before`, `width` marks for each row, `after`.

    Do not search for keys of several columns with ``(a, b) IN (VALUES ...)``: SQLite then scans the whole table. It
    uses the index if the values are joined with the table.

    :param head: how many parameters, ?1 and up in `before` and `after`, go before those of the rows.
    :param single: a simpler statement for one row.
    """

    def __init__(self, before: str, width: int, after: str = "", head: int = 0, single: str = "") -> None:
        self._width = width

        def form(size: int) -> str:
            numbers = iter(range(head + 1, head + size * width + 1))
            rows = (f"({','.join(f'?{next(numbers)}' for _ in range(width))})" for _ in range(size))
            return before + ",".join(rows) + after

        self.forms = Forms(form)
        if single:
            self.forms[1] = single

    def run(self, execute: Execute, parameters: list[Any], head: Sequence[Any] = ()) -> int:
        """Execute over all rows of the flat list `parameters`; returns how many rows were changed."""
        width = self._width
        count = len(parameters) // width
        if count == 1:
            return execute(self.forms[1], [*head, *parameters]).rowcount
        changed = at = 0
        for size in _SIZES:
            while count >= size:
                step = size * width
                changed += execute(self.forms[size], [*head, *parameters[at : at + step]]).rowcount
                at += step
                count -= size
        return changed

    def fetch(self, execute: Execute, parameters: list[Any]) -> list[tuple[Any, ...]]:
        """The same for a question: all rows found."""
        width = self._width
        found: list[tuple[Any, ...]] = []
        for start, size in _chunks(len(parameters) // width):
            found += execute(self.forms[size], parameters[start * width : (start + size) * width]).fetchall()
        return found


class InList:
    """A statement with leading parameters, and `{marks}` once or several times for lists of equal length."""

    def __init__(self, text: str) -> None:
        self.forms = Forms(lambda size: text.format(marks=",".join("?" * size)))

    def run(self, execute: Execute, head: Sequence[Any], *lists: list[Any]) -> int:
        """Execute with the parameters `head` and all elements of `lists`; returns how many rows were changed."""
        left = len(lists[0])
        if left == 1:
            return execute(self.forms[1], [*head, *[values[0] for values in lists]]).rowcount
        changed = at = 0
        for size in _SIZES:
            while left >= size:
                changed += execute(self.forms[size], _values(head, lists, at, size)).rowcount
                at += size
                left -= size
        return changed

    def fetch(self, execute: Execute, head: Sequence[Any], *lists: list[Any]) -> list[tuple[Any, ...]]:
        """The same for a question: all rows found."""
        found: list[tuple[Any, ...]] = []
        for start, size in _chunks(len(lists[0])):
            found += execute(self.forms[size], _values(head, lists, start, size)).fetchall()
        return found


def _values(head: Sequence[Any], lists: Sequence[list[Any]], start: int, size: int) -> list[Any]:
    parameters = [*head]
    for values in lists:
        parameters += values[start : start + size]
    return parameters


class _Grouped:
    """Writes rows that agree in most columns. The shared values are bound once for all rows of a group, since binding a
    value costs more than storing it.

    :ivar forms: the statement for one group, by its number of rows. :ivar rows: the statement for other rows.
    """

    forms: Forms
    rows: MultiRow
    width: int

    def run(self, execute: Execute, groups: Mapping[tuple[Any, ...], list[Any]]) -> int:
        """Execute over all rows, given as flat lists of their own values by their shared values; returns how many rows
        were changed."""
        width = self.width
        others: list[Any] = []
        changed = 0
        for common, parameters in groups.items():
            left = len(parameters) // width
            at = 0
            for size in _MANY if left >= FEW else ():
                while left >= size:
                    changed += execute(self.forms[size], [*common, *parameters[at : at + size * width]]).rowcount
                    at += size * width
                    left -= size
            for start in range(at, len(parameters), width):
                others += common
                others += parameters[start : start + width]
        return changed + self.rows.run(execute, others)


class GroupedInsert(_Grouped):
    """An INSERT of many rows that agree in most columns.

    :param before: the statement up to the names of the columns. :param common: columns whose values many rows share.
    :param own: the other columns. :param twins: columns with the same value as another one, by name.
    """

    def __init__(
        self, before: str, common: Sequence[str], own: Sequence[str], twins: Mapping[str, str] | None = None
    ) -> None:
        twins = twins or {}
        columns = (*common, *own, *twins)
        head = f"{before} ({', '.join(columns)}) VALUES "
        self.width = width = len(own)
        shared = len(common)

        def row(first: int) -> str:
            numbers = {name: f"?{first + place}" for place, name in enumerate(own)}
            return ",".join([*numbers.values(), *(numbers[twin] for twin in twins.values())])

        def grouped(size: int) -> str:
            return head + ",".join(f"({marks},{row(shared + 1 + number * width)})" for number in range(size))

        def separate(size: int) -> str:
            return head + ",".join(
                f"({','.join(f'?{first + place}' for place in range(shared))},{row(first + shared)})"
                for first in range(1, size * every + 1, every)
            )

        marks = ",".join(f"?{number}" for number in range(1, shared + 1))
        every = shared + width
        self.forms = Forms(grouped)
        self.rows = MultiRow(head, every)
        self.rows.forms = Forms(separate)


class GroupedUpdate(_Grouped):
    """An UPDATE of many rows that get the same values in most columns.

    :param table: its name. :param common: columns whose values many rows share.
    :param own: names of the values of each row.
    :param rest: the other assignments, then WHERE and the condition; ``{NAME}`` is a value of the row.
    """

    def __init__(self, table: str, common: Sequence[str], own: Sequence[str], rest: str) -> None:
        self.width = len(own)
        shared = len(common)
        settings = ", ".join(f"{name} = ?{number}" for number, name in enumerate(common, 1))
        set_, where = rest.split(" WHERE ")
        places = {name: f"v.column{number}" for number, name in enumerate(own, 1)}
        grouped = MultiRow(
            f"UPDATE {table} SET {settings}, {set_.format(**places)} FROM (VALUES ",
            len(own),
            f") AS v WHERE {where.format(**places)}",
            shared,
        )
        self.forms = grouped.forms
        settings = ", ".join(f"{name} = v.column{number}" for number, name in enumerate(common, 1))
        places = {name: f"v.column{number}" for number, name in enumerate(own, shared + 1)}
        self.rows = MultiRow(
            f"UPDATE {table} SET {settings}, {set_.format(**places)} FROM (VALUES ",
            shared + len(own),
            f") AS v WHERE {where.format(**places)}",
        )

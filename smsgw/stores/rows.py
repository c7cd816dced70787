"""Rows and the messages they stand for; statements over many rows at once.

A statement for many rows is run in a few executions of fixed sizes, so that its prepared forms are reused:
``executemany`` would let go of the interpreter lock, and fight for it again, at every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sqlite3 import Cursor
from typing import Any, Final, Protocol

from smsgw.model.content import Content
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, EventKind, Incoming, IncomingKind, Message, brief

STATES: Final = tuple(State)
"""The state for a stored number: quicker than calling :class:`State`."""

_SIZES: Final = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)

MOST: Final = 2**63 - 1
"""The largest number that SQLite takes, and so the largest id."""

PREPARED: Final = 600
"""Prepared statements to keep: every form of every statement here."""


class Execute(Protocol):
    """``connection.execute``."""

    def __call__(self, sql: str, parameters: Any = ..., /) -> Cursor:
        """Run one statement."""


class Rows:
    """A statement over many rows of parameters: `before`, one `row` of marks each, `after`.

    Do not look for keys of several columns with ``(a, b) IN (VALUES ...)``: SQLite walks through the whole table for
    that. It uses the index when the values are joined with the table.

    :param single: the same for one row, where a simpler statement does it.
    """

    def __init__(self, before: str, row: str, after: str = "", single: str = "") -> None:
        self._width = row.count("?")
        self._forms = {size: before + ",".join([row] * size) + after for size in _SIZES}
        if single:
            self._forms[1] = single

    def run(self, execute: Execute, parameters: list[Any]) -> int:
        """Execute over all rows of the flat list `parameters`; returns how many rows were changed."""
        width = self._width
        left = len(parameters) // width
        changed = at = 0
        for size in _SIZES:
            while left >= size:
                step = size * width
                changed += execute(
                    self._forms[size], parameters if left == size and not at else parameters[at : at + step]
                ).rowcount
                at += step
                left -= size
        return changed

    def fetch(self, execute: Execute, parameters: list[Any]) -> list[tuple[Any, ...]]:
        """The same for a question: all rows found."""
        width = self._width
        left = len(parameters) // width
        at = 0
        found: list[tuple[Any, ...]] = []
        for size in _SIZES:
            while left >= size:
                step = size * width
                found += execute(self._forms[size], parameters[at : at + step]).fetchall()
                at += step
                left -= size
        return found


class Lists:
    """A statement with parameters of its own and then `{marks}`, once or several times, for equally long lists."""

    def __init__(self, text: str) -> None:
        self._forms = {size: text.format(marks=",".join("?" * size)) for size in _SIZES}

    def run(self, execute: Execute, head: tuple[Any, ...], *lists: list[Any]) -> int:
        """Execute with the parameters `head` and all elements of `lists`; returns how many rows were changed."""
        left = len(lists[0])
        changed = at = 0
        for size in _SIZES:
            while left >= size:
                parameters = [*head]
                for values in lists:
                    parameters += values[at : at + size]
                changed += execute(self._forms[size], parameters).rowcount
                at += size
                left -= size
        return changed

    def fetch(self, execute: Execute, head: tuple[Any, ...], *lists: list[Any]) -> list[tuple[Any, ...]]:
        """The same for a question: all rows found."""
        left = len(lists[0])
        at = 0
        found: list[tuple[Any, ...]] = []
        for size in _SIZES:
            while left >= size:
                parameters = [*head]
                for values in lists:
                    parameters += values[at : at + size]
                found += execute(self._forms[size], parameters).fetchall()
                at += size
                left -= size
        return found


class Alike:
    """An INSERT of many rows that agree in most columns: what rows agree in is bound once for all of them, since
    binding a value costs more than storing it.

    :param before: up to the names of the columns. :param common: columns in which many rows agree.
    :param own: the others.
    """

    FEW: Final = 32
    """Rows that agree, below which they are written together with those that do not: each execution costs, too."""

    def __init__(self, before: str, common: Sequence[str], own: Sequence[str]) -> None:
        head = f"{before} ({', '.join((*common, *own))}) VALUES "
        self._width = width = len(own)
        self._rows = Rows(head, f"({','.join('?' * (len(common) + width))})")
        marks = ",".join(f"?{number}" for number in range(1, len(common) + 1))
        self._forms = {}
        for size in [size for size in _SIZES if size >= self.FEW]:
            numbers = iter(range(len(common) + 1, len(common) + size * width + 1))
            rows = (",".join(f"?{next(numbers)}" for _ in own) for _ in range(size))
            self._forms[size] = head + ",".join(f"({marks},{row})" for row in rows)

    def run(self, execute: Execute, groups: Mapping[tuple[Any, ...], list[Any]]) -> None:
        """Insert rows, given as a flat list of their own values by what they have in common."""
        width = self._width
        others: list[Any] = []
        for common, parameters in groups.items():
            left = len(parameters) // width
            at = 0
            for size, form in self._forms.items():
                while left >= size:
                    execute(form, [*common, *parameters[at : at + size * width]])
                    at += size * width
                    left -= size
            for start in range(at, len(parameters), width):
                others += common
                others += parameters[start : start + width]
        self._rows.run(execute, others)


DELETE_REMOTE: Final = Rows(
    # Without the join SQLite would look at every row of the table for such a list.
    "DELETE FROM remote WHERE (remote_id, connector, message, seq) IN"
    " (SELECT r.remote_id, r.connector, r.message, r.seq FROM (VALUES ",
    "(?,?,?,?)",
    ") AS v CROSS JOIN remote r ON r.remote_id = v.column1 AND r.connector = v.column2"
    " AND r.message = v.column3 AND r.seq = v.column4)",
)
"""Remote ids that are not waited for any more: (remote_id, connector, message, seq)."""

INSERT_QUEUE: Final = Rows("INSERT INTO queue VALUES ", "(?,?,?,?,?)")
"""Messages that may be sent now: (connector, account, -priority, message, expires)."""

DELETE_EVENTS: Final = Lists("DELETE FROM event WHERE account = ? AND path = ? AND kind = ? AND message IN ({marks})")
"""What need not be told any more, of one kind to one account by one path."""

MESSAGE: Final = (
    "m.id, m.account, m.path, m.connector, m.state, m.priority, m.owner, m.attempts, m.notify, m.parts, m.expires, "
    "m.created, m.changed, m.due, m.error, m.dst, m.batch, m.sent, m.remote_id, m.data"
)
"""The columns :func:`to_message` reads, of a table called m."""

MESSAGE_WIDTH: Final = MESSAGE.count(",") + 1


def to_message(row: Sequence[Any]) -> Message:
    """The message a row with the columns :data:`MESSAGE` (and perhaps more behind them) stands for."""
    return Message(
        row[0],
        row[1],
        row[2],
        row[3],
        STATES[row[4]],
        row[5],
        row[6] != "",
        row[7],
        row[8],
        row[9],
        row[10],
        row[11],
        row[12],
        row[13],
        row[14],
        row[15],
        row[16],
        Content.unpack(row[19]),
        row[17],
        row[18],
    )


EVENT: Final = "e.message, e.kind, e.state, e.error, e.at, e.attempts, e.due, e.since"
"""The columns of an event, of a table called e."""

GIVEN_UP: Final = "e.message, e.kind, e.state, e.error, e.at, e.attempts, 0.0, 0.0"
"""The same of one that was given up."""

INCOMING: Final = "id, account, path, kind, connector, source, destination, text, at, answers, seconds, callback"
"""The columns :func:`to_incoming` reads."""


def to_incoming(row: Sequence[Any]) -> Incoming:
    """What came from a subscriber, from a row with the columns :data:`INCOMING`."""
    id, account, path, kind, *rest = row
    return Incoming(id, account, path, IncomingKind(kind), *rest)


_INCOMING_BY_ID = Lists(f"SELECT {INCOMING} FROM incoming WHERE id IN ({{marks}})")


def to_events(execute: Execute, rows: Sequence[Sequence[Any]]) -> list[Event]:
    """The events that rows with the columns :data:`MESSAGE` (absent where it is not about a message) and then
    :data:`EVENT` or :data:`GIVEN_UP` stand for; what came from subscribers is looked up."""
    ids = [row[MESSAGE_WIDTH] for row in rows if row[0] is None]
    incoming = {row[0]: to_incoming(row) for row in _INCOMING_BY_ID.fetch(execute, (), ids)} if ids else {}
    events = []
    for row in rows:
        id, kind, state, error, at, attempts, due, since = row[MESSAGE_WIDTH:]
        about = incoming.get(id) if row[0] is None else brief(to_message(row))
        if about is not None:
            events.append(Event(about, EventKind(kind), STATES[state], error, at, attempts, due, since))
    return events

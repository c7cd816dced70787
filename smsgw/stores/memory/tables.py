"""Tables in dictionaries, with an undo log for transactions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import attrs

from smsgw.stores.rows import MESSAGE
from smsgw.stores.steps import NO_ID, Key, Row

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

PLACES: Final = {name: place for place, name in enumerate(MESSAGE)}
"""The position of each column of a message."""


class Table(Generic[K, V]):
    """Rows by key. Before each change the table adds a function to `undo` that reverts it."""

    def __init__(self, undo: list[Callable[[], object]]) -> None:
        self._undo = undo
        self.rows: dict[K, V] = {}

    def put(self, key: K, row: V) -> None:
        """Insert or replace a row."""
        self._note(key)
        self.rows[key] = row

    def insert(self, key: K, row: V) -> None:
        """Insert a row.

        :raises ValueError: there is a row with this key.
        """
        if key in self.rows:
            raise ValueError(f"the key {key!r} is there already")
        self.put(key, row)

    def drop(self, key: K) -> bool:
        """Delete a row; returns whether there was one."""
        if key not in self.rows:
            return False
        self._note(key)
        del self.rows[key]
        return True

    def page(self, after: Any, limit: int) -> tuple[list[K], K | None]:
        """The keys behind `after` in order, at most `limit`; and the last of them if there are `limit`, else None."""
        keys = sorted(key for key in self.rows if key > after)[:limit]  # type: ignore[type-var]
        return keys, keys[-1] if len(keys) == limit else None

    def _note(self, key: K) -> None:
        if key in self.rows:
            former = self.rows[key]
            self._undo.append(lambda: self.rows.__setitem__(key, former))
        else:
            self._undo.append(lambda: self.rows.pop(key))


@attrs.frozen
class Node:
    """A registered node."""

    epoch: int
    lease_until: float

    def renewed(self, lease_until: float) -> Node:
        """The node with a new end of its lease."""
        return Node(self.epoch, lease_until)

    def taken(self) -> Node:
        """The node after another one took it over: its later writes are refused."""
        return Node(self.epoch + 1, 0.0)


class Tables:
    """All tables of the nodes that share them. Keys and rows:

    :ivar messages: id: MESSAGE. :ivar parts: (message, seq): PART.
    :ivar words: (message, seq): WORDS.
    :ivar awaited: (remote_id, connector, message, seq): due.
    :ivar waiting: (connector, account, -priority, message): expires.
    :ivar deferred: (due, message): (connector, account, -priority, expires).
    :ivar parked: (remote_id, connector): PARKED.
    :ivar events: (login, path, message, seq): EVENT and the node that has it.
    :ivar letters: (message, seq, login, path): EVENT.
    :ivar incoming: id: INCOMING. :ivar confirmations: (phone, number): (account, expires).
    :ivar conditions: (scope, key): CONDITION. :ivar nodes: name: :class:`Node`.
    :ivar counts: (node, state): messages. :ivar last_id: the last id that was reserved for a node.
    """

    def __init__(self) -> None:
        self.undo: list[Callable[[], object]] = []
        self.messages: Table[int, Row] = Table(self.undo)
        self.parts: Table[tuple[int, int], Row] = Table(self.undo)
        self.words: Table[tuple[int, int], Row] = Table(self.undo)
        self.awaited: Table[tuple[str, str, int, int], float] = Table(self.undo)
        self.waiting: Table[tuple[str, str, int, int], float] = Table(self.undo)
        self.deferred: Table[tuple[float, int], Row] = Table(self.undo)
        self.parked: Table[Key, Row] = Table(self.undo)
        self.events: Table[tuple[str, str, int, int], Row] = Table(self.undo)
        self.letters: Table[tuple[int, int, str, str], Row] = Table(self.undo)
        self.incoming: Table[int, Row] = Table(self.undo)
        self.confirmations: Table[tuple[str, str], tuple[str, float]] = Table(self.undo)
        self.conditions: Table[tuple[str, str], Row] = Table(self.undo)
        self.nodes: Table[str, Node] = Table(self.undo)
        self.counts: Table[tuple[str, int], int] = Table(self.undo)
        self.last_id = 0

    def transaction(self, change: Callable[[], None]) -> None:
        """Call `change`; if it raises, undo all that it has changed."""
        self.undo.clear()
        try:
            change()
        except BaseException:
            for undo in reversed(self.undo):
                undo()
            raise

    def set_message(self, id: int, values: Mapping[str, Any]) -> None:
        """Change some columns of a message; its version grows by one."""
        row = list(self.messages.rows[id])
        for name, value in values.items():
            row[PLACES[name]] = storable(value)
        row[PLACES["version"]] += 1
        self.messages.put(id, tuple(row))

    def column(self, id: int, name: str) -> Any:
        """A column of a message, None where there is no such message."""
        row = self.messages.rows.get(id)
        return None if row is None else row[PLACES[name]]

    def parts_of(self, rows: Sequence[Row]) -> list[Row]:
        """The parts of those of the messages that have several."""
        ids = {row[0] for row in rows if row[0] is not None and row[PLACES["parts"]] > 1}
        return [row for (id, _), row in sorted(self.parts.rows.items()) if id in ids]


def storable(value: Any) -> Any:
    """The value as a database would store it.

    :raises ValueError: or UnicodeEncodeError: a database could not store it.
    """
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, int) and not -NO_ID <= value <= NO_ID:
        raise ValueError(f"{value} does not fit 64 bits")
    return value

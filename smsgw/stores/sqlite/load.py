"""Loads rows for a group commit, and messages with their parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from smsgw.stores.rows import CONDITION, ID, MESSAGE, PARKED, PART, PARTS
from smsgw.stores.sqlite.statements import Execute, InList, MultiRow
from smsgw.stores.steps import Load, Loaded, Row

COLUMNS: Final = ", ".join(f"m.{name}" for name in MESSAGE)
"""The columns of the table ``message`` under the alias m."""

_BY_ID: Final = InList(f"SELECT {COLUMNS} FROM message m WHERE m.id IN ({{marks}})")
_BY_BATCH: Final = InList(f"SELECT {COLUMNS} FROM message m WHERE m.batch IN ({{marks}}) AND m.batch > 0 ORDER BY m.id")
_PARTS: Final = InList(f"SELECT {', '.join(PART)} FROM part WHERE message IN ({{marks}})")
_AWAITED: Final = MultiRow(
    f"SELECT {COLUMNS}, r.remote_id, r.connector, r.seq FROM (VALUES ",
    2,
    ") AS v CROSS JOIN awaited_receipt r ON r.remote_id = v.column1 AND r.connector = v.column2"
    " CROSS JOIN message m ON m.id = r.message ORDER BY r.message, r.seq",
)
_PARKED: Final = MultiRow(
    f"SELECT {', '.join(f'p.{name}' for name in PARKED)} FROM (VALUES ",
    2,
    ") AS v CROSS JOIN parked p ON p.remote_id = v.column1 AND p.connector = v.column2",
)
_WAITING: Final = InList(
    "SELECT m.id, m.state FROM message m CROSS JOIN waiting w"
    " ON w.connector = m.connector AND w.account = m.account AND w.rank = -m.priority AND w.message = m.id"
    " WHERE m.id IN ({marks}) AND m.claimed = 0"
)
_DEFERRED: Final = InList(
    "SELECT m.id, m.state FROM message m CROSS JOIN deferred d ON d.due = m.due AND d.message = m.id"
    " WHERE m.id IN ({marks}) AND m.claimed = 0"
)
_CONDITIONS: Final = MultiRow(
    f"SELECT {', '.join(f'c.{name}' for name in CONDITION)} FROM (VALUES ",
    2,
    ") AS v CROSS JOIN condition c ON c.scope = v.column1 AND c.key = v.column2",
)


def load(execute: Execute, wanted: Load) -> Loaded:
    """Load the rows that `wanted` names."""
    loaded = Loaded()
    if wanted.messages:
        loaded.messages = by_id(execute, wanted.messages)
    if wanted.cancels:
        loaded.messages += _cancellable(execute, wanted.cancels)
    if wanted.awaited:
        loaded.awaited = _AWAITED.fetch(execute, _flat(wanted.awaited))
    loaded.parts = parts_of(execute, loaded.messages) + parts_of(execute, loaded.awaited)
    if wanted.parked:
        loaded.parked = _PARKED.fetch(execute, _flat(wanted.parked))
    if wanted.claims:
        ids = list(wanted.claims)
        claimable = _WAITING.fetch(execute, (), ids)
        if len(claimable) < len(ids):
            claimable += _DEFERRED.fetch(execute, (), ids)
        loaded.claimable = claimable
    if wanted.conditions:
        loaded.conditions = _CONDITIONS.fetch(execute, _flat(wanted.conditions))
    return loaded


def _cancellable(execute: Execute, ids: Iterable[int]) -> list[Row]:
    """The messages with these ids, or of the batches with these ids."""
    wanted = list(ids)
    rows = by_id(execute, wanted)
    found = {row[ID] for row in rows}
    batches = [id for id in wanted if id not in found]
    if batches:
        rows += [row for row in _BY_BATCH.fetch(execute, (), batches) if row[ID] not in found]
    return rows


def by_id(execute: Execute, ids: Iterable[int]) -> list[Row]:
    """The messages with these ids, in order of ids."""
    return sorted(_BY_ID.fetch(execute, (), list(ids)))


def parts_of(execute: Execute, rows: Sequence[Row]) -> list[Row]:
    """The parts of those of the messages that have several."""
    several = list({row[ID] for row in rows if row[PARTS] is not None and row[PARTS] > 1})
    return [*_PARTS.fetch(execute, (), several)] if several else []


def with_parts(execute: Execute, rows: Sequence[Row]) -> Loaded:
    """Messages and their parts."""
    return Loaded(messages=list(rows), parts=parts_of(execute, rows))


def _flat(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [value for pair in pairs for value in pair]

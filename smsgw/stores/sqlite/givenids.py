"""The ids that a database has given to messages, batches and incoming texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_GIVEN: Final = (
    ("node", "counter"),
    ("message", "id"),
    ("message WHERE batch > 0", "batch"),
    ("incoming", "id"),
    ("condition", "id"),
)
"""The tables and columns that may hold the highest id."""


def highest_id(execute: Callable[..., Any]) -> int:
    """The highest id that was given; 0 if there is none."""
    given: int = max(execute(f"SELECT ifnull(max({column}), 0) FROM {table}").fetchone()[0] for table, column in _GIVEN)
    return given


def skip_ids(execute: Callable[..., Any], highest: int) -> None:
    """Give no id up to `highest` from the next opening on."""
    execute("UPDATE node SET counter = max(counter, ?)", (highest,))

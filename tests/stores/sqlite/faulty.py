"""A connection to SQLite that fails when a test sets it to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smsgw.stores.sqlite.opening import connect


def trouble(code: int, text: str = "injected") -> sqlite3.Error:
    """An error of the driver with this result code."""
    kind = (
        sqlite3.DatabaseError if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else sqlite3.OperationalError
    )
    error = kind(text)
    error.sqlite_errorcode = code
    error.sqlite_errorname = f"code {code}"
    return error


class FaultyConnection:
    """Passes everything on to a real connection, but calls :attr:`before` and :attr:`after` around each statement."""

    def __init__(self, path: Path) -> None:
        self.real = connect(path)
        self.count = 0
        self.before: Callable[[str, int], None] = lambda sql, count: None
        self.after: Callable[[str, int], None] = lambda sql, count: None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute, if it may."""
        self.count += 1
        count = self.count
        self.before(sql, count)
        cursor = self.real.execute(sql, parameters)
        try:
            self.after(sql, count)
        except sqlite3.Error:
            cursor.close()  # or the traceback would keep the database open
            raise
        return cursor

    @property
    def in_transaction(self) -> bool:
        """Of the real one."""
        return self.real.in_transaction

    def close(self) -> None:
        """Close the real one."""
        self.real.close()

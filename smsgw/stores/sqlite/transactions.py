"""Transactions on one SQLite connection, and the classification of their failures.

There are three kinds of failure. The *data* of a call cannot be stored: only that call fails. The store cannot write
*now* (disk full, locked): the transaction is rolled back, and a later one may succeed. The disk or the file is
*broken*: its content is unknown, so everything is refused until the next start has checked it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final, TypeVar

import attrs

from smsgw.model.errors import GatewayError, StoreDown, UnknownOutcome

T = TypeVar("T")

PASSING: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL}
)
"""Primary result codes after which the store can be used again, once the transaction is rolled back."""

BROKEN: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTFOUND,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Primary result codes after which the content of the disk is unknown."""


@attrs.define(eq=False)
class Transactions:
    """Runs functions inside transactions of `connection`, in the store's thread.

    :ivar broke: called once with the reason when the store is broken.
    :ivar broken: why the store is broken; empty while it works.
    """

    connection: sqlite3.Connection
    broke: Callable[[str], None]
    broken: str = attrs.field(default="", init=False)

    def run(self, write: Callable[[], T]) -> T:
        """Call `write` inside a transaction, commit it (synced), and return what it returned.

        Any other exception is one that `write` raised; the transaction is rolled back.

        :raises StoreDown: the store failed, and nothing was stored.
        :raises UnknownOutcome: the commit failed and may have happened.
        """
        self._check()
        committing = False
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            result = write()
            committing = True
            self.connection.execute("COMMIT")
        except BaseException as why:
            trouble = self.diagnose(why, committing) or self._roll_back()
            if trouble is not None:
                raise trouble from why
            raise
        return result

    def read(self, ask: Callable[[], T]) -> T:
        """Call `ask`, which only reads.

        :raises StoreDown: the store cannot answer.
        """
        self._check()
        try:
            return ask()
        except (sqlite3.Error, MemoryError) as why:
            raise self.diagnose(why, False) or StoreDown(f"the store cannot answer: {why}") from why

    def _check(self) -> None:
        if self.broken:
            raise StoreDown(self.broken)

    def diagnose(self, why: BaseException, committing: bool) -> GatewayError | None:
        """The failure for the callers if the store caused `why`, else None."""
        if isinstance(why, MemoryError):
            return self._roll_back() or StoreDown("out of memory")
        if not isinstance(why, sqlite3.Error):
            return None
        code = getattr(why, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in PASSING:
            return self._roll_back() or StoreDown(f"the store cannot write now: {why}")
        if code in BROKEN:
            return self.fail(f"the store failed: {why} ({getattr(why, 'sqlite_errorname', code)})", committing)
        return None

    def _roll_back(self) -> GatewayError | None:
        """Roll back; the failure for the callers if that fails too, else None."""
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error as why:
            return self.fail(f"the store failed to roll back: {why}")
        return None

    def fail(self, why: str, committing: bool = False) -> GatewayError:
        """Run nothing more, and say so; returns the failure for the caller."""
        if not self.broken:
            self.broken = why
            self.broke(why)
        return UnknownOutcome(why) if committing else StoreDown(why)

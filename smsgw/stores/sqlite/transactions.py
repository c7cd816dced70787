"""Transactions on one SQLite connection: what to do, and what to tell, when one fails.

Three kinds of failure are told apart. The *data* of a call will not go in: that call's fault, everybody else must
not notice. The store cannot write *now* (disk full, locked): nothing was kept, it may work again. The disk or the
file is *broken*: what is on it is unknown, so nothing more is promised until the next start has looked.
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
"""Primary result codes after which a store that was rolled back can be used again."""

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
"""Primary result codes after which what is on the disk is unknown."""


@attrs.define(eq=False)
class Transactions:
    """Runs functions inside transactions of `connection`, in the store's thread.

    :ivar broke: is told, once, that the store is broken, and why.
    :ivar broken: why nothing is promised any more; empty while all is well.
    """

    connection: sqlite3.Connection
    broke: Callable[[str], None]
    broken: str = attrs.field(default="", init=False)

    def run(self, write: Callable[[], T]) -> T:
        """Call `write` inside a transaction, commit it (synced), and return what it returned.

        :raises StoreDown: nothing was kept, and it was not the fault of `write`.
        :raises UnknownOutcome: the commit failed in such a way that it may have happened.
            Any other exception is what `write` raised; nothing was kept.
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

    def look(self, ask: Callable[[], T]) -> T:
        """Call `ask`, which changes nothing.

        :raises StoreDown: no answer could be had.
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
        """What to tell those who wait, if `why` was the store's fault."""
        if isinstance(why, MemoryError):
            return self._roll_back() or StoreDown("out of memory")
        if not isinstance(why, sqlite3.Error):
            return None
        code = getattr(why, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in PASSING:
            return self._roll_back() or StoreDown(f"the store cannot write now: {why}")
        if code in BROKEN:
            return self._break(f"the store failed: {why} ({getattr(why, 'sqlite_errorname', code)})", committing)
        return None

    def _roll_back(self) -> GatewayError | None:
        """Undo; what to tell if even that fails."""
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error as why:
            return self._break(f"the store failed to roll back: {why}", False)
        return None

    def _break(self, why: str, committing: bool) -> GatewayError:
        if not self.broken:
            self.broken = why
            self.broke(why)
        return UnknownOutcome(why) if committing else StoreDown(why)

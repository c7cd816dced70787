"""The tables of the SQLite store, as numbered migrations.

============ ===========================================================================================
message      one row per message for as long as it is kept; ``data`` is the packed content, ``owner`` the
             node that claimed it or empty; no index names ``state``, which changes with every step
part         what became of the parts of messages that have several; a part without a row is unsent
remote       one row per receipt awaited; remote_id leads the key, because that is what a receipt brings
queue        messages waiting to be claimed, in the order of sending (rank: -priority)
later        messages waiting for their time to come; then they go into the queue
parked       receipts that matched nothing, the newest per id
event        what senders are still to be told
dead         events that nobody took in time, until they are told after all or their message is deleted
incoming     what came from subscribers
idempotency  keys of accounts, and what was stored under each
confirmation calls that are waited for
node         per node: what it claimed has ids from `floor` on, or is in `claim`; the highest id that was
             deleted (counter)
claim        ids below the floor that are claimed, and some that were
tally        messages per state, kept in the same transactions as the messages
============ ===========================================================================================

Absent values are 0 and empty strings, never NULL: binding None costs the driver several times as much.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from smsgw.model.errors import StoreDown

MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE message (
            id INTEGER PRIMARY KEY,
            account TEXT NOT NULL,
            path TEXT NOT NULL,
            connector TEXT NOT NULL,
            state INTEGER NOT NULL,
            priority INTEGER NOT NULL,
            owner TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            notify INTEGER NOT NULL,
            parts INTEGER NOT NULL,
            expires REAL NOT NULL,
            created REAL NOT NULL,
            changed REAL NOT NULL,
            due REAL NOT NULL,
            error INTEGER NOT NULL,
            dst TEXT NOT NULL,
            batch INTEGER NOT NULL,
            sent REAL NOT NULL,
            remote_id TEXT NOT NULL,
            data BLOB NOT NULL
        )
        """,
        "CREATE INDEX message_batch ON message (batch) WHERE batch > 0",
        """
        CREATE TABLE part (
            message INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            state INTEGER NOT NULL,
            error INTEGER NOT NULL,
            remote_id TEXT NOT NULL,
            PRIMARY KEY (message, seq)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE remote (
            remote_id TEXT NOT NULL,
            connector TEXT NOT NULL,
            message INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            due REAL NOT NULL,
            PRIMARY KEY (remote_id, connector, message, seq)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE queue (
            connector TEXT NOT NULL,
            account TEXT NOT NULL,
            rank INTEGER NOT NULL,
            message INTEGER NOT NULL,
            expires REAL NOT NULL,
            PRIMARY KEY (connector, account, rank, message)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE later (
            due REAL NOT NULL,
            message INTEGER NOT NULL,
            connector TEXT NOT NULL,
            account TEXT NOT NULL,
            rank INTEGER NOT NULL,
            expires REAL NOT NULL,
            PRIMARY KEY (due, message)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE parked (
            remote_id TEXT NOT NULL,
            connector TEXT NOT NULL,
            since REAL NOT NULL,
            state INTEGER NOT NULL,
            error INTEGER NOT NULL,
            at REAL NOT NULL,
            raw BLOB NOT NULL,
            PRIMARY KEY (remote_id, connector)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX parked_since ON parked (since)",
        """
        CREATE TABLE event (
            account TEXT NOT NULL,
            path TEXT NOT NULL,
            message INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            state INTEGER NOT NULL,
            error INTEGER NOT NULL,
            at REAL NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            due REAL NOT NULL DEFAULT 0,
            PRIMARY KEY (account, path, message, kind)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE node (
            name TEXT PRIMARY KEY,
            floor INTEGER NOT NULL,
            counter INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE TABLE claim (message INTEGER PRIMARY KEY)",
        "CREATE TABLE tally (state INTEGER PRIMARY KEY, messages INTEGER NOT NULL)",
    ),
    (
        "ALTER TABLE event ADD COLUMN since REAL NOT NULL DEFAULT 0",
        """
        CREATE TABLE dead (
            message INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            account TEXT NOT NULL,
            path TEXT NOT NULL,
            state INTEGER NOT NULL,
            error INTEGER NOT NULL,
            at REAL NOT NULL,
            attempts INTEGER NOT NULL,
            PRIMARY KEY (message, kind)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX dead_account ON dead (account)",
        """
        CREATE TABLE incoming (
            id INTEGER PRIMARY KEY,
            account TEXT NOT NULL,
            path TEXT NOT NULL,
            kind INTEGER NOT NULL,
            connector TEXT NOT NULL,
            source TEXT NOT NULL,
            destination TEXT NOT NULL,
            text TEXT NOT NULL,
            at REAL NOT NULL,
            answers INTEGER NOT NULL,
            seconds INTEGER NOT NULL,
            callback TEXT NOT NULL
        )
        """,
        "CREATE INDEX incoming_account ON incoming (account, id)",
        """
        CREATE TABLE idempotency (
            account TEXT NOT NULL,
            key TEXT NOT NULL,
            digest BLOB NOT NULL,
            id INTEGER NOT NULL,
            at REAL NOT NULL,
            PRIMARY KEY (account, key)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX idempotency_at ON idempotency (at)",
        """
        CREATE TABLE confirmation (
            phone TEXT NOT NULL,
            number TEXT NOT NULL,
            account TEXT NOT NULL,
            expires REAL NOT NULL,
            PRIMARY KEY (phone, number)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX confirmation_expires ON confirmation (expires)",
    ),
)
"""Step n takes a database from version n to n + 1 (``PRAGMA user_version``), in one transaction."""


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring the database to the newest version, one transaction per step.

    :raises StoreDown: when it is already newer than this program knows.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise StoreDown(
            f"the database has schema version {version}, this program knows version {len(migrations)}: "
            "start the newer program, or restore a backup made before it"
        )
    for number in range(version, len(migrations)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in migrations[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

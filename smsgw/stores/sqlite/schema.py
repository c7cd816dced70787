"""The tables of the SQLite store, as numbered migrations.

=============== ========================================================================================
message         one row per message for as long as it is kept; ``data`` packs what never changes and is only asked
                for together with the message (:mod:`smsgw.stores.packed`); ``cut`` is the packed cut, empty where
                the only part is the whole text; ``leased_to`` the node that has it or empty, ``claimed`` 1 while it
                may have been written to the upstream; ``version`` counts its changes, but for those of the straight
                way: their states say as much; no index names ``state``, which changes with every step
part            parts that were sent or ended, of messages that have several; a part without a row is unsent
last_words      what an upstream said last about a part that it did not take, or did not deliver
awaited_receipt one row per receipt awaited; remote_id leads the key, because that is what a receipt brings
waiting         messages that are due and wait to be claimed, in the order of sending (rank: -priority)
deferred        messages that are due later: scheduled, or to be tried again
parked          receipts without a known part, the newest per id
event           events that are not yet acknowledged; ``seq`` is the position among the events of the message
dead_letter     events that no client took in time, until they are replayed or their message is deleted
batch           how many messages of a batch are in each state
incoming        messages, calls and keys from subscribers
condition       keys that were used once, and the amounts used of limits, until a time (0: for ever)
confirmation    accounts that wait for a call
node            per node: its epoch and the end of its lease; ``floor``: claimed ids are >= floor, or listed in
                ``claim``; ``counter``: ids up to it were given, also if no row has them
claim           per node: ids below the floor that are, or were, claimed
state_count     messages per node and state, kept in the same transactions as the messages
=============== ========================================================================================

Absent values are 0 and empty strings, never NULL: binding None costs the driver several times as much. The tables that
every message passes (``message``, ``awaited_receipt``, ``event``) declare no NOT NULL: SQLite would test each value of
each row, a seventh of the steps of an INSERT, and no write set holds a None.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from smsgw.model.errors import StoreDown

_EVENT: Final = """
            login TEXT,
            path TEXT,
            message INTEGER,
            seq INTEGER,
            kind INTEGER,
            state INTEGER,
            error INTEGER,
            at REAL,
            attempts INTEGER DEFAULT 0,
            due REAL DEFAULT 0,
            since REAL DEFAULT 0,
            leased_to TEXT DEFAULT '',
            payload BLOB DEFAULT x'',
"""

MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE message (
            id INTEGER PRIMARY KEY,
            account TEXT,
            login TEXT,
            path TEXT,
            connector TEXT,
            state INTEGER,
            priority INTEGER,
            leased_to TEXT,
            claimed INTEGER,
            attempts INTEGER,
            parts INTEGER,
            expires REAL,
            created REAL,
            changed REAL,
            due REAL,
            error INTEGER,
            recipient TEXT,
            batch INTEGER,
            sent REAL,
            remote_id TEXT,
            version INTEGER DEFAULT 0,
            cut BLOB DEFAULT x'',
            data BLOB
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
        CREATE TABLE last_words (
            message INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            state INTEGER NOT NULL,
            connector TEXT NOT NULL,
            at REAL NOT NULL,
            words TEXT NOT NULL,
            PRIMARY KEY (message, seq)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE awaited_receipt (
            remote_id TEXT,
            connector TEXT,
            message INTEGER,
            seq INTEGER,
            due REAL,
            PRIMARY KEY (remote_id, connector, message, seq)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE waiting (
            connector TEXT NOT NULL,
            account TEXT NOT NULL,
            rank INTEGER NOT NULL,
            message INTEGER NOT NULL,
            expires REAL NOT NULL,
            PRIMARY KEY (connector, account, rank, message)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE deferred (
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
        f"CREATE TABLE event ({_EVENT} PRIMARY KEY (login, path, message, seq)) WITHOUT ROWID",
        f"CREATE TABLE dead_letter ({_EVENT} PRIMARY KEY (message, seq, login, path)) WITHOUT ROWID",
        "CREATE INDEX dead_letter_login ON dead_letter (login)",
        """
        CREATE TABLE batch (
            id INTEGER NOT NULL,
            state INTEGER NOT NULL,
            messages INTEGER NOT NULL,
            PRIMARY KEY (id, state)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE incoming (
            id INTEGER PRIMARY KEY,
            account TEXT NOT NULL,
            path TEXT NOT NULL,
            kind INTEGER NOT NULL,
            connector TEXT NOT NULL,
            sender TEXT NOT NULL,
            recipient TEXT NOT NULL,
            text TEXT NOT NULL,
            at REAL NOT NULL,
            answers INTEGER NOT NULL,
            seconds INTEGER NOT NULL,
            callback TEXT NOT NULL
        )
        """,
        "CREATE INDEX incoming_account ON incoming (account, id)",
        """
        CREATE TABLE condition (
            scope TEXT NOT NULL,
            key TEXT NOT NULL,
            until REAL NOT NULL,
            used INTEGER NOT NULL,
            id INTEGER NOT NULL,
            digest BLOB NOT NULL,
            PRIMARY KEY (scope, key)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX condition_until ON condition (until) WHERE until > 0",
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
        """
        CREATE TABLE node (
            name TEXT PRIMARY KEY,
            epoch INTEGER NOT NULL,
            lease_until REAL NOT NULL,
            floor INTEGER NOT NULL,
            counter INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE TABLE claim (node TEXT NOT NULL, message INTEGER NOT NULL, PRIMARY KEY (node, message)) WITHOUT ROWID",
        """
        CREATE TABLE state_count (
            node TEXT NOT NULL,
            state INTEGER NOT NULL,
            messages INTEGER NOT NULL,
            PRIMARY KEY (node, state)
        ) WITHOUT ROWID
        """,
    ),
)
"""Step n takes a database from version n to n + 1 (``PRAGMA user_version``), in one transaction."""


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Migrate the database to the newest version, in one transaction per step.

    :raises StoreDown: the database has a newer version than this program knows.
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

"""The embedded engine: SQL, a schema, a connection and its thread."""

from smsgw.stores.sqlite.engine import SqliteEngine
from smsgw.stores.sqlite.thread import THREAD, Inline, StoreThread

__all__ = ["THREAD", "Inline", "SqliteEngine", "StoreThread"]

"""The in-memory engine: tables in dictionaries that several nodes may share, and answers on later turns of the reactor.
For tests, and for programs that embed the gateway and need no durable store."""

from smsgw.stores.memory.engine import MemoryEngine
from smsgw.stores.memory.tables import Tables

__all__ = ["MemoryEngine", "Tables"]

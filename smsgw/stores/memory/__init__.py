"""The in-memory engine: tables in dictionaries that several nodes may share, answers on later turns. For tests and for
programs that embed the gateway and need nothing to survive."""

from smsgw.stores.memory.engine import MemoryEngine
from smsgw.stores.memory.tables import Tables

__all__ = ["MemoryEngine", "Tables"]

"""INSERTs whose rows have most values in common."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.stores.rows import Alike


class AlikeTests(SynchronousTestCase):
    """However rows are grouped, they are those of single INSERTs."""

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.text(max_size=3)), max_size=700))
    def test_every_row(self, rows: list[tuple[str, int, str]]) -> None:
        """Large groups and small ones, all rows, each once."""
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE t (own TEXT, common TEXT, number INTEGER, also)")
        executions: list[int] = []

        def execute(sql: str, parameters: list[object]) -> sqlite3.Cursor:
            executions.append(len(parameters))
            return connection.execute(sql, parameters)

        groups: dict[tuple[object, ...], list[object]] = {}
        for at, (common, number, own) in enumerate(rows):
            groups.setdefault((common, number), []).extend((own, at))
        Alike("INSERT INTO t", ("common", "number"), ("own", "also")).run(execute, groups)  # type: ignore[arg-type]
        found = sorted(connection.execute("SELECT common, number, own, also FROM t"), key=lambda row: row[3])
        self.assertEqual(found, [(common, number, own, at) for at, (common, number, own) in enumerate(rows)])
        connection.close()

    def test_bound_once(self) -> None:
        """What many rows agree in is bound once for each statement; a few rows are written with the others."""
        bound: list[int] = []

        def execute(_: str, parameters: list[object]) -> sqlite3.Cursor:
            bound.append(len(parameters))
            return sqlite3.connect(":memory:").execute("SELECT 1")

        insert = Alike("INSERT INTO t", ("a", "b", "c"), ("own",))
        insert.run(execute, {("x", 1, 2): [*range(512 + 16)], ("y", 1, 2): [1], ("z", 1, 2): [2]})  # type: ignore[arg-type]
        self.assertEqual(bound, [3 + 512, 16 * 4, 2 * 4])

"""Statements over many rows."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.stores.sqlite.statements import GroupedInsert, GroupedUpdate, MultiRow


class GroupedInsertTests(SynchronousTestCase):
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
        GroupedInsert("INSERT INTO t", ("common", "number"), ("own", "also")).run(execute, groups)  # type: ignore[arg-type]
        found = sorted(connection.execute("SELECT common, number, own, also FROM t"), key=lambda row: row[3])
        self.assertEqual(found, [(common, number, own, at) for at, (common, number, own) in enumerate(rows)])
        connection.close()

    def test_bound_once(self) -> None:
        """What many rows agree in is bound once for each statement; a few rows are written with the others."""
        bound: list[int] = []

        def execute(_: str, parameters: list[object]) -> sqlite3.Cursor:
            bound.append(len(parameters))
            return sqlite3.connect(":memory:").execute("SELECT 1")

        insert = GroupedInsert("INSERT INTO t", ("a", "b", "c"), ("own",))
        insert.run(execute, {("x", 1, 2): [*range(512 + 16)], ("y", 1, 2): [1], ("z", 1, 2): [2]})  # type: ignore[arg-type]
        self.assertEqual(bound, [3 + 512, 16 * 4, 2 * 4])

    def test_twins(self) -> None:
        """A column may have the value of another, which is bound once."""
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE t (a, own, also, twin)")
        insert = GroupedInsert("INSERT INTO t", ("a",), ("own", "also"), {"twin": "own"})
        groups: dict[tuple[object, ...], list[object]] = {("x",): [], ("y",): [90, 91]}
        for number in range(40):
            groups["x",] += (number, -number)
        insert.run(connection.execute, groups)
        found = sorted(connection.execute("SELECT a, own, also, twin FROM t"))
        self.assertEqual(found, [*(("x", n, -n, n) for n in range(40)), ("y", 90, 91, 90)])
        connection.close()


class UpdateTests(SynchronousTestCase):
    """UPDATEs of many rows."""

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), max_size=400))
    def test_grouped(self, changes: list[tuple[str, int]]) -> None:
        """However rows are grouped, each gets its own values, and only if its guard holds."""
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, common, number, version)")
        connection.executemany("INSERT INTO t VALUES (?, '', 0, 7)", ((id,) for id in range(len(changes) + 1)))
        update = GroupedUpdate(
            "t",
            ("common",),
            ("id", "number", "version"),
            "number = {number}, version = version + 1 WHERE t.id = {id} AND version = {version}",
        )
        groups: dict[tuple[object, ...], list[object]] = {}
        for id, (common, number) in enumerate(changes):
            groups.setdefault((common,), []).extend((id, number, 6 if number == 2 else 7))
        changed = update.run(connection.execute, groups)
        expected = [
            (id, "", 0, 7) if number == 2 else (id, common, number, 8) for id, (common, number) in enumerate(changes)
        ]
        self.assertEqual(connection.execute("SELECT * FROM t").fetchall(), [*expected, (len(changes), "", 0, 7)])
        self.assertEqual(changed, sum(number != 2 for _, number in changes))
        connection.close()

    def test_head(self) -> None:
        """What all rows of an UPDATE get is bound once for each execution, also where there is one row."""
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)")
        connection.executemany("INSERT INTO t VALUES (?, 0, 0)", ((id,) for id in range(71)))
        update = MultiRow(
            "UPDATE t SET a = ?1, b = v.column2 FROM (VALUES ",
            2,
            ") AS v WHERE t.id = v.column1 AND a = ?2",
            2,
            "UPDATE t SET a = ?1, b = ?4 WHERE id = ?3 AND a = ?2",
        )
        rows = [value for id in range(70) for value in (id, -id)]
        self.assertEqual(update.run(connection.execute, [*rows, 70, -70], (5, 0)), 71)
        self.assertEqual(update.run(connection.execute, [70, 0], (6, 0)), 0)
        self.assertEqual(connection.execute("SELECT * FROM t").fetchall(), [(id, 5, -id) for id in range(71)])
        connection.close()

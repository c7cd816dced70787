"""Tests of the character tables against the published ones."""

from twisted.trial.unittest import SynchronousTestCase

from smsgw.text import tables
from tests.text import oracle


def main_cells(table: str) -> dict[int, str]:
    """The cells of a main table that have a character."""
    return {value: cell for value, cell in enumerate(table) if cell not in (tables.UNDEFINED, "\x1b")}


class TableTests(SynchronousTestCase):
    """Every cell of every table."""

    def test_default(self) -> None:
        """The default alphabet and its extension are the published ones, cell by cell."""
        self.assertEqual(main_cells(tables.DEFAULT), oracle.DEFAULT)
        self.assertEqual(tables.EXTENSION, oracle.EXTENSION)

    def test_locking_shift(self) -> None:
        """The locking shift tables are the published ones: the same languages, the same cells, the same gaps."""
        ours = {0: main_cells(tables.DEFAULT)} | {
            language: main_cells(table) for language, table in tables.LOCKING.items()
        }
        self.assertEqual(ours, oracle.LOCKING)

    def test_single_shift(self) -> None:
        """The single shift tables are the published ones: the same languages, the same cells, the same gaps."""
        self.assertEqual({0: tables.EXTENSION} | tables.SINGLE, oracle.SINGLE)

    def test_shape(self) -> None:
        """Every main table has 128 cells with the escape, and nothing else, at 0x1B."""
        for table in (tables.DEFAULT, *tables.LOCKING.values()):
            self.assertEqual(len(table), 128)
            self.assertEqual([at for at, cell in enumerate(table) if cell == "\x1b"], [0x1B])

    def test_space(self) -> None:
        """0x20 is a space in every main table, so that ESC ESC can be read as that octet."""
        self.assertEqual({table[0x20] for table in (tables.DEFAULT, *tables.LOCKING.values())}, {" "})

    def test_fallbacks(self) -> None:
        """The one-way replacements are the published ones, except for upsilon, which is shaped like Y and not like
        U."""
        self.assertEqual(tables.FALLBACKS, oracle.FALLBACKS)

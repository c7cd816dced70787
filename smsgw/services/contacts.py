"""Contact lists of accounts; their numbers are read in pages."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Final

from smsgw.config import ListSettings, Settings

PAGE: Final = 1_000
"""Numbers of one page."""

LONGEST_NUMBER: Final = 30
"""Characters of a field that are read; the rest of it is ignored."""

_TITLES: Final = frozenset({"phone", "number", "msisdn"})
_DELIMITERS: Final = (";", "\t", ",")


class Contacts:
    """The contact lists as they are configured now."""

    def __init__(self, settings: Settings) -> None:
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Replace all lists."""
        self._lists: Mapping[tuple[str, str], ListSettings] = {
            (one.account, one.title): one for one in settings.lists.values()
        }

    def get(self, account: str, title: str) -> ListSettings | None:
        """The list named `title` of `account`, case ignored; None if there is no such list."""
        return self._lists.get((account, title.lower()))


def pages(one: ListSettings) -> Iterator[list[str]]:
    """The numbers of a list as they are written: first those of gw.ini, then those of its file. Each page reads a
    further piece of the file.

    :raises OSError: the file cannot be read. :raises ValueError: the file is not UTF-8 or not CSV.
    """
    numbers = chain(one.numbers, _read_numbers(one.file) if one.file is not None else ())
    while page := list(islice(numbers, PAGE)):
        yield page


def _read_numbers(path: Path) -> Iterator[str]:
    """The numbers in one column of a CSV file: the column whose title is in :data:`_TITLES`, else the first."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline(10_000)
        delimiter = max(_DELIMITERS, key=first.count)
        titles = [title.strip().lower() for title in next(csv.reader([first], delimiter=delimiter), [])]
        column = next((place for place, title in enumerate(titles) if title in _TITLES), None)
        if column is None:
            column = 0
            file.seek(0)
        try:
            for row in csv.reader(file, delimiter=delimiter):
                if len(row) > column and (number := row[column].strip()[:LONGEST_NUMBER]):
                    yield number
        except csv.Error as error:
            raise ValueError(f"not CSV: {error}") from None

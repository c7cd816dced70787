"""The numbered behaviours of the providers' documents: each has a test whose docstring carries its number."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

TESTS = Path(__file__).resolve().parent
NUMBER = re.compile(r"\((00[0-4])-([0-9]+)\)")

NUMBERS = {
    "000": range(1, 41),
    "001": range(41, 104),
    "002": range(104, 135),
    "003": range(135, 177),
    "004": range(177, 201),
}
"""The numbers of each document: SMTP of QUICKTEL, SMPP and callbacks of smsc, SMPP of SMS-Agent, Rostelecom's JSON."""

SPOKEN = {
    *(("000", number) for number in NUMBERS["000"]),
    *(("002", number) for number in NUMBERS["002"] if number != 126),
    *(("004", number) for number in NUMBERS["004"]),
}
"""What the gateway does: all of QUICKTEL, callbacks but those of HLR queries, all of Rostelecom."""


def docstrings() -> Iterator[str]:
    """Those of all tests."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield ast.get_docstring(node) or ""


@cache
def tested() -> frozenset[tuple[str, int]]:
    """The numbers that stand in them."""
    return frozenset((document, int(number)) for text in docstrings() for document, number in NUMBER.findall(text))


class BehaviourTests(SynchronousTestCase):
    def test_each_is_tested(self) -> None:
        """What the gateway does of the providers' manners is tested, number by number."""
        self.assertEqual(sorted(SPOKEN - tested()), [])

    def test_numbers_exist(self) -> None:
        """A number in a docstring is one of its document."""
        unknown = [(document, number) for document, number in tested() if number not in NUMBERS[document]]
        self.assertEqual(unknown, [])

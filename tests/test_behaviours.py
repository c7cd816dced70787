"""The numbered behaviours of the providers' documents: each has a test with its number in the docstring."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

TESTS = Path(__file__).resolve().parent
NUMBER = re.compile(r"\((00[0-4])-([0-9]+)(, in part)?\)")

NUMBERS = {
    "000": range(1, 41),
    "001": range(41, 104),
    "002": range(104, 135),
    "003": range(135, 177),
    "004": range(177, 201),
}
"""The numbers of each document: SMTP of QUICKTEL, SMPP and callbacks of smsc, SMPP of SMS-Agent, Rostelecom's JSON."""

ABSENT = {("002", 126)}
"""Behaviours that the gateway does not have: callbacks of HLR queries."""

IN_PART = {
    ("002", 125): "cnt is sent; type and flag are 0, as there is no other channel and no flag yet",
    ("002", 128): "confirmations by call come from the simulated message centre alone",
    ("002", 130): "keys of a voice menu come from the simulated message centre alone",
    ("002", 131): "-3, 2, 4 and 6 belong to states that do not exist yet",
    ("004", 197): "insufficient_balance has its word, and no message gets into that state yet",
}
"""Behaviours that the gateway has in part, and what is missing."""

SPOKEN = {(document, number) for document in ("000", "002", "004") for number in NUMBERS[document]} - ABSENT
"""Behaviours that the gateway has, whole or in part: QUICKTEL, callbacks except those of HLR queries, Rostelecom."""


def docstrings() -> Iterator[str]:
    """Return the docstrings of all tests."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield ast.get_docstring(node) or ""


@cache
def tested(part: str = "") -> frozenset[tuple[str, int]]:
    """Return the numbers in them; with `part` those marked "in part"."""
    found = (mark for text in docstrings() for mark in NUMBER.findall(text))
    return frozenset((document, int(number)) for document, number, said in found if said == part)


class BehaviourTests(SynchronousTestCase):
    def test_each_is_tested(self) -> None:
        """Each behaviour that the gateway has is tested."""
        self.assertEqual(sorted(SPOKEN - IN_PART.keys() - tested()), [])

    def test_in_part(self) -> None:
        """Tests of behaviours that the gateway has in part are marked "in part"."""
        self.assertEqual(tested(", in part"), IN_PART.keys())
        self.assertEqual(tested() & IN_PART.keys(), set())

    def test_numbers_exist(self) -> None:
        """Each number in a docstring exists in its document."""
        unknown = [(document, number) for document, number in tested() if number not in NUMBERS[document]]
        self.assertEqual(unknown, [])

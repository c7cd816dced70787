"""The table of error codes."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.errorcodes import ASSUMED, REFUSED, ErrorCode, meaning
from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import FINAL

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.rst"


class TableTests(SynchronousTestCase):
    """Numbers, names and meanings."""

    def test_numbers(self) -> None:
        """Every number fits the three digits of a receipt and the octet of query_sm_resp, and stands once."""
        numbers = [int(code) for code in ErrorCode.__members__.values()]
        self.assertEqual(len(numbers), len(set(numbers)))
        self.assertTrue(all(0 < number <= 0xFF for number in numbers))

    def test_written(self) -> None:
        """A code is formatted as its number, in every way of formatting."""
        code = ErrorCode.NO_ROUTE
        self.assertEqual((f"{code}", f"{code:03d}", b"%03d" % code), ("248", "248", b"248"))

    def test_meanings(self) -> None:
        """Each has a meaning of its own, one short clause in words."""
        meanings = [code.meaning for code in ErrorCode]
        self.assertEqual(len(meanings), len(set(meanings)))
        for words in meanings:
            self.assertRegex(words, r"\A[A-Za-z][^.\n]{8,75}[^.\s]\Z")

    @given(st.integers(0, 70_000))
    def test_meaning_of_any(self, number: int) -> None:
        """What is in the table has its meaning; any other number has none."""
        known = {int(code): code.meaning for code in ErrorCode}
        self.assertEqual(meaning(number), known.get(number, ""))

    def test_provider(self) -> None:
        """The numbers that the gateway gives are the provider's (001.11)."""
        self.assertEqual(
            (ErrorCode.NO_SUBSCRIBER, ErrorCode.OFFLINE, ErrorCode.NOT_CONVERTED, ErrorCode.NO_RECEIPT,
             ErrorCode.NO_ROUTE, ErrorCode.BAD_NUMBER, ErrorCode.SENDER_NOT_AGREED, ErrorCode.UNEXPLAINED),
            (1, 6, 241, 245, 248, 249, 254, 255),
        )  # fmt: skip
        self.assertEqual(REFUSED[Refusal.BAD_RECIPIENT], 249)

    def test_assumed(self) -> None:
        """Only a final state has an assumed code."""
        self.assertLessEqual(set(ASSUMED), FINAL)

    def test_page(self) -> None:
        """docs/errors.rst has every code with its meaning, and no other."""
        rows = re.findall(r"^([0-9]{1,3}) +(.+)$", PAGE.read_text("utf-8"), re.MULTILINE)
        self.assertEqual(rows, [(str(int(code)), code.meaning) for code in ErrorCode])

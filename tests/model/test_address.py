"""Tests of numbers and sender names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.address import NATIONAL, masked, normalise, sender_kind

russian = NATIONAL["ru"]


class NumberTests(SynchronousTestCase):
    """How a recipient is read."""

    def test_filling_is_dropped(self) -> None:
        """(000-16) Parentheses and hyphens are dropped from a number."""
        self.assertEqual(normalise("7(916)123-45-67", russian), "79161234567")

    def test_trunk_prefix(self) -> None:
        """(000-17) The Russian 8XXXXXXXXXX becomes 7XXXXXXXXXX."""
        self.assertEqual(normalise("89061234567", russian), "79061234567")
        self.assertEqual(normalise("8 (906) 123-45-67", russian), "79061234567")

    def test_plus_means_international(self) -> None:
        """A number with a plus is international, for every setting of the country."""
        self.assertEqual(normalise("+86123456789", russian), "86123456789")

    def test_no_number(self) -> None:
        """Letters, foreign digits, nothing, too little and too much are no numbers."""
        for wrong in (
            "",
            "+",
            "abc",
            "791612345a7",
            "\u0667\u0669\u0661\u0666\u0661\u0662\u0663",
            "123",
            "7" * 16,
            "0916",
            "7916\n",
        ):
            self.assertIsNone(normalise(wrong, russian), wrong)

    @given(st.text(max_size=30))
    def test_total(self, text: str) -> None:
        """For any text the result is digits or None."""
        number = normalise(text, russian)
        self.assertTrue(number is None or (number.isdecimal() and number.isascii()))

    def test_masked(self) -> None:
        """A log shows four digits in front and two behind, and nothing of a short number."""
        self.assertEqual(masked("79161234567"), "7916...67")
        self.assertEqual(masked("112"), "...")


class SenderTests(SynchronousTestCase):
    """What a sender may look like."""

    def test_kinds(self) -> None:
        """Names, numbers and short codes get their TON and NPI; anything else is malformed."""
        self.assertEqual(sender_kind("DEMO"), (5, 0))
        self.assertEqual(sender_kind("79161234567"), (1, 1))
        self.assertEqual(sender_kind("+79161234567"), (1, 1))
        self.assertEqual(sender_kind("1234"), (0, 1))
        for wrong in ("", "TWELVELETTER", "\u0414\u0415\u041c\u041e", "A\nB", "   ", "1" * 16):
            self.assertIsNone(sender_kind(wrong), wrong)

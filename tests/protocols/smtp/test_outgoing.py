"""Mails that a client hands over, and what comes out of them at the server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import SubmissionSettings
from smsgw.protocols.smtp.lines import MessageReader
from smsgw.protocols.smtp.outgoing import LONGEST_LINE, stuffed


class StuffedTests(SynchronousTestCase):
    @given(st.lists(st.text(".ab \t", max_size=5), min_size=1, max_size=8))
    def test_round_trip(self, lines: list[str]) -> None:
        """A message with any lines arrives unchanged, ends where it ended, and leaves no rest in the buffer."""
        message = "".join(line + "\r\n" for line in lines).encode()
        reader = MessageReader(SubmissionSettings())
        octets = bytearray(stuffed(message) + b"\r\n")
        self.assertTrue(reader.take(octets))
        self.assertEqual((reader.message(), octets), (message, b""))

    @given(st.binary(max_size=40))
    def test_anything(self, message: bytes) -> None:
        """What is not refused ends once, at its end."""
        try:
            octets = bytearray(b"\r\n" + stuffed(message) + b"\r\n")
        except ValueError:
            return
        self.assertEqual(octets.find(b"\r\n.\r\n"), len(octets) - 5)

    def test_long_lines(self) -> None:
        """A line has a bound, its stuffed dot not counted."""
        self.assertEqual(len(stuffed(b"." * LONGEST_LINE + b"\r\n")), LONGEST_LINE + 4)
        self.assertRaises(ValueError, stuffed, b"x" * (LONGEST_LINE + 1) + b"\r\n")

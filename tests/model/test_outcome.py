"""The words of an upstream, as they are kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.lifecycle import State
from smsgw.model.outcome import LONGEST_WORDS, LastWords, quoted, quoted_receipt, reason


class QuotedTests(SynchronousTestCase):
    """Any text in a form that can be stored and printed."""

    @given(st.text())
    def test_u5_bounded_and_printable(self, text: str) -> None:
        """The result is printable, short, and can be stored."""
        kept = quoted(text)
        self.assertTrue(kept.isprintable())
        self.assertLessEqual(len(kept.encode("utf-8")), LONGEST_WORDS)

    @given(st.binary())
    def test_u5_receipt(self, raw: bytes) -> None:
        """So are receipts, whatever their octets."""
        self.assertTrue(quoted_receipt(raw).isprintable())

    def test_u5_kept(self) -> None:
        """An ordinary text is kept as it is; line ends become escapes, and the text of the message is left out."""
        self.assertEqual(quoted(" 550 5.1.1 нет абонента\r\n"), "550 5.1.1 нет абонента")
        self.assertEqual(quoted("a\nb"), "a\\nb")
        self.assertEqual(quoted_receipt(b"id:1 stat:REJECTD err:011 Text:secret"), "id:1 stat:REJECTD err:011")


class ReasonTests(SynchronousTestCase):
    """The words that a client gets."""

    def test_u5_reason(self) -> None:
        """Of several parts the first one that ended as the message did; other words are not for clients."""
        words = [
            LastWords(3, State.REJECTED, "sim", 1.0, "third"),
            LastWords(2, State.REJECTED, "sim", 2.0, "second"),
            LastWords(1, State.QUEUED, "sim", 3.0, "busy"),
        ]
        self.assertEqual(reason(words, State.REJECTED), "second")
        self.assertEqual(reason(words, State.EXPIRED), "")

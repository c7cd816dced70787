"""What a store knows without asking its engine."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from smsgw.stores.cache import Recent


class RecentTests(SynchronousTestCase):
    """The newest things, in bounds."""

    def test_half_is_forgotten(self) -> None:
        """At least the newest half of the limit is known, at most the limit."""
        recent: Recent[int, int] = Recent(10)
        for number in range(100):
            recent.put(number, number)
            recent.trim()
            self.assertLessEqual(len(recent.young) + len(recent.old), 10)
            self.assertTrue(all(recent.get(known) == known for known in range(max(0, number - 4), number + 1)))

    def test_more(self) -> None:
        """What counts as several things leaves room for fewer."""
        recent: Recent[int, int] = Recent(10)
        for number in range(100):
            recent.put(number, number, 2)
            recent.trim()
            self.assertLessEqual(len(recent.young) + len(recent.old), 4)
            self.assertEqual(recent.get(number), number)

    def test_take(self) -> None:
        """What is taken is forgotten, wherever it was."""
        recent: Recent[int, int] = Recent(4)
        for number in range(3):
            recent.put(number, number)
            recent.trim()
        for number in range(3):
            recent.take(number)
        self.assertEqual([recent.get(number) for number in range(3)], [None] * 3)

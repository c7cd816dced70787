"""Tests of rates and retries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.pacing import Bucket, back_off


class BucketTests(SynchronousTestCase):
    """A token bucket."""

    def test_no_limit(self) -> None:
        """A rate of 0 is no limit."""
        bucket = Bucket(0, 1)
        bucket.charge(10**6)
        self.assertGreater(bucket.level(0.0), 10**9)
        self.assertEqual(bucket.wait(0.0), 0.0)

    def test_debt(self) -> None:
        """A long text passes while anything is left and is paid off afterwards."""
        bucket = Bucket(10, 10)
        bucket.charge(25)
        self.assertEqual(bucket.level(0.0), -15)
        self.assertAlmostEqual(bucket.wait(0.0), 1.6)
        self.assertEqual(bucket.level(2.0), 5)

    def test_owe(self) -> None:
        """What is taken beyond the level is owed for so long; idle time before it saved up no more than the burst."""
        bucket = Bucket(10, 10)
        self.assertEqual([bucket.owe(10, 5.0), bucket.owe(5, 5.0), bucket.owe(5, 6.0)], [0.0, 0.5, 0.0])
        self.assertEqual(bucket.owe(1, 6.0), 0.1)
        self.assertEqual(Bucket(0, 0).owe(1000, 0.0), 0.0)

    def test_take(self) -> None:
        """Tokens are taken one by one while there are any."""
        bucket = Bucket(1, 2)
        self.assertEqual([bucket.take(0.0) for _ in range(3)], [True, True, False])
        self.assertEqual([bucket.take(1.0), bucket.take(1.0)], [True, False])

    def test_burst_is_a_ceiling(self) -> None:
        """Idle time saves up no more than the burst."""
        bucket = Bucket(10, 3)
        self.assertEqual(bucket.level(1000.0), 3)

    @given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 5)), max_size=30))
    def test_never_more_than_the_rate(self, steps: list[tuple[float, int]]) -> None:
        """For any pattern, no more passes than the burst and the rate allow, plus one overdraft."""
        bucket, now, passed = Bucket(5, 5), 0.0, 0
        for pause, wanted in steps:
            now += pause
            if bucket.level(now) > 0:
                bucket.charge(wanted)
                passed += wanted
        self.assertLessEqual(passed, 5 + 5 * now + 5)


class BackOffTests(SynchronousTestCase):
    """Pauses between attempts."""

    def test_doubles_up_to_the_limit(self) -> None:
        """Each pause is twice the one before, never above the limit, however many attempts there were."""
        self.assertEqual([back_off(n, 5, 60) for n in (1, 2, 3, 4, 5, 6, 10_000)], [5, 10, 20, 40, 60, 60, 60])

"""The settings of ``twistd smsgw`` for the whole process."""

from __future__ import annotations

import gc
import weakref

from twisted.trial.unittest import SynchronousTestCase

from smsgw import tap


class Cycle:
    """An object with a reference to itself."""

    def __init__(self) -> None:
        self.itself = self


class CollectionTests(SynchronousTestCase):
    """The thresholds of the garbage collector."""

    def test_less_often(self) -> None:
        """Collections are rare and exclude the objects loaded at start; cycles are still collected."""
        before = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *before)
        self.addCleanup(gc.unfreeze)
        tap._collect_less_often()
        self.assertEqual(gc.get_threshold(), (tap.OBJECTS_BETWEEN_LOOKS, *before[1:]))
        self.assertGreater(gc.get_freeze_count(), 10_000)
        gone = weakref.ref(Cycle())
        kept = [[] for _ in range(tap.OBJECTS_BETWEEN_LOOKS + 1)]  # type: ignore[var-annotated]
        self.assertIsNone(gone(), len(kept))

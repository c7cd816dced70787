"""What was said of events on its way into the store: one commit at a time, a pause after a failure, nothing lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.errors import StoreDown
from smsgw.model.message import Event
from smsgw.services.outbox.acknowledgements import Acknowledgements
from tests.services.outbox.support import ByHandStore, event, name


class AcknowledgementsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A store by hand, and what is reported of it."""
        self.reported: list[list[tuple[int, int]] | str] = []
        self.store: Any = ByHandStore()
        self.acknowledgements = Acknowledgements(self.store, self.stored, lambda: self.reported.append("failed"))

    def stored(self, events: Sequence[Event]) -> None:
        """A commit succeeded."""
        self.reported.append([name(each) for each in events])

    def test_one_at_a_time(self) -> None:
        """What comes during a commit is one commit behind it; nothing is committed where there is nothing."""
        self.acknowledgements.flush()
        self.store.by_hand = True
        for id in (1, 2, 3):
            self.acknowledgements.add([event(id)])
            self.acknowledgements.flush()
        self.acknowledgements.retry(event(4), 1060.0)
        self.assertFalse(self.acknowledgements.idle)
        for _ in range(2):
            self.store.work()
            self.store.answer()
        self.assertEqual((self.store.commits, self.store.acknowledged), (2, [(1, 2), (2, 2), (3, 2)]))
        self.assertEqual(self.store.later, [((4, 2), 1060.0)])
        self.assertEqual(self.reported, [[(1, 2)], [(2, 2), (3, 2)]])
        self.assertTrue(self.acknowledgements.idle)

    def test_failure(self) -> None:
        """What a failed commit acknowledged comes first in the next; the owner waits until it tries again."""
        self.store.broken = StoreDown("full")
        self.acknowledgements.add([event(1)])
        self.acknowledgements.flush()
        self.assertEqual((self.reported, self.acknowledgements.waiting), (["failed"], True))
        self.store.broken = None
        self.acknowledgements.add([event(2)])
        self.acknowledgements.try_again()
        self.assertFalse(self.acknowledgements.waiting)
        self.acknowledgements.flush()
        self.assertEqual(self.reported, ["failed", [(1, 2), (2, 2)]])

    def test_drop(self) -> None:
        """What is dropped is not committed any more."""
        self.acknowledgements.add([event(1)])
        self.acknowledgements.retry(event(2), 1060.0)
        self.acknowledgements.drop()
        self.acknowledgements.flush()
        self.assertEqual((self.store.commits, self.acknowledgements.idle), (0, True))

"""The threads that share Python's lock keep to one processor."""

from __future__ import annotations

import os
import threading
from unittest import skipUnless

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.program import processor
from smsgw.program.processor import IN_THE_WAY, LOOK, Processor, Times

ALLOWED = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


@skipUnless(len(ALLOWED) > 1, "there is but one processor, or the system does not tell")
class ProcessorTests(SynchronousTestCase):
    """With a store's thread and another one that do nothing."""

    def setUp(self) -> None:
        """They run."""
        self.clock = Clock()
        self.keeper = Processor(self.clock)
        self.over = threading.Event()
        self.store = self.thread("store")
        self.other = self.thread("passwords")
        self.addCleanup(os.sched_setaffinity, 0, ALLOWED)

    def thread(self, name: str) -> threading.Thread:
        """One that waits for the end of the test."""
        thread = threading.Thread(target=self.over.wait, name=name)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.over.set)
        return thread

    def place(self, thread: threading.Thread) -> frozenset[int]:
        """Where a thread may run."""
        assert thread.native_id is not None
        return frozenset(os.sched_getaffinity(thread.native_id))

    def together(self) -> int:
        """The processor of both threads; fails if they are not on the same."""
        places = {self.place(threading.main_thread()), self.place(self.store)}
        ((one,),) = places
        return one

    def test_together(self) -> None:
        """Both keep to one processor, other threads to none; afterwards all may go where they like."""
        self.keeper.start()
        self.assertIn(self.together(), ALLOWED)
        self.assertEqual(self.place(self.other), ALLOWED)
        self.keeper.stop()
        for thread in (threading.main_thread(), self.store, self.other):
            self.assertEqual(self.place(thread), ALLOWED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_later_threads(self) -> None:
        """A thread that comes later begins on our processor, and is let go at the next look."""
        self.keeper.start()
        late = self.thread("mails")
        self.assertEqual(len(self.place(late)), 1)
        self.clock.advance(LOOK)
        self.assertEqual(self.place(late), ALLOWED)
        self.keeper.stop()

    def test_others_in_the_way(self) -> None:
        """Where somebody else has the processor for long while we want it, we go elsewhere; what keeps it busy
        because we do, or because nobody wants it, is no reason."""
        self.keeper.start()
        first = self.together()
        reading = Times(0.0, 0.0)
        self.patch(processor, "_times", lambda threads: reading)
        self.keeper._before = reading
        busy = 1.5 * IN_THE_WAY * LOOK
        for ran, waited, stays in ((LOOK, busy, True), (0.0, 0.0, True), (busy, busy, False)):
            reading = Times(reading.ran + ran, reading.waited + waited)
            self.clock.advance(LOOK)
            self.assertEqual(self.together() == first, stays, (ran, waited))
        self.keeper.stop()

    def test_counted(self) -> None:
        """What the system counts is read: this thread runs."""
        before = processor._times([threading.main_thread()])
        sum(range(3_000_000))
        self.assertGreater(processor._times([threading.main_thread()]).ran, before.ran)


class NoChoiceTests(SynchronousTestCase):
    """Where there is nothing to choose."""

    def test_one_processor(self) -> None:
        """With one processor nothing is done."""
        self.patch(os, "sched_getaffinity", lambda _: {0})
        self.assert_idle()

    def test_system_does_not_tell(self) -> None:
        """Where the system does not count, or says no, it decides itself."""

        def refused(_: int) -> set[int]:
            raise PermissionError

        self.patch(os, "sched_getaffinity", refused)
        self.assert_idle()

    def assert_idle(self) -> None:
        """It starts and stops without anything happening."""
        clock = Clock()
        keeper = Processor(clock)
        keeper.start()
        self.assertEqual(clock.getDelayedCalls(), [])
        keeper.stop()

"""Gathering calls while a commit runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smsgw.interfaces import StoreCondition
from smsgw.model.changes import Cancel, Changes, Committed
from smsgw.model.errors import StoreDown
from smsgw.stores.groupcommit import GroupCommit
from smsgw.stores.steps import Step, Steps, drive
from tests.stores.stepped import Stepped

T = TypeVar("T")


@attrs.define(eq=False)
class SteppedEngine:
    """An engine without data, which works when the test lets it."""

    runner: Stepped
    shared = False

    def open(self, broke: Callable[[str], None]) -> None:
        """Nothing is to be opened."""

    def close(self) -> None:
        """Nothing is to be closed."""

    def room(self) -> bool:
        """There is always room."""
        return True

    def check(self) -> StoreCondition:
        """There is nothing to look at."""
        return StoreCondition()

    def run(self, steps: Steps[Any], done: Callable[[Any], None]) -> None:
        self.runner.run(partial(self._work, steps, done))

    def _work(self, steps: Steps[Any], done: Callable[[Any], None]) -> None:
        try:
            result = drive(steps, self._take)
        except (ZeroDivisionError, AssertionError):
            result = Failure()
        self.runner.report(partial(done, result))

    def _take(self, step: Step) -> None:
        raise AssertionError("there are no data")


class GroupCommitTests(SynchronousTestCase):
    """The gathering itself, without a store."""

    def setUp(self) -> None:
        """A group whose commits note what they carried."""
        self.runner = Stepped()
        self.carried: list[list[int]] = []
        self.group = GroupCommit(SteppedEngine(self.runner), self.carry_out, 10)
        self.log: list[object] = []

    def carry_out(self, calls: Sequence[Changes]) -> Steps[list[Committed | Failure]]:
        """Number calls by their cancels."""
        yield from ()
        self.carried.append([call.cancels[0].id for call in calls])
        return [Committed([], [], [[]] * call.cancels[0].id, []) for call in calls]

    def look(self, ask: Callable[[], T]) -> Steps[T]:
        """A look-up."""
        yield from ()
        return ask()

    def commit(self, number: int, rows: int = 1) -> Deferred[Committed]:
        """Call number `number`, of so many rows."""
        done = self.group.commit(Changes(cancels=[Cancel(None, number)] * rows))
        done.addCallbacks(lambda committed: self.log.append(len(committed.cancels)), self.log.append)
        return done

    def test_gathers_while_a_commit_runs(self) -> None:
        """Calls that come while a commit runs share the next one; results come in order of calls, each its own."""
        for number in range(1, 5):
            self.commit(number)
        self.assertEqual(len(self.runner.work), 1)
        self.runner.step()
        self.assertEqual((self.carried, self.log), ([[1]], [1]))
        self.runner.step()
        self.assertEqual((self.carried, self.log), ([[1], [2, 3, 4]], [1, 2, 3, 4]))

    def test_next_starts_before_callbacks(self) -> None:
        """The next commit is under way when the calls of the former return; what they call then joins the one after."""

        def again(_: object) -> None:
            self.assertEqual(len(self.runner.work), 1)
            self.commit(9)

        self.commit(1).addCallback(again)
        self.commit(2)
        self.runner.step()
        self.runner.step()
        self.runner.step()
        self.assertEqual(self.carried, [[1], [2], [9]])

    def test_one_report_per_commit(self) -> None:
        """The reactor is woken once for all callers of a commit."""
        self.commit(1)
        for number in range(2, 50):
            self.group.commit(Changes(cancels=[Cancel(None, number)]))
            if number > 9:
                break
        self.runner.step()
        self.runner.step()
        self.assertEqual(self.runner.reports, 2)

    def test_reads_come_behind_the_changes_called_before(self) -> None:
        """A read is done after the commit that shares its batch, and callers of the commit do not wait for it."""
        self.commit(1)
        self.commit(2)
        self.group.run(self.look(lambda: len(self.carried))).addCallback(lambda seen: self.log.append(("read", seen)))
        self.commit(3)
        self.runner.step()
        self.runner.step()
        self.assertEqual(self.log, [1, 2, 3, ("read", 2)])

    def test_a_read_fails_alone(self) -> None:
        """A look-up that raises fails its own caller only."""
        failing = self.group.run(self.look(lambda: 1 // 0))
        following = self.group.run(self.look(lambda: 5))
        self.runner.step()
        self.runner.step()
        self.failureResultOf(failing, ZeroDivisionError)
        self.assertEqual(self.successResultOf(following), 5)

    def test_every_call_is_answered(self) -> None:
        """Even a fault of the store itself is answered, and the next commit is done."""

        def fault(calls: Sequence[Changes]) -> Steps[list[Committed | Failure]]:
            yield from ()
            raise ZeroDivisionError

        self.group = GroupCommit(SteppedEngine(self.runner), fault, 10)
        failing, next_one = self.group.commit(Changes()), self.group.commit(Changes())
        self.runner.step()
        self.failureResultOf(failing, ZeroDivisionError)
        self.runner.step()
        self.failureResultOf(next_one, ZeroDivisionError)

    def test_bound(self) -> None:
        """Above the bound new messages are refused at once; what finishes others may take as much again."""
        self.commit(1)
        self.commit(2, 10)
        refused = self.group.commit(Changes(accepts=[None]))  # type: ignore[list-item]
        self.failureResultOf(refused, StoreDown)
        self.commit(3, 10)
        self.failureResultOf(self.group.commit(Changes(cancels=[Cancel(None, 4)])), StoreDown)
        self.runner.step()
        self.commit(5, 10)
        self.runner.step()
        self.runner.step()
        self.assertEqual(self.carried, [[1], [2, 3], [5]])

    def test_a_large_call_alone(self) -> None:
        """A single call above the bound is carried out: refusing it would not help."""
        self.commit(1, 50)
        self.runner.step()
        self.assertEqual(self.carried, [[1]])

    def test_close(self) -> None:
        """Closing waits for what was called before, twice does no harm, and nothing is taken after it."""
        self.commit(1)
        self.commit(2)
        first, second = self.group.close(), self.group.close()
        self.failureResultOf(self.group.commit(Changes()), StoreDown)
        self.failureResultOf(self.group.run(self.look(lambda: 1)), StoreDown)
        self.runner.step()
        self.assertNoResult(first)
        self.runner.step()
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(self.group.close())
        self.assertEqual(self.log, [1, 2])

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from smsgw import services
from smsgw.model.changes import Changes, Committed
from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.services.commits import Commits


class CommitsTests(SynchronousTestCase):
    """The one object through which services commit."""

    def setUp(self) -> None:
        """A store that answers with `result`, and an outbox that notes what it gets."""
        self.result: Deferred[Committed] = succeed(Committed([], [], [], []))
        self.log: list[Any] = []
        self.asked: list[Changes] = []
        self.fault: Exception | None = None
        self.commits = Commits(self, self)  # type: ignore[arg-type]

    def commit(self, changes: Changes) -> Deferred[Committed]:
        """The store."""
        self.asked.append(changes)
        return self.result

    def occurred(self, events: Sequence[Any]) -> None:
        """The outbox."""
        if self.fault is not None:
            raise self.fault
        self.log.append(events)

    def test_announces(self) -> None:
        """The events of a commit reach the outbox once, before the caller goes on."""
        event = object()
        committed = Committed([], [], [], [event])  # type: ignore[list-item]
        self.result = succeed(committed)
        changes = Changes()
        done = self.commits.commit(changes).addCallback(self.log.append)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual((self.asked, self.log), ([changes], [[event], committed]))

    def test_nothing_to_announce(self) -> None:
        """A commit without events leaves the outbox alone."""
        self.successResultOf(self.commits.commit(Changes()))
        self.assertEqual(self.log, [])

    def test_u8_ended(self) -> None:
        """The messages that a commit ended are counted by account, connector and state."""
        for _ in range(2):
            committed = Committed([], [], [], [])
            committed.count("demo", "sim", State.NO_MONEY, 3)
            self.result = succeed(committed)
            self.successResultOf(self.commits.commit(Changes()))
        self.assertEqual(dict(self.commits.metrics.ended), {("demo", "sim", "no_money"): 6})

    def test_fault_of_the_outbox(self) -> None:
        """An exception of the outbox is logged; the caller gets the result of its commit all the same."""
        self.fault = ZeroDivisionError("a fault of the outbox")
        committed = Committed([], [], [], [object()])  # type: ignore[list-item]
        self.result = succeed(committed)
        self.assertIs(self.successResultOf(self.commits.commit(Changes())), committed)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_failure(self) -> None:
        """A failed commit fails for the caller, and announces nothing."""
        self.result = fail(StoreDown("full"))
        self.failureResultOf(self.commits.commit(Changes()), StoreDown)
        self.assertEqual(self.log, [])

    def test_used_by_all(self) -> None:
        """No service but the outbox asks the store itself, so none can forget to announce."""
        root = Path(services.__path__[0])
        found = {
            file.relative_to(root).as_posix()
            for file in root.rglob("*.py")
            if re.search(r"\bstore\.commit\(|_store\.commit\(", file.read_text("utf-8"))
        }
        self.assertEqual(found, {"commits.py", "outbox/acknowledgements.py", "outbox/outbox.py"})

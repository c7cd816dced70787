"""A store whose work waits for the test."""

from __future__ import annotations

from collections.abc import Callable

from smsgw.stores.sqlite import Inline


class Stepped(Inline):
    """Does the store's work when the test calls it, so that calls gather."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []
        self.reports = 0

    def run(self, work: Callable[[], None]) -> None:
        """Keep it for later."""
        self.work.append(work)

    def report(self, call: Callable[[], None]) -> None:
        """Count it."""
        self.reports += 1
        call()

    def step(self) -> None:
        """Do what was given so far."""
        work, self.work = self.work, []
        for one in work:
            one()

    def finish(self) -> None:
        """Do everything, and what comes of it."""
        while self.work:
            self.step()

"""An engine that fails on request, over any other engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs

from smsgw.interfaces import StoreCondition
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.stores.steps import Engine, Load, Stale, Step, Steps, Write

Fault = Literal["load", "write", "unknown", "unknown, not kept", "stale", "bad data"]
"""What fails: a load or a look-up; a write, of which nothing is kept; a commit that happened after all, or did not; a
guard; the data."""

FAULTS: tuple[Fault, ...] = ("load", "write", "unknown", "unknown, not kept", "stale", "bad data")


@attrs.define(eq=False)
class FaultyEngine:
    """Takes steps to a real engine, but for those that fail.

    :ivar fault: what fails. :ivar at: the number of the step of that kind that fails, from 1; 0 for none.
    :ivar count: steps of that kind until now. :ivar times: how many in a row fail.
    """

    inner: Engine
    fault: Fault = "write"
    at: int = 0
    times: int = 1
    count: int = 0
    broke: Callable[[str], None] = attrs.field(default=lambda why: None, init=False)

    @property
    def shared(self) -> bool:
        """As the real one."""
        return self.inner.shared

    def open(self, broke: Callable[[str], None]) -> Any:
        """Open the real one."""
        self.broke = broke
        return self.inner.open(broke)

    def close(self) -> Any:
        """Close the real one."""
        return self.inner.close()

    def room(self) -> bool:
        """As the real one."""
        return self.inner.room()

    def check(self) -> StoreCondition:
        """As the real one."""
        return self.inner.check()

    def run(self, steps: Steps[Any], done: Callable[[Any], None]) -> None:
        """Run them there."""
        self.inner.run(self._between(steps), done)

    def _between(self, steps: Steps[Any]) -> Steps[Any]:
        """The same steps, of which one fails."""
        try:
            step = next(steps)
            while True:
                try:
                    value = yield from self._taken(step)
                except Exception as why:  # noqa: BLE001 - the steps decide what follows
                    step = steps.throw(why)
                else:
                    step = steps.send(value)
        except StopIteration as end:
            return end.value

    def _taken(self, step: Step) -> Steps[Any]:
        if not self._fails(step):
            return (yield step)
        if self.fault == "unknown":
            yield step
        if self.fault.startswith("unknown"):
            self.broke("injected")
            raise UnknownOutcome("injected")
        if self.fault == "stale":
            raise Stale("injected")
        if self.fault == "bad data":
            raise ValueError("injected")
        raise StoreDown("injected")

    def _fails(self, step: Step) -> bool:
        """Whether it is this step's turn."""
        if (type(step) is Write) != (self.fault != "load") or (self.fault == "load" and type(step) is not Load):
            return False
        self.count += 1
        return 0 < self.at <= self.count < self.at + self.times

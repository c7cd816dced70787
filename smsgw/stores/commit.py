"""One group commit as steps: load what is not cached, decide, write. Pure.

If a guard fails, the steps are taken again without the cache entries concerned. After a second failure, and if the data
of a call cannot be stored, each call is committed alone, so that the other calls succeed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import attrs
from twisted.python.failure import Failure

from smsgw.model.changes import Changes, Committed, Reported
from smsgw.model.errors import GatewayError, StoreDown
from smsgw.model.message import DeliveryReport
from smsgw.stores.cache import Cache
from smsgw.stores.lastwords import add_new_words, concerns
from smsgw.stores.needs import look_up
from smsgw.stores.questions import ParkedAndAwaited
from smsgw.stores.rows import STATES
from smsgw.stores.steps import Key, Loaded, Stale, Steps, Write
from smsgw.stores.transitions import Transitions
from smsgw.stores.writeset import WriteSet

T = TypeVar("T")

ATTEMPTS: Final = 20
"""How often the steps of one call are repeated because other nodes change the same messages, before the call fails."""


class Unstorable(StoreDown):
    """The data of one call cannot be stored; ``__cause__`` is the error."""


_NOTHING: Final = Loaded()
_GONE: Final = "other nodes change the same messages all the time"


@attrs.define(eq=False)
class CommitSteps:
    """Makes group commits with one cache.

    :ivar begin: makes the empty write set of a transaction.
    """

    cache: Cache
    begin: Callable[[], WriteSet]

    def commit(self, calls: Sequence[Changes]) -> Steps[list[Committed | Failure]]:
        """Commit `calls`; returns the result or the failure of each call."""
        for _ in range(2):
            try:
                committed = yield from self._attempt(calls)
            except Stale:
                continue
            except GatewayError as why:
                return [Failure(why) for _ in calls]
            except Exception as why:  # noqa: BLE001 - any exception here is caused by the data of a call
                if len(calls) == 1:
                    return [self._failed(why)]
                break
            return [*committed]
        results: list[Committed | Failure] = []
        for call in calls:
            result = yield from self._alone(call)
            results.append(result)
        return results

    def _alone(self, call: Changes) -> Steps[Committed | Failure]:
        for _ in range(ATTEMPTS):
            try:
                (committed,) = yield from self._attempt([call])
            except Stale:
                continue
            except GatewayError as why:
                return Failure(why)
            except Exception as why:  # noqa: BLE001 - see above
                return self._failed(why)
            return committed
        return Failure(StoreDown(_GONE))

    def _failed(self, why: Exception) -> Failure:
        down = Unstorable(f"these changes cannot be stored: {type(why).__name__}: {why}")
        down.__cause__ = why
        return Failure(down)

    def match_parked(self, since: float, limit: int) -> Steps[Committed]:
        """Apply at most `limit` receipts, parked at `since` or later, whose part is awaited now: another node was
        sending it when this node parked the receipt."""
        rows = yield ParkedAndAwaited(since, limit)
        if not rows:
            return Committed([], [], [], [])
        reported = [
            Reported(connector, DeliveryReport(remote_id, STATES[state], error, at, bytes(raw)))
            for remote_id, connector, _, state, error, at, raw in rows
        ]
        (committed,) = yield from self._attempt([Changes(receipts=reported)], [(row[0], row[1]) for row in rows])
        return committed

    def _attempt(self, calls: Sequence[Changes], unparked: Sequence[Key] = ()) -> Steps[list[Committed]]:
        needs = look_up(calls, self.cache)
        loaded: Loaded = (yield needs.load) if needs.load else _NOTHING
        writes = self.begin()
        transitions = Transitions(self.cache, writes, needs, loaded)
        committed = transitions.decide(calls)
        for key in unparked:
            writes.unparked += key
        if concerns(writes):
            yield from add_new_words(committed, writes)
        try:
            yield Write(writes)
        except Stale:
            transitions.forget()
            raise
        transitions.update_cache()
        if self.cache.parked is not None:
            self.cache.parked.difference_update(unparked)
        return committed


def retried(attempt: Callable[[], Steps[T]]) -> Steps[T]:
    """Take the steps of `attempt`; repeat them while a guard fails."""
    for _ in range(ATTEMPTS):
        try:
            return (yield from attempt())
        except Stale:
            continue
    raise StoreDown(_GONE)

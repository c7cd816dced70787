"""The conditions of new messages: keys that may be used once, and limits. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from smsgw.model.changes import Conditional, Limit, Once, Unmet
from smsgw.model.message import Message
from smsgw.stores.writeset import WriteSet

_FOR_EVER: Final = 0.0


@attrs.frozen
class _Use:
    """The use of one (scope, key), with the columns of :data:`smsgw.stores.rows.CONDITION`."""

    until: float
    used: int
    id: int
    digest: bytes


class Conditions:
    """Checks conditions against the stored uses and the earlier uses of the same commit.

    :param rows: the stored uses, with the columns CONDITION.
    """

    def __init__(self, rows: Sequence[Sequence[Any]], now: float, earliest: float) -> None:
        self._now = now
        self._earliest = earliest
        self._stored = {(scope, key): _Use(*rest) for scope, key, *rest in rows}
        self._used: dict[tuple[str, str], _Use] = {}

    def met(self, conditions: Sequence[Once | Limit]) -> Unmet | None:
        """Use all `conditions` and return None if all hold; else return the first that does not hold. Then nothing is
        used, except keys of messages that are stored in spite of it."""
        before = dict(self._used)
        unmet = None
        for condition in conditions:
            unmet = self._use_once(condition) if isinstance(condition, Once) else self._use_limit(condition)
            if unmet is not None:
                break
        if unmet is not None:
            self._used = before
            if unmet.condition.otherwise is not None:
                for condition in conditions:
                    if condition is not unmet.condition and isinstance(condition, Once):
                        self._use_once(condition)
        return unmet

    def _current(self, condition: Once | Limit) -> _Use | None:
        """The use of a condition's key that is valid now."""
        where = (condition.scope, condition.key)
        use = self._used.get(where) or self._stored.get(where)
        return use if use is not None and (use.until == _FOR_EVER or use.until > self._earliest) else None

    def _use_once(self, once: Once) -> Unmet | None:
        use = self._current(once)
        if use is not None:
            return Unmet(once, use.id, use.digest)
        self._used[once.scope, once.key] = _Use(once.until, 0, once.id, once.digest)
        return None

    def _use_limit(self, limit: Limit) -> Unmet | None:
        use = self._current(limit)
        used = (use.used if use is not None else 0) + limit.add
        if used > limit.at_most:
            return Unmet(limit)
        until = use.until if use is not None else self._now + limit.period if limit.period else _FOR_EVER
        self._used[limit.scope, limit.key] = _Use(until, used, 0, b"")
        return None

    def write(self, writes: WriteSet) -> None:
        """Replace the stored uses by those of this commit."""
        for (scope, key), use in self._used.items():
            stored = self._stored.get((scope, key))
            if stored is not None:
                writes.seen_conditions += (scope, key, stored.until, stored.used, stored.id)
            writes.conditions += (scope, key, use.until, use.used, use.id, use.digest)


def admit(
    accepts: Sequence[Message], conditionals: Sequence[Conditional], results: Sequence[Unmet | None]
) -> list[Message]:
    """The messages of a call that are stored: those whose conditions hold, and others in a final state."""
    changed: dict[int, Message | None] = {}
    for conditional, unmet in zip(conditionals, results, strict=True):
        if unmet is not None:
            for message in conditional.messages:
                changed[message.id] = _instead(message, unmet)
    stored = [changed.get(message.id, message) for message in accepts]
    return [message for message in stored if message is not None]


def _instead(message: Message, unmet: Unmet) -> Message | None:
    if unmet.condition.otherwise is None:
        return None
    state, error = unmet.condition.otherwise
    return attrs.evolve(message, state=state, error=error, claimed=False, due=0.0)

"""Which session submitted a message: kept in memory only, in runs of ids, bounded."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

import attrs

from smsgw.interfaces import ISmppSession
from smsgw.model.message import Event

MOST_RUNS: Final = 10_000
"""The most runs remembered of one account, about a megabyte; then the older half is forgotten."""

_NO_END: Final = 1 << 63


@attrs.define(eq=False)
class Origin:
    """A client program as its bind showed it.

    :ivar session: its session; None when that has ended.
    :ivar system_type: of the bind. :ivar peer: its IP address.
    """

    session: ISmppSession | None
    system_type: bytes
    peer: str


class Origins:
    """The origins of an account's messages, as runs: from each start on, up to the next, ids have one origin.

    Ids increase, so the messages of a session that alone submits are one run, whatever their number.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._owners: list[Origin | None] = []
        self._last = 0

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self._starts)

    def record(self, first: int, last: int, origin: Origin | None) -> None:
        """Set the origin of the ids from `first` to `last`; None: it does not matter any more."""
        starts, owners = self._starts, self._owners
        if first > self._last:
            self._last = last
            if not owners or owners[-1] is not origin:
                starts.append(first)
                owners.append(origin)
        else:
            self._insert(first, last, origin)
        if len(starts) > MOST_RUNS:
            del starts[: MOST_RUNS // 2], owners[: MOST_RUNS // 2]

    def _insert(self, first: int, last: int, origin: Origin | None) -> None:
        """Set the origin of ids among others, because these were answered earlier or one is forgotten."""
        starts, owners = self._starts, self._owners
        begin, after = bisect_left(starts, first), bisect_right(starts, last)
        new: list[tuple[int, Origin | None]] = [(first, origin)]
        if last < self._last and last + 1 not in starts[after : after + 1]:
            new.append((last + 1, owners[after - 1] if after else None))
        starts[begin:after] = [start for start, _ in new]
        owners[begin:after] = [owner for _, owner in new]
        self._last = max(self._last, last)

    def split(self, events: Iterable[Event]) -> dict[Origin | None, list[Event]]:
        """Return the events of each origin, in order; None: those of unknown origin."""
        starts, owners = self._starts, self._owners
        found: dict[Origin | None, list[Event]] = {}
        mine: list[Event] = []
        begin = end = 0
        for event in events:
            id = event.message.id
            if not begin <= id < end:
                at = bisect_right(starts, id)
                begin = starts[at - 1] if at else 0
                end = starts[at] if at < len(starts) else _NO_END
                owner = owners[at - 1] if at else None
                known = found.get(owner)
                if known is None:
                    known = found[owner] = []
                mine = known
            mine.append(event)
        return found

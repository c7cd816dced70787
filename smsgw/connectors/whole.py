"""Messages that an upstream takes whole, although the gateway counts their parts.

The first part that is offered of a message carries all of it; the others share its fate. Their remote ids are the
upstream's with ``#2``, ``#3`` behind it, and what the upstream says of the message counts for all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, TypeVar

from smsgw.interfaces import Awaited
from smsgw.model.message import Part
from smsgw.model.outcome import Accepted, Outcome

K = TypeVar("K")
V = TypeVar("V")

KNOWN: Final = 100_000
"""Messages of several parts of which the upstream's id is remembered."""


class Whole:
    """Which parts stand for a whole message, and what the others become."""

    def __init__(self) -> None:
        self._sharing: dict[int, list[Part]] = {}
        self._known: OrderedDict[int, str] = OrderedDict()
        self._parts: OrderedDict[str, int] = OrderedDict()

    def offered(self, parts: Sequence[Part]) -> tuple[list[Part], list[tuple[Part, Outcome]]]:
        """The parts for which the message is to be sent, and outcomes that are known already: of parts whose message
        was taken before."""
        first: list[Part] = []
        done: list[tuple[Part, Outcome]] = []
        for part in parts:
            message = part.message
            if message.parts > 1:
                sharing = self._sharing.get(message.id)
                if sharing is not None:
                    sharing.append(part)
                    continue
                known = self._known.get(message.id) or (part.seq > 1 and message.remote_id.partition("#")[0])
                if known:
                    done.append((part, Accepted(_share(known, part.seq))))
                    continue
                self._sharing[message.id] = []
            first.append(part)
        return first, done

    def over(self, part: Part, outcome: Outcome) -> list[tuple[Part, Outcome]]:
        """The outcome of a message, for the part it was sent for and those that came after it meanwhile."""
        message = part.message
        parts = (part, *self._sharing.pop(message.id, ()))
        if not isinstance(outcome, Accepted):
            return [(one, outcome) for one in parts]
        if message.parts > 1:
            put(self._known, message.id, outcome.remote_id)
            put(self._parts, outcome.remote_id, message.parts)
        return [(one, Accepted(_share(outcome.remote_id, one.seq))) for one in parts]

    def ids(self, remote_id: str) -> list[str]:
        """The remote ids of all parts of a message."""
        return [_share(remote_id, seq) for seq in range(1, self._parts.get(remote_id, 1) + 1)]

    def resumed(self, awaited: Sequence[Awaited]) -> list[str]:
        """The upstream's ids of what is still owed after a restart."""
        ids: dict[str, None] = {}
        for one in awaited:
            remote_id = one.remote_id.partition("#")[0] if one.seq > 1 else one.remote_id
            if one.message.parts > 1:
                put(self._parts, remote_id, one.message.parts)
                put(self._known, one.message.id, remote_id)
            ids[remote_id] = None
        return list(ids)


def put(known: OrderedDict[K, V], key: K, value: V) -> None:
    """Remember, and forget the oldest where there are more than :data:`KNOWN`."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > KNOWN:
        known.popitem(last=False)


def _share(remote_id: str, seq: int) -> str:
    """The remote id of a part."""
    return remote_id if seq == 1 else f"{remote_id}#{seq}"

"""The queue of one connector in memory, with lanes that take turns. Pure, no I/O.

A lane holds one stream of traffic: messages with the same account, priority, sender and beginning of the text. Accounts
take turns, one message at a time; within an account its lanes take turns. So a one-off code never waits behind a
campaign of any account.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

import attrs

from smsgw.model.message import Message

Key = tuple[str, int, str, bytes]
"""The key of a lane: account, priority, sender, beginning of the text."""

MOST_TURNS: Final = 16
"""Messages that a lane of the highest priority sends in one turn: 1 at priority 0, twice as many at each further."""

_BEGINNING: Final = 12
_UDHI: Final = 0x40
_WIDE: Final = 0x08
_REBUILD: Final = 8
_id: Final = attrgetter("id")


def lane_of(message: Message) -> Key:
    """The lane of a message. The beginning of the text is its first 12 characters, behind a header of the client."""
    content = message.content
    octets = content.octets
    start = octets[0] + 1 if content.esm_class & _UDHI and octets else 0
    size = _BEGINNING * 2 if content.data_coding & 0x0C == _WIDE else _BEGINNING
    return message.account, message.priority, content.sender, octets[start : start + size]


def parts_of(message: Message) -> int:
    """The number of parts of a message that are still to be sent."""
    return len(message.unsent) or message.parts


@attrs.define(eq=False)
class _Lane:
    key: Key
    turns: int
    credit: int
    messages: deque[Message] = attrs.field(factory=deque)


@attrs.define(eq=False)
class _Account:
    """The lanes of one account. `size` counts parts; `longest` is the length of its longest lane."""

    name: str
    size: int = 0
    lanes: dict[Key, _Lane] = attrs.field(factory=dict)
    turns: deque[_Lane] = attrs.field(factory=deque)
    by_length: dict[int, dict[_Lane, None]] = attrs.field(factory=dict)
    longest: int = 0

    def grew(self, lane: _Lane, parts: int) -> None:
        """Count one more message of `parts` parts in `lane`."""
        length = len(lane.messages)
        self.size += parts
        if length > 1:
            self._leave(lane, length - 1)
        self.by_length.setdefault(length, {})[lane] = None
        if length > self.longest:
            self.longest = length

    def shrank(self, lane: _Lane, before: int) -> None:
        """Note that messages left `lane`, which had `before` messages; delete the lane if it is empty."""
        length = len(lane.messages)
        self._leave(lane, before)
        if length:
            self.by_length.setdefault(length, {})[lane] = None
        else:
            del self.lanes[lane.key]
        while self.longest and self.longest not in self.by_length:
            self.longest -= 1

    def _leave(self, lane: _Lane, length: int) -> None:
        same = self.by_length[length]
        del same[lane]
        if not same:
            del self.by_length[length]


class FairQueue:
    """Messages of at most `capacity` parts in all, in the order of their ids within a lane.

    The capacity is counted in parts since a message may have hundreds of them.

    :ivar size: parts of the messages in the queue; a message with more than `capacity` parts counts as `capacity`.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.size = 0
        self._by_id: dict[int, Message] = {}
        self._accounts: dict[str, _Account] = {}
        self._turns: deque[_Account] = deque()

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: int) -> bool:
        return id in self._by_id

    def accounts(self) -> Iterator[str]:
        """The accounts that have messages in the queue."""
        return iter(self._accounts)

    def count(self, account: str) -> int:
        """Parts of the messages of `account` in the queue."""
        known = self._accounts.get(account)
        return known.size if known else 0

    def push(self, message: Message) -> list[Message]:
        """Add a message to its lane, in order of ids; returns the messages that are evicted for it.

        When there is no room, the newest messages are evicted from the longest lane of the account with the most parts;
        or the new message itself, if its own lane is about as long. A message that is queued already changes nothing.
        """
        if message.id in self._by_id:
            return []
        key = lane_of(message)
        leaving: list[Message] = []
        weight = self._weight(message)
        while self.size + weight > self.capacity:
            victim = self._victim(message.account, key, weight)
            if victim is None:
                return [*leaving, message]
            leaving.append(self._shorten(*victim))
        self._insert(key, message, weight)
        return leaving

    def _weight(self, message: Message) -> int:
        return min(message.parts, self.capacity)

    def _insert(self, key: Key, message: Message, weight: int) -> None:
        account = self._accounts.get(message.account)
        if account is None:
            account = self._accounts[message.account] = _Account(message.account)
            self._turns.append(account)
        lane = account.lanes.get(key)
        if lane is None:
            turns = min(1 << max(message.priority, 0), MOST_TURNS)
            lane = account.lanes[key] = _Lane(key, turns, turns)
            account.turns.append(lane)
        messages = lane.messages
        if not messages or messages[-1].id < message.id:
            messages.append(message)
        elif message.id < messages[0].id:
            messages.appendleft(message)
        else:
            messages.insert(bisect_left(messages, message.id, key=_id), message)
        account.grew(lane, weight)
        self.size += weight
        self._by_id[message.id] = message

    def _victim(self, name: str, key: Key, weight: int) -> tuple[_Account, _Lane] | None:
        """The lane whose newest message is evicted for a new one of `weight` parts, in lane `key` of account `name`.

        Evict from another account only if it keeps at least as many parts as the arriving account will have: else the
        two would evict each other in turns.
        """
        largest = max(self._accounts.values(), key=attrgetter("size"), default=None)
        if largest is None:
            return None
        own = self._accounts.get(name)
        if largest is not own:
            longest = next(iter(largest.by_length[largest.longest]))
            if largest.size - self._weight(longest.messages[-1]) >= (own.size if own else 0) + weight:
                return largest, longest
        if own is None:
            return None
        lane = own.lanes.get(key)
        if own.longest <= (len(lane.messages) + 1 if lane else 1):
            return None
        return own, next(iter(own.by_length[own.longest]))

    def _shorten(self, account: _Account, lane: _Lane) -> Message:
        message = lane.messages.pop()
        self._left(account, lane, [message])
        del self._by_id[message.id]
        return message

    def _left(self, account: _Account, lane: _Lane, gone: Sequence[Message]) -> None:
        """Count messages that left the middle or the end of a lane; an empty lane or account loses its turn."""
        weight = sum(map(self._weight, gone))
        self.size -= weight
        account.size -= weight
        account.shrank(lane, len(lane.messages) + len(gone))
        if not lane.messages:
            account.turns.remove(lane)
            if not account.size:
                del self._accounts[account.name]
                self._turns.remove(account)

    def take(self, room: int, whole: bool = False) -> list[Message]:
        """Take the next messages in turn, as long as `room` is enough for all parts of a message.

        A message that does not fit waits and keeps its turn: no other message overtakes it. With `whole` the first
        message is taken even if it has more parts than `room`, unless that is 0.
        """
        taken: list[Message] = []
        touched: dict[_Lane, tuple[_Account, int]] = {}
        turns = self._turns
        by_id = self._by_id
        capacity = self.capacity
        while turns and room > 0:
            account = turns[0]
            lane = account.turns[0]
            messages = lane.messages
            message = messages[0]
            need = len(message.unsent) or message.parts
            if need > room and (taken or not whole):
                break
            room -= need
            if lane not in touched:
                touched[lane] = account, len(messages)
            messages.popleft()
            del by_id[message.id]
            taken.append(message)
            parts = message.parts
            weight = parts if parts < capacity else capacity  # noqa: FURB136 - min() costs more
            self.size -= weight
            account.size -= weight
            lane.credit -= 1
            if not messages:
                account.turns.popleft()
            elif lane.credit <= 0:
                lane.credit = lane.turns
                account.turns.rotate(-1)
            if account.size:
                turns.rotate(-1)
            else:
                turns.popleft()
                del self._accounts[account.name]
        for lane, (account, before) in touched.items():
            account.shrank(lane, before)
        return taken

    def remove(self, ids: Iterable[int]) -> None:
        """Remove the messages with these ids; unknown ids are ignored."""
        leaving: dict[Key, list[Message]] = {}
        for id in ids:
            message = self._by_id.pop(id, None)
            if message is not None:
                leaving.setdefault(lane_of(message), []).append(message)
        for key, gone in leaving.items():
            account = self._accounts[key[0]]
            lane = account.lanes[key]
            if len(gone) < _REBUILD:
                for message in gone:
                    lane.messages.remove(message)
            else:
                leaving_lane = set(gone)
                lane.messages = deque(message for message in lane.messages if message not in leaving_lane)
            self._left(account, lane, gone)

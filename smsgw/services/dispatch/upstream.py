"""What dispatch knows of one connector: what waits for it, what is promised to it, what it has and not yet answered.

A slot of the connector's window goes through these hands: *reserved* while the claim of a message is being committed,
or while its claimed parts are *held* because the connector has no room for them now; *out* from the offer to the
outcome; *freeing* while the outcome is being committed. At every moment what is claimed in the store without an
outcome fits in the window.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from smsgw.config import ConnectorSettings
from smsgw.interfaces import IConnector
from smsgw.model.changes import Ended, Requeued, Sent
from smsgw.model.lifecycle import State
from smsgw.model.message import Message, Part
from smsgw.model.outcome import Accepted, Busy, Lost, Outcome, Refused
from smsgw.services.dispatch.backlog import Backlog
from smsgw.services.dispatch.lanes import parts_of
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.services.dispatch.verdicts import Verdicts

MOST_EXCEPTIONS: Final = 5
"""A message ends failed when a connector raised so often while the message was offered to it."""

_DOWN: Final = Busy(0.0, False, "the link is down")
_log = Logger()


@attrs.define(eq=False)
class _Flight:
    """A message of several parts under way: parts without an outcome, what came back, slots that wait with it."""

    open: int
    returned: list[tuple[int, Busy | Lost]] = attrs.field(factory=list)
    slots: int = 0


@attrs.define(eq=False)
class Verdict:
    """What a commit is to say about outcomes, and how many slots are free after it.

    :ivar plain: whether there is nothing but acceptances.
    :ivar again: whether some messages go back to the same connector, to be sent as soon as it is ready.
    :ivar tries: how often the store did not take it. :ivar strikes: how often that was while it took others.
    :ivar saved_before: the upstream's :attr:`Upstream.saved` at the last try.
    """

    changes: list[Sent | Ended | Requeued]
    freed: int
    plain: bool = False
    again: bool = False
    tries: int = 0
    strikes: int = 0
    saved_before: int = 0


@attrs.define(eq=False)
class Upstream:
    """The bookkeeping of one connector.

    :ivar busy: ids of messages whose claim is under way.
    :ivar coming: messages accepted without a claim whose commit is under way: they wait before later ones.
    :ivar opened: whether what was left from the last run is known, so that new messages may be claimed.
    :ivar unsettled: parts whose outcome is not committed yet.
    :ivar answers: outcomes that no commit has been asked for yet.
    :ivar unsaved: verdicts whose commit failed and is to be tried again.
    :ivar retry: when that is, while something is unsaved. :ivar failures: how often it failed in a row.
    :ivar saved: how many commits succeeded.
    :ivar settling: whether answers are being worked off further up the stack.
    :ivar moving: whether waiting messages are just being given to other connectors.
    :ivar down_since: reading of the monotonic clock when the link was first seen down, or None while it is up.
    """

    connector: IConnector
    settings: ConnectorSettings
    backlog: Backlog
    verdicts: Verdicts
    report_timeout: float
    busy: set[int]
    metrics: DispatchMetrics
    coming: int = 0
    opened: bool = False
    reserved: int = 0
    unsettled: int = 0
    freeing: int = 0
    answers: list[tuple[Part, Outcome]] = attrs.field(factory=list)
    unsaved: list[Verdict] = attrs.field(factory=list)
    retry: IDelayedCall | None = None
    failures: int = 0
    saved: int = 0
    settling: bool = False
    moving: bool = False
    down_since: float | None = None
    _held: deque[Part] = attrs.field(factory=deque, init=False)
    _out: set[Part] = attrs.field(factory=set, init=False)
    _flights: dict[int, _Flight] = attrs.field(factory=dict, init=False)
    _suspects: dict[int, int] = attrs.field(factory=dict, init=False)
    _uncounted: int = attrs.field(default=0, init=False)

    @property
    def name(self) -> str:
        """The connector's name."""
        return self.settings.name

    @property
    def outstanding(self) -> int:
        """Parts that the connector has and did not answer yet."""
        return len(self._out)

    @property
    def held(self) -> int:
        """Claimed parts that wait for room."""
        return len(self._held)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, so that a message longer than the window has its turn."""
        return not (self._out or self.reserved or self.freeing)

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way and nothing remains to be written."""
        return not (self._out or self.answers or self.unsaved or self.freeing or self.reserved)

    def free(self) -> int:
        """Parts of further messages that may be claimed now.

        Slots whose outcome is being committed count: a claim made now is durable together with it or after it. They
        do not where the window is not what limits the room: free slots bring no tokens, and end no pause.
        """
        if not self.connector.up or self._held:
            return 0
        room = self._room()
        if room >= self.settings.window - self.unsettled:
            room += self.freeing
        return room - self.reserved

    def _room(self) -> int:
        try:
            return self.connector.room()
        except Exception:  # noqa: BLE001 - a fault of one connector must not stop the others
            _log.failure("connector {connector} raised when asked for its room", connector=self.name)
            return 0

    def settled(self, count: int) -> None:
        """Tell the connector that so many of its slots are free."""
        self.unsettled -= count
        unknown = min(count, self._uncounted)
        self._uncounted -= unknown
        count -= unknown
        if count:
            try:
                self.connector.settled(count)
            except Exception:  # noqa: BLE001 - a fault of one connector must not stop the others
                _log.failure("connector {connector} raised when told of free slots", connector=self.name)

    def free_for_new(self) -> int:
        """The same for messages that come in: none while others wait before them."""
        if not self.opened or self.coming or not self.backlog.empty:
            return 0
        return self.free()

    def parts(self, message: Message) -> list[Part]:
        """The parts of a claimed message that are to be sent; from here on it is under way."""
        if message.parts == 1:
            return [Part(message, 1)]
        seqs = message.unsent or range(1, message.parts + 1)
        self._flights[message.id] = _Flight(len(seqs))
        return [Part(message, seq) for seq in seqs]

    def send(self, parts: list[Part]) -> None:
        """Offer reserved parts, behind those that are held; hold what there is no room for."""
        if self._held:
            self._held += parts
            self.flush()
            return
        room = self._room()
        if len(parts) > room:
            self._held += parts[room:]
            parts = parts[:room]
        if parts:
            self._offer(parts, room)

    def flush(self) -> None:
        """Offer what is held, as far as there is room."""
        held = self._held
        room = self._room()
        if room > 0:
            self._offer([held.popleft() for _ in range(min(room, len(held)))], room)

    def hold(self, parts: Sequence[Part]) -> None:
        """Parts that are claimed already, from before a crash: they go out before anything else."""
        self.reserved += len(parts)
        self._held += parts

    def _offer(self, parts: list[Part], room: int) -> None:
        self.reserved -= len(parts)
        self.unsettled += len(parts)
        self._out.update(parts)
        if self._suspects:
            for part in parts:
                self._offer_safely([part], self._room())
        else:
            self._offer_safely(parts, room)

    def _offer_safely(self, parts: list[Part], before: int) -> None:
        """Offer to a room of `before`. After an exception the room tells how many parts the connector counts."""
        try:
            self.connector.offer(parts)
        except Exception:  # noqa: BLE001 - a fault of one connector, or of one message in it, must not stop the others
            _log.failure("connector {connector} raised at an offer of {count} parts", connector=self.name,
                         count=len(parts))
            unanswered = [part for part in parts if part in self._out]
            taken = max(before - self._room(), 0)
            self._uncounted += max(len(unanswered) - taken, 0)
            for id in {part.message.id for part in unanswered}:
                self._suspects[id] = self._suspects.get(id, 0) + 1
            self.answers += [(part, Lost("the connector raised an exception")) for part in unanswered]

    def judge(self, answers: Sequence[tuple[Part, Outcome]], now: float) -> Verdict:
        """What the outcomes mean; `now` is the absolute time."""
        due = now + self.report_timeout
        taken = [
            Sent(part.message, 1, outcome.remote_id, due)
            for part, outcome in answers
            if type(outcome) is Accepted and part.message.parts == 1
        ]
        if len(taken) == len(answers) and not self._suspects and self._all_out([part for part, _ in answers]):
            self.metrics.outcomes[self.name, "accepted"].inc(len(taken))
            return Verdict([*taken], len(taken), plain=True, saved_before=self.saved)
        changes: list[Sent | Ended | Requeued] = []
        freed = 0
        counts: Counter[type[Outcome]] = Counter()
        for part, outcome in answers:
            if part not in self._out:
                self.metrics.stray_outcomes[self.name].inc()
                continue
            self._out.remove(part)
            counts[type(outcome)] += 1
            freed += self._judge(part, outcome, changes, now, due)
            if self._suspects:
                self._clear(part.message, changes)
        for kind, count in counts.items():
            self.metrics.outcomes[self.name, kind.__name__.lower()].inc(count)
        return Verdict(changes, freed, again=self._at_once(changes), saved_before=self.saved)

    def _all_out(self, parts: list[Part]) -> bool:
        """Take these from those that are out, if all of them are, each once."""
        out = self._out
        before = len(out)
        if out.issuperset(parts):
            out.difference_update(parts)
            if before - len(out) == len(parts):
                return True
            out.update(parts)
        return False

    def _at_once(self, changes: Sequence[Sent | Ended | Requeued]) -> bool:
        return any(type(one) is Requeued and not one.due and one.connector == self.name for one in changes)

    def _judge(
        self, part: Part, outcome: Outcome, changes: list[Sent | Ended | Requeued], now: float, due: float
    ) -> int:
        """Add what one outcome means; returns how many slots are free after the commit."""
        message = part.message
        flight = self._flights[message.id] if message.parts > 1 else _Flight(1)
        flight.open -= 1
        flight.slots += 1
        if isinstance(outcome, Accepted):
            changes.append(Sent(message, part.seq, outcome.remote_id, due))
        elif isinstance(outcome, Refused):
            changes.append(Ended(message, part.seq, State.REJECTED, outcome.error))
        elif self._suspects.get(message.id, 0) >= MOST_EXCEPTIONS:
            changes.append(Ended(message, part.seq, State.FAILED, 0))
        else:
            flight.returned.append((part.seq, outcome))
            self._take_along(message, flight)
        if flight.open:
            if flight.returned:
                return 0
            freed, flight.slots = flight.slots, 0
            return freed
        if message.parts > 1:
            del self._flights[message.id]
        if flight.returned:
            changes += self.verdicts.back(message, flight.returned, now)
        return flight.slots

    def _take_along(self, message: Message, flight: _Flight) -> None:
        """Parts that are still held come back together with those that were not taken."""
        if not self._held:
            return
        along = [part for part in self._held if part.message is message]
        if along:
            self._held = deque(part for part in self._held if part.message is not message)
            flight.returned += [(part.seq, _DOWN) for part in along]
            flight.open -= len(along)
            self.reserved -= len(along)

    def _clear(self, message: Message, changes: Sequence[Sent | Ended | Requeued]) -> None:
        """A message that raised before is no suspect any more, unless it will be offered here again."""
        last = changes[-1] if changes else None
        again = type(last) is Requeued and last.message is message and last.connector == self.name
        if not again and message.id not in self._flights:
            self._suspects.pop(message.id, None)

    def forget(self, ids: Sequence[int]) -> None:
        """These are no longer queued."""
        self.backlog.remove(ids)
        for id in ids if self._suspects else ():
            self._suspects.pop(id, None)

    def recall(self, now: float) -> list[Ended | Requeued]:
        """Give up holding: what becomes of messages none of whose parts is out. They were not sent."""
        changes: list[Ended | Requeued] = []
        waiting: dict[int, list[Part]] = {}
        for part in self._held:
            waiting.setdefault(part.message.id, []).append(part)
        for id, parts in waiting.items():
            message = parts[0].message
            flight = self._flights.get(id) or _Flight(1)
            if flight.open > len(parts):
                self._take_along(message, flight)
                continue
            self._flights.pop(id, None)
            self.reserved -= len(parts)
            changes += self.verdicts.back(message, [(part.seq, _DOWN) for part in parts], now)
        self._held.clear()
        return changes

    def reserve(self, message: Message) -> None:
        """Promise room to a message whose claim is about to be committed."""
        self.reserved += parts_of(message)
        self.busy.add(message.id)

    def unreserve(self, message: Message) -> None:
        """The claim did not come about."""
        self.reserved -= parts_of(message)
        self.busy.discard(message.id)

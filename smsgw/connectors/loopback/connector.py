"""The connector of the simulated SMSC: its window, the delays of its outcomes and receipts, and its stop.

Each batch is one entry in a queue with one timer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.connectors.loopback.behaviour import Behaviour, LoopbackSettings, Owed, Reaction
from smsgw.connectors.loopback.delayline import DelayLine
from smsgw.connectors.window import Window, adjustable
from smsgw.interfaces import Awaited, IAdjustable, IConnector, IConnectorSink, ISimulator
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Incoming, Part
from smsgw.model.outcome import Lost, Outcome, Sent

MOST_REPORTS: Final = 500
"""Receipts passed to the gateway at once."""

MOST_UNACKNOWLEDGED: Final = 2_000
"""Receipts that may be unacknowledged; further ones wait, as with a real SMSC."""

REPEAT_AFTER: Final = 1.0
"""Seconds after which receipts that could not be stored are repeated."""

_STATS: Final = {State.UNDELIVERABLE: "UNDELIV", State.EXPIRED: "EXPIRED"}
"""How a receipt writes the states in which a message was not delivered (SMPP 3.4, appendix B)."""

_STOPPED: Final = Refused(Refusal.UPSTREAM_DOWN, "the simulated SMSC is not running")
_log = Logger()


@implementer(IAdjustable, IConnector, ISimulator)
class Loopback:
    """Takes parts; its :class:`~smsgw.connectors.loopback.behaviour.Behaviour` decides on outcomes and receipts.

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param now: absolute seconds since 1970, for the dates in receipts.
    """

    def __init__(
        self, settings: LoopbackSettings, clock: IReactorTime, now: Callable[[], float] = time.time
    ) -> None:
        self.name = settings.name
        self.up = False
        self._settings = settings
        self._now = now
        self._behaviour = Behaviour(settings)
        self._window = Window(settings.window, settings.rate, clock, self._say_ready, self._remembers)
        self._unanswered = 0
        self._owed = 0
        self._unacknowledged = 0
        self._due: deque[Owed] = deque()
        self._reactions: DelayLine[Reaction] = DelayLine(clock, settings.latency, self._answer_all)
        self._silent: DelayLine[list[tuple[Part, Outcome]]] = DelayLine(clock, settings.patience, self._give_up)
        self._receipts: DelayLine[list[Owed]] = DelayLine(clock, settings.delay, self._fall_due)
        self._refused: DelayLine[list[Owed]] = DelayLine(clock, REPEAT_AFTER, self._fall_due)
        self._stopped: Deferred[None] | None = None

    def start(self, sink: IConnectorSink) -> None:
        self._sink = sink
        self.up = self._window.open = True
        self._window.feed()

    def apply(self, settings: LoopbackSettings) -> bool:
        if not adjustable(self._settings, settings):
            return False
        self._settings = settings
        self._window.apply(settings.window, settings.rate)
        return True

    def _say_ready(self) -> None:
        self._sink.ready(self.name)

    def _remembers(self) -> bool:
        """Whether it has memory for further receipts."""
        return self._owed < self._settings.memory

    def room(self) -> int:
        return self._window.room()

    def release(self, count: int) -> None:
        self._window.release(count)

    # Outcomes

    def send(self, parts: Sequence[Part]) -> None:
        count = len(parts)
        self._unanswered += count
        self._window.take(count)
        reaction = self._behaviour.react(parts)
        self._owed += _count(reaction.owed)
        self._reactions.put(reaction)
        if reaction.silent:
            self._silent.put(reaction.silent)

    def _answer_all(self, reactions: Sequence[Reaction]) -> None:
        """Give all outcomes in one call; the delay of their receipts begins now."""
        if len(reactions) == 1:
            answers, owed = reactions[0].answers, reactions[0].owed
        else:
            answers = [answer for reaction in reactions for answer in reaction.answers]
            owed = [one for reaction in reactions for one in reaction.owed]
        for reaction in reactions:
            for part, sent, early in reaction.early:
                self._report_before(part, sent, early)
        self._answer(answers)
        if owed and self.up:
            self._receipts.put(owed)

    def _report_before(self, part: Part, sent: Sent, owed: Owed) -> None:
        """Give the receipt first; the outcome follows when the receipt is stored."""

        def answer(result: Failure | None) -> None:
            if result is not None and self.up:
                self._owe([owed])
            self._answer([(part, sent)])

        self._sink.receipts(self.name, self._reports(owed)).addBoth(answer)

    def _give_up(self, silent: Sequence[Sequence[tuple[Part, Outcome]]]) -> None:
        self._answer([answer for batch in silent for answer in batch])

    def _answer(self, answers: Sequence[tuple[Part, Outcome]]) -> None:
        if answers:
            self._unanswered -= len(answers)
            self._sink.outcomes(self.name, answers)
        if self._stopped is not None and not self._unanswered:
            self._finish()

    # Receipts

    def resume(self, awaited: Sequence[Awaited]) -> None:
        self._owe(self._behaviour.receipts([(one.message, one.remote_id) for one in awaited]))

    def _owe(self, owed: list[Owed]) -> None:
        if owed:
            self._owed += _count(owed)
            self._receipts.put(owed)

    def _fall_due(self, batches: Sequence[Sequence[Owed]]) -> None:
        for batch in batches:
            self._due.extend(batch)
        self._report()

    def _report(self) -> None:
        """Pass on receipts that are due, as far as earlier ones are acknowledged."""
        due = self._due
        while due and self._unacknowledged < MOST_UNACKNOWLEDGED and self.up:
            batch: list[Owed] = []
            room = MOST_REPORTS
            while due and room > 0:
                one = due.popleft()
                if len(one.ids) > room:
                    due.appendleft(Owed(one.state, one.error, one.ids[room:], one.again))
                    one = Owed(one.state, one.error, one.ids[:room], one.again)
                room -= len(one.ids)
                batch.append(one)
            reports = [report for one in batch for report in self._reports(one)]
            self._unacknowledged += len(reports)
            self._sink.receipts(self.name, reports).addCallbacks(
                self._acknowledged, self._not_stored, callbackArgs=(batch, len(reports)),
                errbackArgs=(batch, len(reports)),
            )

    def _reports(self, owed: Owed) -> list[DeliveryReport]:
        at = self._now()
        state, error = owed.state, owed.error
        if state is State.DELIVERED:
            return [DeliveryReport(id, state, error, at) for id in owed.ids]
        text = f"stat:{_STATS[state]} err:{error:03d}"
        return [DeliveryReport(id, state, error, at, f"id:{id} {text}".encode()) for id in owed.ids]

    def _acknowledged(self, _: None, batch: Sequence[Owed], count: int) -> None:
        self._unacknowledged -= count
        self._owed -= count
        if self.up:
            self._owe([Owed(one.state, one.error, one.ids) for one in batch if one.again])
        self._window.feed()
        self._report()

    def _not_stored(self, failure: Failure, batch: list[Owed], count: int) -> None:
        """Repeat receipts later, as an SMSC does after a temporary error status."""
        _log.debug("{name}: {count} receipts are repeated: {why}", name=self.name, count=count,
                   why=failure.getErrorMessage())
        self._unacknowledged -= count
        if self.up:
            self._refused.put(batch)

    def simulate(self, incoming: Incoming) -> Deferred[Refused | None]:
        if not self.up:
            return succeed(_STOPPED)
        incoming.connector, incoming.at = self.name, self._now()
        return self._sink.incoming(self.name, [incoming]).addCallback(lambda answers: answers[0])

    # Stopping

    def stop(self) -> Deferred[None]:
        """Stop; parts without an answer become lost at once. The store has the receipts that are still awaited, and
        :meth:`resume` sends them after the next start."""
        self.up = False
        self._window.close()
        stopped: Deferred[None] = Deferred(self._cut_short)
        self._stopped = stopped
        self._give_up(self._silent.empty())
        return stopped

    def _cut_short(self, stopped: Deferred[None]) -> None:
        """The gateway cancelled the stop: end without the outstanding outcomes."""
        lost: list[tuple[Part, Outcome]] = []
        for reaction in self._reactions.empty():
            lost += [(part, Lost("stopped")) for part, _ in reaction.answers]
            lost += [(part, Lost("stopped")) for part, _, _ in reaction.early]
        self._answer(lost)
        self._finish()

    def _finish(self) -> None:
        stopped, self._stopped = self._stopped, None
        for line in (self._reactions, self._silent, self._receipts, self._refused):
            line.empty()
        if stopped is not None:
            stopped.callback(None)


def _count(owed: Sequence[Owed]) -> int:
    return sum([len(one.ids) for one in owed])

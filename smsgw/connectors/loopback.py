"""The simulated SMSC: a connector that takes every message and reports it delivered, or misbehaves as it is told to.

It is for trying the gateway without an operator, for tests and for measurements, and it keeps every rule of
:class:`~smsgw.interfaces.IConnector`. Without lists of recipients all of a batch shares one fate, so a batch costs
one entry in one queue with one timer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import ConnectorSettings, Globs, fields
from smsgw.connectors.window import Window
from smsgw.interfaces import Awaited, IConnector, IConnectorSink, ISimulator
from smsgw.model import errors
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Incoming, Message, Part
from smsgw.model.outcome import Accepted, Busy, Lost, Outcome, Refused

MOST_REPORTS: Final = 500
"""Receipts handed over at once."""

MOST_UNACKNOWLEDGED: Final = 2_000
"""Receipts handed over and not yet acknowledged; further ones wait, as with a real message centre."""

REPEAT_AFTER: Final = 1.0
"""Seconds after which receipts that could not be stored are given again."""

_STOPPED: Final = errors.Refused(errors.Refusal.UPSTREAM_DOWN, "the simulated SMSC is not running")

ROUNDING: Final = 1e-6
"""Seconds by which a timer may be early: sums of floats do not come out even."""

_log = Logger()


@attrs.frozen(kw_only=True)
class LoopbackSettings(ConnectorSettings):
    """The simulated SMSC: takes what it is given and reports it delivered. Lists of recipients make it misbehave."""

    rate: float = fields.number("parts per second; 0 = unlimited", 1000)
    delay: float = fields.number("simulated SMSC: seconds to the receipt", 0.1)
    latency: float = fields.number("seconds to the answer", 0)
    memory: int = fields.integer("receipts it can owe; nothing more is taken until some are sent", 200_000, at_least=1)
    undeliverable: Globs = fields.globs("recipients reported undeliverable")
    expired: Globs = fields.globs("recipients reported expired")
    rejected: Globs = fields.globs("recipients refused at once")
    throttled: Globs = fields.globs("recipients answered busy at first")
    throttles: int = fields.integer("how many attempts are answered so", 1, at_least=1)
    unanswered: Globs = fields.globs("recipients whose submits are never answered")
    patience: float = fields.number("seconds until an unanswered submit is given up", 10)
    early: Globs = fields.globs("recipients whose receipt comes before the answer")
    twice: Globs = fields.globs("recipients whose receipt is repeated")
    never: Globs = fields.globs("recipients whose receipt never comes")


class _After:
    """Hands batches on a constant time after they came in, in order, with one timer for all of them."""

    def __init__(self, clock: IReactorTime, seconds: float, deliver: Callable[[list[Any]], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._deliver = deliver
        self._waiting: deque[tuple[float, Any]] = deque()
        self._timer: IDelayedCall | None = None

    def put(self, batch: Any) -> None:
        """Hand `batch` on when its time has come."""
        self._waiting.append((self._clock.seconds() + self._seconds, batch))
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._ripe)

    def _ripe(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        waiting = self._waiting
        ripe = []
        while waiting and waiting[0][0] <= now + ROUNDING:
            ripe.append(waiting.popleft()[1])
        if waiting:
            self._timer = self._clock.callLater(waiting[0][0] - now, self._ripe)
        if ripe:
            self._deliver(ripe)

    def empty(self) -> list[Any]:
        """Forget everything and return it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batches = [batch for _, batch in self._waiting]
        self._waiting.clear()
        return batches


@attrs.define(eq=False)
class _Owed:
    """Receipts that say the same: the state and error of these ids; `again` follows each with a repetition."""

    state: State
    error: int
    ids: list[str]
    again: bool = False


@implementer(IConnector, ISimulator)
class Loopback:
    """Implements :class:`~smsgw.interfaces.IConnector`, and :class:`~smsgw.interfaces.ISimulator` for the operator.

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param wall: absolute seconds since 1970, for the dates in receipts.
    """

    def __init__(
        self, settings: LoopbackSettings, clock: IReactorTime, wall: Callable[[], float] = time.time
    ) -> None:
        self.name = settings.name
        self.up = False
        self._settings = settings
        self._clock = clock
        self._wall = wall
        self._window = Window(settings.window, settings.rate, clock, self._say_ready, self._remembers)
        self._plain = not any(
            (settings.rejected, settings.throttled, settings.unanswered, settings.early, settings.undeliverable,
             settings.expired, settings.twice, settings.never)
        )
        self._unanswered = 0
        self._owed = 0
        self._unacknowledged = 0
        self._due: deque[_Owed] = deque()
        self._answers = _After(clock, settings.latency, self._answer_all)
        self._given_up = _After(clock, settings.patience, self._answer_all)
        self._receipts = _After(clock, settings.latency + settings.delay, self._fall_due)
        self._repeats = _After(clock, settings.delay, self._fall_due)
        self._refused = _After(clock, REPEAT_AFTER, self._fall_due)
        self._stopped: Deferred[None] | None = None

    def start(self, sink: IConnectorSink) -> None:
        """See :meth:`smsgw.interfaces.IConnector.start`."""
        self._sink = sink
        self.up = self._window.open = True
        self._window.feed()

    def _say_ready(self) -> None:
        self._sink.ready(self.name)

    def _remembers(self) -> bool:
        """Whether it can owe more receipts."""
        return self._owed < self._settings.memory

    def room(self) -> int:
        """See :meth:`smsgw.interfaces.IConnector.room`."""
        return self._window.room()

    def offer(self, parts: Sequence[Part]) -> None:
        """See :meth:`smsgw.interfaces.IConnector.offer`."""
        count = len(parts)
        self._unanswered += count
        self._window.take(count)
        answers: list[tuple[Part, Outcome]] = []
        if self._plain:
            ids = [f"{part.message.id}.{part.seq}.{part.message.attempts}" for part in parts]
            answers = [(part, Accepted(id)) for part, id in zip(parts, ids, strict=True)]
            self._owe([_Owed(State.DELIVERED, 0, ids)])
        else:
            silent: list[tuple[Part, Outcome]] = []
            owed: list[_Owed] = []
            for part in parts:
                self._judge(part, answers, silent, owed)
            if silent:
                self._given_up.put(silent)
            self._owe(owed)
        if self._settings.latency:
            self._answers.put(answers)
        elif answers:
            self._answer(answers)

    def _judge(
        self,
        part: Part,
        answers: list[tuple[Part, Outcome]],
        silent: list[tuple[Part, Outcome]],
        owed: list[_Owed],
    ) -> None:
        """Treat one recipient as the settings say."""
        settings = self._settings
        message = part.message
        recipient = message.dst
        if settings.rejected.matches(recipient):
            answers.append((part, Refused(ErrorCode.UNEXPLAINED, "listed as rejected")))
        elif message.attempts < settings.throttles and settings.throttled.matches(recipient):
            answers.append((part, Busy(why="listed as throttled")))
        elif settings.unanswered.matches(recipient):
            silent.append((part, Lost("listed as unanswered")))
        else:
            id = f"{message.id}.{part.seq}.{message.attempts}"
            fate = self._fate(message, id)
            if settings.early.matches(recipient) and fate is not None:
                self._report_before(fate, part, id)
                return
            answers.append((part, Accepted(id)))
            if fate is not None:
                owed.append(fate)

    def _fate(self, message: Message, id: str) -> _Owed | None:
        """The receipt of one part, or None if there is to be none."""
        settings = self._settings
        recipient = message.dst
        if settings.never.matches(recipient):
            return None
        again = settings.twice.matches(recipient)
        if settings.undeliverable.matches(recipient):
            return _Owed(State.UNDELIVERABLE, ErrorCode.NO_SUBSCRIBER, [id], again)
        if settings.expired.matches(recipient):
            return _Owed(State.EXPIRED, ErrorCode.OFFLINE, [id], again)
        return _Owed(State.DELIVERED, 0, [id], again)

    def _report_before(self, fate: _Owed, part: Part, id: str) -> None:
        """Give the receipt first; the answer follows when that is stored."""

        def answer(result: Failure | None) -> None:
            if result is not None:
                self._owe([fate])
            if self._settings.latency and self.up:
                self._answers.put([(part, Accepted(id))])
            else:
                self._answer([(part, Accepted(id))])

        self._sink.receipts(self.name, self._reports(fate)).addBoth(answer)

    def _answer_all(self, batches: list[list[tuple[Part, Outcome]]]) -> None:
        self._answer([answer for batch in batches for answer in batch])

    def _answer(self, answers: list[tuple[Part, Outcome]]) -> None:
        if answers:
            self._unanswered -= len(answers)
            self._sink.outcomes(self.name, answers)
        if self._stopped is not None and not self._unanswered:
            self._finish()

    def settled(self, count: int) -> None:
        """See :meth:`smsgw.interfaces.IConnector.settled`."""
        self._window.settled(count)

    def resume(self, awaited: Sequence[Awaited]) -> None:
        """See :meth:`smsgw.interfaces.IConnector.resume`: every receipt is owed once more."""
        if self._plain:
            self._owe([_Owed(State.DELIVERED, 0, [one.remote_id for one in awaited])])
        else:
            fates = (self._fate(one.message, one.remote_id) for one in awaited)
            self._owe([fate for fate in fates if fate is not None])

    def _owe(self, owed: list[_Owed]) -> None:
        if owed:
            self._owed += sum(len(one.ids) for one in owed)
            self._receipts.put(owed)

    def _fall_due(self, batches: list[list[_Owed]]) -> None:
        for batch in batches:
            self._due.extend(batch)
        self._report()

    def _report(self) -> None:
        """Hand over what is due, as far as earlier receipts were acknowledged."""
        due = self._due
        while due and self._unacknowledged < MOST_UNACKNOWLEDGED and self.up:
            batch: list[_Owed] = []
            room = MOST_REPORTS
            while due and room > 0:
                one = due.popleft()
                if len(one.ids) > room:
                    due.appendleft(_Owed(one.state, one.error, one.ids[room:], one.again))
                    one = _Owed(one.state, one.error, one.ids[:room], one.again)
                room -= len(one.ids)
                batch.append(one)
            reports = [report for one in batch for report in self._reports(one)]
            self._unacknowledged += len(reports)
            self._sink.receipts(self.name, reports).addCallbacks(
                self._acknowledged, self._not_stored, callbackArgs=(batch, len(reports)),
                errbackArgs=(batch, len(reports)),
            )

    def _reports(self, owed: _Owed) -> list[DeliveryReport]:
        at = self._wall()
        state, error = owed.state, owed.error
        return [DeliveryReport(id, state, error, at) for id in owed.ids]

    def _acknowledged(self, _: None, batch: list[_Owed], count: int) -> None:
        self._unacknowledged -= count
        self._owed -= count
        repeats = [_Owed(one.state, one.error, one.ids) for one in batch if one.again]
        if repeats and self.up:
            self._owed += sum(len(one.ids) for one in repeats)
            self._repeats.put(repeats)
        self._window.feed()
        self._report()

    def _not_stored(self, failure: Failure, batch: list[_Owed], count: int) -> None:
        """A temporary status was answered: the message centre repeats itself later."""
        _log.debug("{name}: {count} receipts are repeated: {why}", name=self.name, count=count,
                   why=failure.getErrorMessage())
        self._unacknowledged -= count
        if self.up:
            self._refused.put(batch)

    def simulate(self, incoming: Incoming) -> Deferred[errors.Refused | None]:
        """See :meth:`smsgw.interfaces.ISimulator.simulate`."""
        if not self.up:
            return succeed(_STOPPED)
        incoming.connector, incoming.at = self.name, self._wall()
        return self._sink.incoming(self.name, [incoming]).addCallback(lambda answers: answers[0])

    def stop(self) -> Deferred[None]:
        """See :meth:`smsgw.interfaces.IConnector.stop`.

        What would never be answered is given up at once. Receipts still owed are remembered by the gateway's store
        and owed again after the next start.
        """
        self.up = False
        self._window.close()
        stopped: Deferred[None] = Deferred(self._give_up)
        self._stopped = stopped
        self._answer_all(self._given_up.empty())
        return stopped

    def _give_up(self, stopped: Deferred[None]) -> None:
        """The gateway waits no longer."""
        self._answer_all([[(part, Lost("stopped")) for part, _ in batch] for batch in self._answers.empty()])
        self._finish()

    def _finish(self) -> None:
        stopped, self._stopped = self._stopped, None
        for queue in (self._answers, self._given_up, self._receipts, self._repeats, self._refused):
            queue.empty()
        if stopped is not None:
            stopped.callback(None)

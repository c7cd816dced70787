"""Messages that an upstream takes whole, although the gateway counts their parts.

The first part that is offered of a message carries all of it; the others share its fate. Their remote ids are the
upstream's with ``#2``, ``#3`` behind it, and what the upstream says of the message counts for all.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from smsgw.config import ConnectorSettings
from smsgw.connectors.window import Window
from smsgw.interfaces import Awaited, IConnectorSink
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Part
from smsgw.model.outcome import Accepted, Outcome, Refused
from smsgw.text import coding

REPEAT_AFTER: Final = 1.0
"""Seconds after which a receipt that could not be stored is given again."""

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


class WholeConnector(metaclass=ABCMeta):
    """What connectors of whole messages have in common; :meth:`send` is their own.

    :param clock: the reactor; its seconds are monotonic. :param wall: absolute seconds since 1970.
    """

    def __init__(self, settings: ConnectorSettings, clock: Any, wall: Callable[[], float]) -> None:
        self.name = settings.name
        self._clock = clock
        self._wall = wall
        self._window = Window(settings.window, settings.rate, clock, self._say_ready)
        self._messages = Whole()
        self._asking = 0
        self._stopped: Deferred[None] | None = None
        self._sink: IConnectorSink

    @property
    def up(self) -> bool:
        """See :class:`~smsgw.interfaces.IConnector`."""
        return self._window.open

    def start(self, sink: IConnectorSink) -> None:
        """See :meth:`smsgw.interfaces.IConnector.start`."""
        self._sink = sink
        self._window.open = True
        self._window.feed()

    def _say_ready(self) -> None:
        self._sink.ready(self.name)

    def room(self) -> int:
        """See :meth:`smsgw.interfaces.IConnector.room`."""
        return self._window.room()

    def settled(self, count: int) -> None:
        """See :meth:`smsgw.interfaces.IConnector.settled`."""
        self._window.settled(count)

    def offer(self, parts: Sequence[Part]) -> None:
        """See :meth:`smsgw.interfaces.IConnector.offer`."""
        self._window.take(len(parts))
        first, done = self._messages.offered(parts)
        if done:
            self._sink.outcomes(self.name, done)
        for part in first:
            if coding.alphabet(part.message.content.data_coding) is coding.Alphabet.OCTETS:
                self._settle(part, Refused(ErrorCode.NOT_CONVERTED, "binary data cannot be sent as text"))
            else:
                self.send(part)

    @abstractmethod
    def send(self, part: Part) -> None:
        """Send the whole message of `part`; :meth:`_settle` must follow."""

    def _settle(self, part: Part, outcome: Outcome) -> None:
        """The outcome of a message, for all its parts that were offered."""
        self._sink.outcomes(self.name, self._messages.over(part, outcome))

    def _reported(self, remote_id: str, state: State, error: int = 0) -> Deferred[None]:
        """What became of a message, for all its parts."""
        at = self._wall()
        reports = [DeliveryReport(id, state, error, at) for id in self._messages.ids(remote_id)]
        return self._sink.receipts(self.name, reports)

    def _delivered(self, remote_id: str) -> None:
        """An upstream that never reports took it: that is all that will be known. Said until it is stored."""

        def again(_: Failure) -> None:
            if self._stopped is None:
                self._clock.callLater(REPEAT_AFTER, self._delivered, remote_id)

        self._reported(remote_id, State.DELIVERED).addErrback(again)

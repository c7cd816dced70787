"""The base of connectors to upstreams that take a whole message and cut it into parts themselves.

The first part of a message that is sent carries the whole message, and its outcome is also that of the other parts. The
remote ids of these are the upstream's id with ``#2``, ``#3`` behind it. A receipt of the message is a receipt of every
part.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from smsgw.config import ConnectorSettings
from smsgw.connectors.circuit import Circuit
from smsgw.connectors.window import Window, adjustable
from smsgw.interfaces import Awaited, IConnectorSink
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.lifecycle import State
from smsgw.model.message import DeliveryReport, Part
from smsgw.model.outcome import Outcome, Rejected, Sent
from smsgw.text import coding

REPEAT_AFTER: Final = 1.0
"""Seconds after which a receipt that could not be stored is repeated."""

K = TypeVar("K")
V = TypeVar("V")

KNOWN: Final = 100_000
"""Messages in several parts whose id of the upstream is kept."""


class WholeMessages:
    """Tracks for each message the part that carries it, and the outcomes of the other parts."""

    def __init__(self) -> None:
        self._sharing: dict[int, list[Part]] = {}
        self._known: OrderedDict[int, str] = OrderedDict()
        self._parts: OrderedDict[str, int] = OrderedDict()

    def add(self, parts: Sequence[Part]) -> tuple[list[Part], list[tuple[Part, Outcome]]]:
        """The parts for which the message is to be sent, and the outcomes of parts whose message was sent before."""
        first: list[Part] = []
        known: list[tuple[Part, Outcome]] = []
        for part in parts:
            message = part.message
            if message.parts > 1:
                sharing = self._sharing.get(message.id)
                if sharing is not None:
                    sharing.append(part)
                    continue
                remote_id = self._known.get(message.id) or (part.seq > 1 and message.remote_id.partition("#")[0])
                if remote_id:
                    known.append((part, Sent(_part_id(remote_id, part.seq))))
                    continue
                self._sharing[message.id] = []
            first.append(part)
        return first, known

    def outcomes(self, part: Part, outcome: Outcome) -> list[tuple[Part, Outcome]]:
        """The outcomes of the part that carried the message and of the parts that were added since."""
        message = part.message
        parts = (part, *self._sharing.pop(message.id, ()))
        if not isinstance(outcome, Sent):
            return [(one, outcome) for one in parts]
        if message.parts > 1:
            put(self._known, message.id, outcome.remote_id)
            put(self._parts, outcome.remote_id, message.parts)
        return [(one, Sent(_part_id(outcome.remote_id, one.seq))) for one in parts]

    def part_ids(self, remote_id: str) -> list[str]:
        """The remote ids of all parts of a message."""
        return [_part_id(remote_id, seq) for seq in range(1, self._parts.get(remote_id, 1) + 1)]

    def resume(self, awaited: Sequence[Awaited]) -> list[str]:
        """The upstream's ids of the messages whose receipts are awaited after a restart."""
        ids: dict[str, None] = {}
        for one in awaited:
            remote_id = one.remote_id.partition("#")[0] if one.seq > 1 else one.remote_id
            if one.message.parts > 1:
                put(self._parts, remote_id, one.message.parts)
                put(self._known, one.message.id, remote_id)
            ids[remote_id] = None
        return list(ids)


def put(known: OrderedDict[K, V], key: K, value: V) -> None:
    """Add an entry, and drop the oldest one if there are more than :data:`KNOWN`."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > KNOWN:
        known.popitem(last=False)


def _part_id(remote_id: str, seq: int) -> str:
    return remote_id if seq == 1 else f"{remote_id}#{seq}"


class WholeMessageConnector(metaclass=ABCMeta):
    """The base class of connectors of whole messages. A subclass sends messages and obtains their receipts.

    The outcomes of one turn of the reactor are given together in the next turn, before the receipts that came
    meanwhile. :meth:`_followed` is called then, also after :meth:`resume`.

    A subclass calls ``self._circuit.fail`` when a message was not sent because the upstream could not be reached.

    :param clock: the reactor; its seconds are monotonic. :param now: absolute seconds since 1970.
    """

    def __init__(self, settings: ConnectorSettings, clock: Any, now: Callable[[], float]) -> None:
        self.name = settings.name
        self._settings = settings
        self._clock = clock
        self._now = now
        self._window = Window(settings.window, settings.rate, clock, self._say_ready)
        self._circuit = Circuit(settings.name, clock, self._connect, self._link_changed)
        self._messages = WholeMessages()
        self._requests = 0
        self._outcomes: list[tuple[Part, Outcome]] = []
        self._sent: list[str] = []
        self._stopped: Deferred[None] | None = None
        self._closed = False
        self._sink: IConnectorSink

    @abstractmethod
    def _send(self, part: Part) -> None:
        """Send the whole message of `part`; :meth:`_decided` must follow."""

    @abstractmethod
    def _connect(self) -> Deferred[str]:
        """Connect without a message. Fires with why the upstream cannot be reached, empty if it can be."""

    @abstractmethod
    def _followed(self, remote_ids: Sequence[str]) -> None:
        """Obtain the receipts of messages: their outcomes have been given, or they are awaited after a restart."""

    @abstractmethod
    def _close(self) -> Deferred[None]:
        """Close the connections: no request is under way, and none will be made."""

    @property
    def up(self) -> bool:
        """Whether the link is usable now."""
        return self._window.open

    def start(self, sink: IConnectorSink) -> None:
        self._sink = sink
        self._window.open = True
        self._window.feed()

    def apply(self, settings: ConnectorSettings) -> bool:
        if not adjustable(self._settings, settings):
            return False
        self._settings = settings
        self._window.apply(settings.window, settings.rate)
        return True

    def retry(self) -> None:
        self._circuit.retry()

    def _link_changed(self) -> None:
        self._window.open = self._circuit.up
        self._window.feed()

    def _say_ready(self) -> None:
        self._sink.ready(self.name)

    def room(self) -> int:
        return self._window.room()

    def release(self, count: int) -> None:
        self._window.release(count)

    def send(self, parts: Sequence[Part]) -> None:
        self._window.take(len(parts))
        first, known = self._messages.add(parts)
        self._collect(known)
        for part in first:
            if coding.alphabet(part.message.content.data_coding) is coding.Alphabet.OCTETS:
                self._decided(part, Rejected(ErrorCode.NOT_CONVERTED, "binary data cannot be sent as text"))
            else:
                self._send(part)

    def resume(self, awaited: Sequence[Awaited]) -> None:
        self._give_later()
        self._sent += self._messages.resume(awaited)

    def _decided(self, part: Part, outcome: Outcome) -> None:
        """Give the outcome of a message for all its parts that were sent."""
        self._collect(self._messages.outcomes(part, outcome))
        if isinstance(outcome, Sent):
            self._sent.append(outcome.remote_id)

    def _collect(self, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        if outcomes:
            self._give_later()
            self._outcomes += outcomes

    def _give_later(self) -> None:
        if not (self._outcomes or self._sent):
            self._clock.callLater(0, self._give_outcomes)

    def _give_outcomes(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        sent, self._sent = self._sent, []
        if outcomes:
            self._sink.outcomes(self.name, outcomes)
        if sent:
            self._followed(sent)
        if outcomes or sent:
            self._finish()

    def _report(self, remote_ids: Sequence[str], state: State, error: int = 0, raw: bytes = b"") -> Deferred[None]:
        """Give the receipts of messages, for all their parts, after the outcomes that came before; `raw` is the
        upstream's text."""
        self._give_outcomes()
        at = self._now()
        ids = [id for remote_id in remote_ids for id in self._messages.part_ids(remote_id)]
        return self._sink.receipts(self.name, [DeliveryReport(id, state, error, at, raw) for id in ids])

    def _report_delivered(self, remote_ids: Sequence[str]) -> None:
        """Report messages delivered that an upstream without receipts has taken; repeat this until it is stored."""

        def again(_: Failure) -> None:
            if self._stopped is None:
                self._clock.callLater(REPEAT_AFTER, self._report_delivered, remote_ids)

        if remote_ids:
            self._report(remote_ids, State.DELIVERED).addErrback(again)

    def stop(self) -> Deferred[None]:
        self._circuit.stop()
        self._window.close()
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        self._finish()
        return stopped

    def _finish(self) -> None:
        """End the stop when no request is under way and every outcome is given."""
        if self._stopped is not None and not (self._closed or self._requests or self._outcomes or self._sent):
            self._closed = True
            self._close().chainDeferred(self._stopped)

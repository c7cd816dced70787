"""Contains the exceptions of a connector, so that they stop neither the gateway nor other messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import index
from types import MappingProxyType
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.config import ConnectorSettings
from smsgw.interfaces import IConnector
from smsgw.model.message import Part
from smsgw.model.outcome import Lost, Outcome
from smsgw.model.pacing import log_limit
from smsgw.services.dispatch.metrics import DispatchMetrics

MOST_EXCEPTIONS: Final = 5
"""After so many exceptions of the connector in sending a message, that message fails."""

_RAISED: Final = "the connector raised an exception"
_log = Logger()


class GuardedConnector:
    """A connector whose exceptions are counted, and have a defined result: a link whose state cannot be read is down,
    an unknown room is 0, parts that could not be sent are lost, slots stay taken.

    It knows the messages at which the connector raised an exception, and the slots that the connector did not count
    because of one: a connector that raises in the middle of a list may have counted only some of its parts. It must get
    back exactly the slots that it has counted, or its window would grow or shrink with each exception.

    :param clock: its seconds are monotonic.
    :ivar failing: the names of the connector's attributes and methods that raised an exception when they were last
        used, and the types of these exceptions.
    """

    def __init__(self, name: str, connector: IConnector, clock: IReactorTime, metrics: DispatchMetrics) -> None:
        self._name = name
        self._connector = connector
        self._clock = clock
        self._metrics = metrics
        self._failing: dict[str, str] = {}
        self.failing: Mapping[str, str] = MappingProxyType(self._failing)
        self._lines = log_limit()
        self._exceptions: dict[int, int] = {}
        self._uncounted = 0

    @property
    def up(self) -> bool:
        """Whether the link is usable now; False if the connector raises an exception."""
        try:
            up = bool(self._connector.up)
        except Exception:  # noqa: BLE001 - a fault of one connector must not stop the others
            self._raised("up")
            return False
        if self._failing:
            self._worked("up")
        return up

    @property
    def suspects(self) -> bool:
        """Whether the connector raised an exception at a message that may be sent to it again."""
        return bool(self._exceptions)

    def poisoned(self, id: int) -> bool:
        """Whether the connector raised :data:`MOST_EXCEPTIONS` exceptions at this message."""
        return self._exceptions.get(id, 0) >= MOST_EXCEPTIONS

    def clear(self, ids: Iterable[int]) -> None:
        """Forget messages that will not be sent to this connector again."""
        for id in ids if self._exceptions else ():
            self._exceptions.pop(id, None)

    def adjust(self, settings: ConnectorSettings) -> bool:
        """Let the connector use changed settings; False if it cannot, or raises an exception."""
        connector: Any = self._connector
        try:
            return bool(connector.apply(settings))
        except Exception:  # noqa: BLE001 - a fault of one connector must not stop the others; it is replaced
            self._raised("apply")
            return False

    def room(self) -> int:
        """How many parts may be sent now; 0 if the connector raises an exception or returns no integer."""
        try:
            room = index(self._connector.room())
        except Exception:  # noqa: BLE001 - a fault of one connector must not stop the others
            self._raised("room")
            return 0
        if self._failing:
            self._worked("room")
        return max(0, room)

    def send(self, parts: list[Part], room: int) -> list[tuple[Part, Outcome]]:
        """Send parts; `room` is what :meth:`room` has just returned.

        While there are suspects each part is sent alone, so that an exception affects one part only.

        :return: an outcome for each part at which the connector raised an exception; usually an empty list.
        """
        if self._exceptions and len(parts) > 1:
            return [answer for part in parts for answer in self.send([part], self.room())]
        try:
            self._connector.send(parts)
        except Exception:  # noqa: BLE001 - a fault of one connector, or of one message in it, must not stop the others
            return self._not_sent(parts, room)
        if self._failing:
            self._worked("send")
        return []

    def _not_sent(self, parts: list[Part], room: int) -> list[tuple[Part, Outcome]]:
        """After an exception at parts that were sent into such a room; inside the handler."""
        self._raised("send")
        counted = max(room - self.room(), 0)
        self._uncounted += max(len(parts) - counted, 0)
        for id in {part.message.id for part in parts}:
            self._exceptions[id] = self._exceptions.get(id, 0) + 1
        return [(part, Lost(_RAISED)) for part in parts]

    def release(self, count: int) -> None:
        """The outcomes of `count` parts are committed: give the connector back the slots that it has counted."""
        uncounted = min(count, self._uncounted)
        self._uncounted -= uncounted
        count -= uncounted
        if not count:
            return
        try:
            self._connector.release(count)
        except Exception:  # noqa: BLE001 - a fault of one connector must not stop the others
            self._raised("release")
        else:
            if self._failing:
                self._worked("release")

    def _raised(self, name: str) -> None:
        """Count an exception of the connector, and log the first of a series; inside the handler."""
        failure = Failure()
        self._metrics.exceptions[self._name, name] += 1
        if name not in self._failing and self._lines.take(self._clock.seconds()):
            _log.failure(
                "connector {connector} raised an exception in {method}; until it works again this is only counted",
                failure,
                connector=self._name,
                method=name,
            )
        self._failing[name] = type(failure.value).__name__

    def _worked(self, name: str) -> None:
        """End a series of exceptions."""
        if self._failing.pop(name, None) is not None and self._lines.take(self._clock.seconds()):
            _log.info("connector {connector} works again in {method}", connector=self._name, method=name)

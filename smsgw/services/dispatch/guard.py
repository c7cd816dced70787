"""Contains the exceptions of a connector, so that they stop neither the gateway nor other messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from twisted.logger import Logger

from smsgw.interfaces import IConnector
from smsgw.model.message import Part
from smsgw.model.outcome import Lost, Outcome

MOST_EXCEPTIONS: Final = 5
"""After so many exceptions of the connector in sending a message, that message fails."""

_RAISED: Final = "the connector raised an exception"
_log = Logger()


class GuardedConnector:
    """A connector, the messages at which it raised an exception, and the slots that it did not count because of one.

    A connector that raises in the middle of a list may have counted only some of its parts. It must get back exactly
    the slots that it has counted, or its window would grow or shrink with each exception.
    """

    def __init__(self, name: str, connector: IConnector) -> None:
        self._name = name
        self._connector = connector
        self._exceptions: dict[int, int] = {}
        self._uncounted = 0

    @property
    def up(self) -> bool:
        """Whether the link is usable now."""
        return bool(self._connector.up)

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

    def room(self) -> int:
        """How many parts may be sent now; 0 if the connector raises an exception."""
        try:
            return self._connector.room()
        except Exception:  # noqa: BLE001 - a fault of one connector must not stop the others
            _log.failure("connector {connector} raised when asked for its room", connector=self._name)
            return 0

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
            return self._raised(parts, room)
        return []

    def _raised(self, parts: list[Part], room: int) -> list[tuple[Part, Outcome]]:
        """After an exception at parts that were sent into such a room; inside the handler."""
        _log.failure("connector {connector} raised when {count} parts were sent", connector=self._name,
                     count=len(parts))
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
        if count:
            try:
                self._connector.release(count)
            except Exception:  # noqa: BLE001 - a fault of one connector must not stop the others
                _log.failure("connector {connector} raised when its slots were released", connector=self._name)

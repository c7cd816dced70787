"""Bodies of the HTTP client: requests written at once, responses read up to a limit."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer


def read_body(response: IResponse, limit: int) -> Deferred[tuple[bytes, bool]]:
    """Read the first octets of a body, at most `limit`; the Deferred fires with them and whether the body is complete.

    It fires at the end of the body, at the limit, or when it is cancelled, then with the octets received so far. It
    never fails. A connection whose body is not read to its end is closed.
    """
    reading = _Reading(limit)
    response.deliverBody(reading)
    return reading.done


class _Reading(Protocol):
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._octets = bytearray()
        self.done: Deferred[tuple[bytes, bool]] = Deferred(lambda _: self._stop())

    def dataReceived(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._octets += data
        if len(self._octets) > self._limit:
            self._stop()

    def connectionLost(self, reason: Failure = Failure(ConnectionAborted())) -> None:
        """The body or the connection has ended."""
        if not self.done.called:
            self.done.callback((bytes(self._octets), reason.check(ResponseDone, PotentialDataLoss) is not None))

    def _stop(self) -> None:
        if not self.done.called:
            self.done.callback((bytes(self._octets[: self._limit]), False))
        transport: Any = self.transport
        transport.stopProducing()


@implementer(IBodyProducer)
class Octets:
    """A request body in memory, written at once."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.length = len(octets)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Write it."""
        consumer.write(self._octets)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        """Nothing is left to send."""

    def resumeProducing(self) -> None:
        """Nothing is left to send."""

    def stopProducing(self) -> None:
        """Nothing is left to send."""

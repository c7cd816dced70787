"""Misbehaving servers on loopback, for tests with a real reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

reactor: Any = installed


class Receiver(Protocol):
    """One connection: `answer` is called with each complete request."""

    factory: ReceiverFactory

    def connectionMade(self) -> None:
        """One more."""
        self.octets = b""
        self.factory.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        """Requests, one after the other."""
        self.octets += data
        while b"\r\n\r\n" in self.octets:
            head, _, rest = self.octets.partition(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if len(rest) < length:
                return
            self.octets = rest[length:]
            self.factory.requests.append((head, rest[:length]))
            self.factory.answer(self)

    def send(self, octets: bytes) -> None:
        """Write."""
        assert self.transport is not None
        self.transport.write(octets)

    def connectionLost(self, reason: Failure = Failure(ConnectionError())) -> None:
        """One less."""
        self.factory.connections.remove(self)
        if not self.factory.connections and self.factory.empty is not None:
            empty, self.factory.empty = self.factory.empty, None
            empty.callback(None)


class ReceiverFactory(Factory):
    """A server on a free port.

    :ivar answer: what is done for each request. :ivar requests: (head, body) of each.
    """

    protocol = Receiver
    noisy = False

    def __init__(self, answer: Callable[[Receiver], None], tls: Any = None, interface: str = "127.0.0.1") -> None:
        self.answer = answer
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections: list[Receiver] = []
        self.empty: Deferred[None] | None = None
        if tls is None:
            self.port = reactor.listenTCP(0, self, interface=interface)
        else:
            self.port = reactor.listenSSL(0, self, tls, interface=interface)

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self.port.getHost().port}"

    def stop(self) -> Deferred[Any]:
        """Close everything."""

        def closed(_: object) -> Any:
            if not self.connections:
                return None
            self.empty = Deferred()
            for one in list(self.connections):
                transport: Any = one.transport
                transport.abortConnection()
            return self.empty

        return Deferred.fromCoroutine(_closing(self.port)).addCallback(closed)


async def _closing(port: Any) -> None:
    await port.stopListening()


def answering(status: int = 200, headers: bytes = b"", body: bytes = b"ok") -> Callable[[Receiver], None]:
    """Answer each request with this."""

    def answer(receiver: Receiver) -> None:
        length = b"Content-Length: %d\r\n" % len(body)
        receiver.send(b"HTTP/1.1 %d Word\r\n%b%b\r\n%b" % (status, length, headers, body))

    return answer

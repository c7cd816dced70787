"""Our own requests over HTTP: bounded in time and octets, connections reused, nothing followed, nothing unpacked.

Twisted's Agent as it is would follow a server for as long as that likes: it takes headers and interim answers without
end, and a body without end after them. Here every connection counts what it receives for one request, and is cut
off beyond the bound; one deadline covers connecting, headers and body. Cookies are not kept, redirects are answers,
compression is never offered: what a server sends is what is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import attrs
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, fail
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionAborted,
    ConnectionClosed,
    DNSLookupError,
)
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import (  # type: ignore[attr-defined]  # RequestNotSent is there, but not in its __all__
    URI,
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    RequestNotSent,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from smsgw.model.callbackurl import place_of
from smsgw.protocols.http.public_address import forbidden

CONNECTING: Final = 5.0
"""Seconds for one attempt to connect."""

CLOSING: Final = 2.0
"""Seconds for which a connection may be closing."""

IDLE: Final = 3.0
"""Seconds for which an idle connection is kept: less than servers keep it, so that few requests meet a closed one."""

HEADERS: Final = 32 * 1024
"""Octets of headers, interim answers and framing that a server may send with one answer, beside its body."""

_USER_AGENT: Final = b"smsgw"
_log = Logger()


class CallFailed(Exception):
    """There is no answer. The text says why, without anything the server sent.

    :ivar sent: whether the request may have reached the server.
    :ivar refused: whether the address is one that must not be called: another try is in vain.
    """

    def __init__(self, why: str, *, sent: bool, refused: bool = False) -> None:
        super().__init__(why)
        self.sent = sent
        self.refused = refused


@attrs.frozen
class Got:
    """A server's answer. :ivar whole: whether the body ended within the bound; else `body` is its beginning."""

    status: int
    headers: Headers
    body: bytes
    whole: bool

    def header(self, name: bytes) -> str:
        """The last header of that name, empty for none."""
        values = self.headers.getRawHeaders(name) or [b""]
        return values[-1].decode("latin-1")


class _Counted(ProtocolWrapper):
    """A connection that is cut off when a server sends more than the bound for one request."""

    left = 0
    closing: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        """Pass on what there is room for."""
        room = self.left
        self.left = room - len(data)
        super().dataReceived(data[:room] if self.left < 0 else data)  # type: ignore[no-untyped-call]
        if self.left < 0:
            self._abort()

    def write(self, data: bytes) -> None:
        """A request begins: count anew."""
        self.left = cast("_Counting", self.factory).most
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Sequence[bytes]) -> None:
        """See :meth:`write`."""
        self.left = cast("_Counting", self.factory).most
        super().writeSequence(data)  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        """Close politely, but not for long: a peer could hold up the end of a TLS connection for ever."""
        if not self.disconnecting:
            super().loseConnection()  # type: ignore[no-untyped-call]
            self.closing = cast("_Counting", self.factory).clock.callLater(CLOSING, self._abort)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """It is closed."""
        if self.closing is not None and self.closing.active():
            self.closing.cancel()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def stopProducing(self) -> None:
        """Close at once: what comes is too much."""
        self._abort()

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class _Counting(WrappingFactory):
    protocol = _Counted
    noisy = False

    def __init__(self, factory: Any, most: int, clock: IReactorTime) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.most = most
        self.clock = clock

    def registerProtocol(self, p: ProtocolWrapper) -> None:
        """Nobody asks who is connected."""

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        """Nobody asks who is connected."""


@implementer(IStreamClientEndpoint)
@attrs.define(eq=False)
class _Bounded:
    """An endpoint whose connections are counted."""

    endpoint: Any
    most: int
    clock: IReactorTime

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; the answer is the protocol inside."""
        connecting: Deferred[Any] = self.endpoint.connect(_Counting(protocolFactory, self.most, self.clock))
        return connecting.addCallback(lambda wrapper: wrapper.wrappedProtocol)


@implementer(IResolutionReceiver)
class _Addresses:
    """Gathers what a name stands for; fires when that is complete."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing to note."""

    def addressResolved(self, address: IAddress) -> None:
        """One more."""
        self.found.append(cast(Any, address).host)

    def resolutionComplete(self) -> None:
        """These are all."""
        if not self.complete.called:
            self.complete.callback(self.found)


@implementer(IStreamClientEndpoint)
@attrs.define(eq=False)
class _Guarded:
    """Connects to a host only when every address that its name stands for now is public, and to one of just those:
    what is looked at is what is connected to, so a name that changes its mind gains nothing."""

    reactor: Any
    host: str
    port: int

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Resolve, look, connect to the first address that answers."""
        return ensureDeferred(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        receiver = _Addresses()
        resolver: IHostnameResolver = self.reactor.nameResolver
        resolver.resolveHostName(receiver, self.host, self.port)
        addresses = await receiver.complete
        for address in addresses:
            why = forbidden(address)
            if why:
                raise CallFailed(f"the host is at {why}", sent=False, refused=True)
        failure: Exception = DNSLookupError("no address is known for the host")
        for address in addresses:
            try:
                return await HostnameEndpoint(self.reactor, address, self.port, CONNECTING).connect(factory)
            except ConnectError as error:
                failure = error
        raise failure


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """How the Agent connects."""

    def __init__(self, reactor: Any, guard: bool, most: int, trust: Any) -> None:
        self._reactor = reactor
        self._guard = guard
        self._most = most
        self._policy = BrowserLikePolicyForHTTPS(trust)

    def endpointForURI(self, uri: URI) -> Any:
        """Counted, guarded if it is to be, with the server's certificate verified where there is one."""
        host = uri.host.decode("ascii")
        endpoint: Any
        if self._guard:
            endpoint = _Guarded(self._reactor, host, uri.port)
        else:
            endpoint = HostnameEndpoint(self._reactor, host, uri.port, CONNECTING)
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
        return _Bounded(endpoint, self._most, self._reactor)


class _Body(Protocol):
    """Gathers at most `limit` octets; fires with them and whether that is all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._octets = bytearray()
        self.done: Deferred[tuple[bytes, bool]] = Deferred(self._give_up)

    def dataReceived(self, data: bytes) -> None:
        """More; beyond the bound the connection goes."""
        self._octets += data
        if len(self._octets) > self._limit:
            self._cut()

    def connectionLost(self, reason: Failure = Failure(ConnectionAborted())) -> None:
        """The body's end, as it was meant or not."""
        if not self.done.called:
            self.done.callback((bytes(self._octets), reason.check(ResponseDone, PotentialDataLoss) is not None))

    def _give_up(self, _: Deferred[tuple[bytes, bool]]) -> None:
        self._cut()

    def _cut(self) -> None:
        if not self.done.called:
            self.done.callback((bytes(self._octets[: self._limit]), False))
        transport: Any = self.transport
        transport.stopProducing()


class WebClient:
    """Makes requests. Every one ends, with :class:`Got` or :class:`CallFailed`.

    :param reactor: with name resolver, TCP and monotonic seconds.
    :param per_host: idle connections kept for each host. :param seconds: from the call to the end of the body.
    :param limit: octets of a body that are read.
    :param guard: call public hosts only (see :func:`~smsgw.protocols.http.public_address.forbidden`), at the usual
        ports and those above 1023.
    :param trust: whose certificates are believed; those that the system believes if None.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        per_host: int = 4,
        seconds: float = 10.0,
        limit: int = 8192,
        guard: bool = False,
        trust: Any = None,
    ) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._limit = limit
        self._guard = guard
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = per_host
        self._pool.cachedConnectionTimeout = IDLE  # type: ignore[assignment]
        self._pool.retryAutomatically = False
        endpoints = _Endpoints(reactor, guard, limit + HEADERS, trust)
        self._agent = Agent.usingEndpointFactory(reactor, endpoints, self._pool)

    def request(
        self, method: bytes, url: str, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes | None = None
    ) -> Deferred[Got]:
        """Ask once. `url` is checked here, too.

        :raises CallFailed: through the Deferred.
        """
        try:
            place = place_of(url)
            if self._guard and place.port < 1024 and place.port not in (80, 443):
                raise ValueError("a port that is not for the web")
        except ValueError as error:
            return fail(CallFailed(str(error), sent=False, refused=True))
        return ensureDeferred(self._request(method, url, headers, body))

    async def _request(
        self, method: bytes, url: str, headers: Sequence[tuple[bytes, bytes]], body: bytes | None
    ) -> Got:
        all_headers = Headers({b"User-Agent": [_USER_AGENT]})
        for name, value in headers:
            all_headers.addRawHeader(name, value)
        under_way: Deferred[Any] = self._agent.request(method, url.encode("ascii"), all_headers, _producer(body))

        def too_late() -> None:
            under_way.cancel()

        late = self._reactor.callLater(self._seconds, too_late)
        try:
            response: IResponse = await under_way
            reading = _Body(self._limit)
            under_way = reading.done
            response.deliverBody(reading)
            octets, whole = await reading.done
            return Got(response.code, response.headers, octets, whole)
        except CallFailed:
            raise
        except Exception as error:
            raise _failed(error, late_already=not late.active()) from error
        finally:
            if late.active():
                late.cancel()

    def close(self) -> Deferred[None]:
        """Close idle connections."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing


def _producer(body: bytes | None) -> IBodyProducer | None:
    return None if body is None else _Octets(body)


@implementer(IBodyProducer)
class _Octets:
    """A body that is there already."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.length = len(octets)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """All of it at once."""
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


def _failed(error: Exception, *, late_already: bool) -> CallFailed:
    """What went wrong, in our words. What is no failure of the network is a fault of ours: it is logged, and costs this
    one request."""
    if late_already:
        return CallFailed("no answer in time", sent=not isinstance(error, ConnectingCancelledError))
    if isinstance(error, DNSLookupError):
        return CallFailed("the host is not known", sent=False)
    if isinstance(error, ConnectError):
        return CallFailed(f"no connection: {type(error).__name__}", sent=False)
    if isinstance(error, RequestNotSent):
        return CallFailed("the connection ended before the request", sent=False)
    if isinstance(error, (ResponseFailed, RequestTransmissionFailed)):
        return CallFailed("the connection ended before the answer, or it was no HTTP", sent=True)
    if isinstance(error, (ConnectionClosed, CancelledError)):
        return CallFailed(f"the connection ended: {type(error).__name__}", sent=True)
    _log.failure("a request of ours failed for no fault of the network", Failure(error))
    return CallFailed(f"{type(error).__name__}", sent=True)

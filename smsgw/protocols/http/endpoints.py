"""Connections of the HTTP client: limited in octets, and optionally to public addresses.

Twisted's client accepts headers and interim responses of any length. These connections count the octets received for
one request and are cut above the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import attrs
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
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
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from smsgw.protocols.http.public_address import why_not_public

CONNECTING: Final = 5.0
"""Seconds for one attempt to connect."""

CLOSING: Final = 2.0
"""Longest time in seconds to close a connection."""


class HostRefused(Exception):
    """The client does not connect to this host. The text has the reason, without name and address."""


class _BoundedConnection(ProtocolWrapper):
    """A connection that is cut when a server sends more octets for one request than the limit.

    :ivar left: octets that may still arrive for this request.
    """

    left = 0
    _closing: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        """Pass on octets within the limit; cut the connection above it."""
        room = self.left
        self.left = room - len(data)
        super().dataReceived(data[:room] if self.left < 0 else data)  # type: ignore[no-untyped-call]
        if self.left < 0:
            self._abort()

    def write(self, data: bytes) -> None:
        """A request begins: reset the count."""
        self.left = cast("_BoundedConnections", self.factory).limit
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Sequence[bytes]) -> None:
        """A request begins: reset the count."""
        self.left = cast("_BoundedConnections", self.factory).limit
        super().writeSequence(data)  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        """Close, and abort after a bounded time: a server could delay the end of a TLS connection for ever."""
        if not self.disconnecting:
            super().loseConnection()  # type: ignore[no-untyped-call]
            self._closing = cast("_BoundedConnections", self.factory).clock.callLater(CLOSING, self._abort)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Stop the timer of the closing."""
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def stopProducing(self) -> None:
        """Close at once: the reader needs no more of the body."""
        self._abort()

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class _BoundedConnections(WrappingFactory):
    protocol = _BoundedConnection
    noisy = False

    def __init__(self, factory: Any, limit: int, clock: IReactorTime) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.limit = limit
        self.clock = clock

    def registerProtocol(self, p: ProtocolWrapper) -> None:
        """Do nothing: the connection pool tracks the connections."""

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        """Do nothing: the connection pool tracks the connections."""


@implementer(IStreamClientEndpoint)
@attrs.frozen(eq=False)
class _BoundedEndpoint:
    """An endpoint whose connections count octets.

    :ivar make: returns the endpoint beneath, or raises ValueError for an invalid host name. It is called only if a
        new connection is needed; most requests reuse one.
    """

    make: Callable[[], Any]
    limit: int
    clock: IReactorTime

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; the Deferred fires with the protocol of the factory."""
        factory = _BoundedConnections(protocolFactory, self.limit, self.clock)
        connecting: Deferred[Any] = maybeDeferred(lambda: self.make().connect(factory))
        return connecting.addCallbacks(lambda wrapper: wrapper.wrappedProtocol, _refused)


def _refused(failure: Failure) -> Failure:
    """Raise HostRefused for the ValueError of an invalid host name."""
    if failure.check(ValueError):
        raise HostRefused("the host name is not valid") from failure.value
    return failure


@implementer(IResolutionReceiver)
class _Resolution:
    """Collects the addresses of a name; `complete` fires with all of them."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """The name lookup has begun."""

    def addressResolved(self, address: IAddress) -> None:
        """Add an address."""
        self.found.append(cast(Any, address).host)

    def resolutionComplete(self) -> None:
        """All addresses are known: fire `complete`."""
        if not self.complete.called:
            self.complete.callback(self.found)


@implementer(IStreamClientEndpoint)
@attrs.define(eq=False)
class _PublicEndpoint:
    """Connects to a host only if all its addresses are public, and only to these addresses.

    The name is resolved once, so that a second, different answer of a DNS server has no effect.
    """

    reactor: Any
    host: str
    port: int

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Resolve, check, connect to the first address that accepts."""
        return ensureDeferred(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        receiver = _Resolution()
        resolver: IHostnameResolver = self.reactor.nameResolver
        resolver.resolveHostName(receiver, self.host, self.port)
        addresses = await receiver.complete
        for address in addresses:
            why = why_not_public(address)
            if why:
                raise HostRefused(f"the host is at {why}")
        failure: Exception = DNSLookupError("no address is known for the host")
        for address in addresses:
            try:
                return await HostnameEndpoint(self.reactor, address, self.port, CONNECTING).connect(factory)
            except ConnectError as error:
                failure = error
        raise failure


@implementer(IAgentEndpointFactory)
class BoundedEndpoints:
    """Makes the endpoints of an agent.

    :param public: connect to public addresses only; a connection fails with :class:`HostRefused` otherwise.
    :param limit: highest number of octets that a server may send for one request.
    :param trust: the trust roots for certificates; None: those of the system.
    """

    def __init__(self, reactor: Any, *, public: bool, limit: int, trust: Any = None) -> None:
        self._reactor = reactor
        self._public = public
        self._limit = limit
        self._policy = BrowserLikePolicyForHTTPS(trust)

    def endpointForURI(self, uri: URI) -> Any:
        """Return an endpoint of TCP or, for https, of TLS that verifies the server's certificate."""
        return _BoundedEndpoint(lambda: self._endpoint(uri), self._limit, self._reactor)

    def _endpoint(self, uri: URI) -> Any:
        host = uri.host.decode("ascii")
        host.encode("idna")  # the resolver does the same, but does not report an error
        endpoint: Any
        if self._public:
            endpoint = _PublicEndpoint(self._reactor, host, uri.port)
        else:
            endpoint = HostnameEndpoint(self._reactor, host, uri.port, CONNECTING)
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
        return endpoint

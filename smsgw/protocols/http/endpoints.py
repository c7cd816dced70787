"""How our own requests connect: to public addresses only where that is wanted, and never for more octets than allowed.

Twisted's client takes headers and interim answers without end. Here every connection counts what it receives for one
request, and is cut off beyond the bound.
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
"""Seconds for which a connection may be closing."""


class HostRefused(Exception):
    """A host that is never connected to; the text says why, without its name or address."""


class _BoundedConnection(ProtocolWrapper):
    """A connection that is cut off when a server sends more than the bound for one request.

    :ivar left: octets that may still come for this request.
    """

    left = 0
    _closing: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        """Pass on what is within the bound."""
        room = self.left
        self.left = room - len(data)
        super().dataReceived(data[:room] if self.left < 0 else data)  # type: ignore[no-untyped-call]
        if self.left < 0:
            self._abort()

    def write(self, data: bytes) -> None:
        """A request begins: count anew."""
        self.left = cast("_BoundedConnections", self.factory).limit
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, data: Sequence[bytes]) -> None:
        """A request begins: count anew."""
        self.left = cast("_BoundedConnections", self.factory).limit
        super().writeSequence(data)  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        """Close politely, but not for long: a peer could hold up the end of a TLS connection for ever."""
        if not self.disconnecting:
            super().loseConnection()  # type: ignore[no-untyped-call]
            self._closing = cast("_BoundedConnections", self.factory).clock.callLater(CLOSING, self._abort)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Stop the timer of the closing."""
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def stopProducing(self) -> None:
        """Close at once: the reader has enough of the body."""
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
        """The connection pool knows the connections."""

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        """The connection pool knows the connections."""


@implementer(IStreamClientEndpoint)
@attrs.frozen(eq=False)
class _BoundedEndpoint:
    """An endpoint whose connections are bounded.

    :ivar make: gives the endpoint beneath, or raises ValueError for a host that cannot be looked up at all. It is
        called when a connection is needed; most requests find one that is there.
    """

    make: Callable[[], Any]
    limit: int
    clock: IReactorTime

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; the result is the protocol that the factory made."""
        factory = _BoundedConnections(protocolFactory, self.limit, self.clock)
        connecting: Deferred[Any] = maybeDeferred(lambda: self.make().connect(factory))
        return connecting.addCallbacks(lambda wrapper: wrapper.wrappedProtocol, _refused)


def _refused(failure: Failure) -> Failure:
    """Endpoints fail with ValueError, too, when a host's name is none."""
    if failure.check(ValueError):
        raise HostRefused("the host has a name that none can have") from failure.value
    return failure


@implementer(IResolutionReceiver)
class _Resolution:
    """Gathers the addresses of a name; `complete` fires with all of them."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """The name is being looked up."""

    def addressResolved(self, address: IAddress) -> None:
        """Note an address."""
        self.found.append(cast(Any, address).host)

    def resolutionComplete(self) -> None:
        """Tell them."""
        if not self.complete.called:
            self.complete.callback(self.found)


@implementer(IStreamClientEndpoint)
@attrs.define(eq=False)
class _PublicEndpoint:
    """Connects to a host only if each of its addresses is public now, and only to those addresses.

    The name is resolved once: a DNS server that gives another answer the second time gains nothing.
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
    :param limit: octets that a server may send for one request, over everything.
    :param trust: whose certificates are believed; those that the system believes if None.
    """

    def __init__(self, reactor: Any, *, public: bool, limit: int, trust: Any = None) -> None:
        self._reactor = reactor
        self._public = public
        self._limit = limit
        self._policy = BrowserLikePolicyForHTTPS(trust)

    def endpointForURI(self, uri: URI) -> Any:
        """An endpoint of TCP or, for https, of TLS that verifies the server's certificate."""
        return _BoundedEndpoint(lambda: self._endpoint(uri), self._limit, self._reactor)

    def _endpoint(self, uri: URI) -> Any:
        host = uri.host.decode("ascii")
        host.encode("idna")  # as the resolver does, which would never answer where this fails
        endpoint: Any
        if self._public:
            endpoint = _PublicEndpoint(self._reactor, host, uri.port)
        else:
            endpoint = HostnameEndpoint(self._reactor, host, uri.port, CONNECTING)
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
        return endpoint

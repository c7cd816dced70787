"""An HTTP client with limits in seconds and octets and with reused connections.

treq makes the requests over an agent whose connections count octets (:mod:`smsgw.protocols.http.endpoints`). One
deadline covers connecting, headers and body. Redirects are not followed, cookies are not kept, compression is not
offered (:mod:`smsgw.protocols.http.plainagent`): the limit applies to the octets that the server sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, fail
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed, DNSLookupError
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import (  # type: ignore[attr-defined]  # RequestNotSent is not in its __all__
    URI,
    Agent,
    HTTPConnectionPool,
    RequestNotSent,
    RequestTransmissionFailed,
    ResponseFailed,
)
from twisted.web.http_headers import Headers

from smsgw.model.callbackurl import place_of
from smsgw.protocols.http.body import Octets, read_body
from smsgw.protocols.http.endpoints import BoundedEndpoints, HostRefused
from smsgw.protocols.http.plainagent import GivenAddress, NoCookies, PlainAgent

IDLE: Final = 3.0
"""Seconds for which an idle connection is kept: fewer than servers keep it, so that it is rarely closed when reused."""

HEADERS: Final = 32 * 1024
"""Highest number of octets of headers, interim responses and framing of one response, beside its body."""

_USER_AGENT: Final = b"smsgw"
_log = Logger()


class RequestFailed(Exception):
    """A request without a response. The text has the reason, and nothing that the server sent.

    :ivar sent: whether the request may have reached the server.
    :ivar refused: whether the client refused the address; a repetition fails too.
    """

    def __init__(self, why: str, *, sent: bool, refused: bool = False) -> None:
        super().__init__(why)
        self.sent = sent
        self.refused = refused


@attrs.frozen
class WebResponse:
    """A server's response.

    :ivar complete: whether `body` is the whole body; else it is the beginning.
    """

    status: int
    headers: Headers
    body: bytes
    complete: bool

    def header(self, name: bytes) -> str:
        """Return the last header of that name; empty if there is none."""
        values = self.headers.getRawHeaders(name) or [b""]
        return values[-1].decode("latin-1")


class WebClient:
    """Makes requests. Each ends with :class:`WebResponse` or :class:`RequestFailed`.

    :param reactor: with name resolver, TCP and monotonic seconds.
    :param per_host: idle connections kept for each host. :param seconds: from the request to the end of the body.
    :param limit: highest number of octets read of a body.
    :param guard: make requests to public hosts only (see
        :func:`~smsgw.protocols.http.public_address.why_not_public`), at the usual ports and those above 1023.
    :param trust: the trust roots for certificates; None: those of the system.
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
        self._endpoints = endpoints = BoundedEndpoints(reactor, public=guard, limit=limit + HEADERS, trust=trust)
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = per_host
        self._pool.cachedConnectionTimeout = IDLE  # type: ignore[assignment]
        self._pool.retryAutomatically = False
        agent = Agent.usingEndpointFactory(reactor, endpoints, self._pool)
        self._cookies = NoCookies()
        self._client = HTTPClient(PlainAgent(agent), cast(Any, self._cookies), Octets)

    def request(
        self, method: bytes, url: str, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes | None = None
    ) -> Deferred[WebResponse]:
        """Make one request; `url` is checked first.

        :raises RequestFailed: through the Deferred.
        """
        try:
            place = place_of(url)
            if self._guard and place.port < 1024 and place.port not in (80, 443):
                raise ValueError("a port that is not for the web")
        except ValueError as error:
            return fail(RequestFailed(str(error), sent=False, refused=True))
        return ensureDeferred(self._request(method, url, headers, body))

    async def _request(
        self, method: bytes, url: str, headers: Sequence[tuple[bytes, bytes]], body: bytes | None
    ) -> WebResponse:
        all_headers = Headers({b"User-Agent": [_USER_AGENT]})
        for name, value in headers:
            all_headers.addRawHeader(name, value)
        under_way: Deferred[Any] = Deferred()

        def too_late() -> None:
            under_way.cancel()

        deadline = self._reactor.callLater(self._seconds, too_late)
        try:
            under_way = self._client.request(
                method.decode("ascii"),
                GivenAddress(url),
                headers=all_headers,
                data=body,
                cookies=self._cookies,
                allow_redirects=False,
                unbuffered=True,
                reactor=self._reactor,
            )
            response: Any = await under_way
            under_way = read_body(response, self._limit)
            octets, complete = await under_way
            return WebResponse(response.code, response.headers, octets, complete)
        except Exception as error:
            raise _failed(error, too_late=not deadline.active()) from error
        finally:
            if deadline.active():
                deadline.cancel()

    def connect(self, url: str) -> Deferred[None]:
        """Connect to the host of `url` and disconnect, without a request.

        :raises RequestFailed: through the Deferred.
        """
        return ensureDeferred(self._connect(url))

    async def _connect(self, url: str) -> None:
        endpoint = self._endpoints.endpointForURI(URI.fromBytes(url.encode("ascii")))
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        deadline = self._reactor.callLater(self._seconds, connecting.cancel)
        try:
            connected: Any = await connecting
        except (CancelledError, ConnectingCancelledError) as error:
            raise RequestFailed("no connection in time", sent=False) from error
        except Exception as error:
            raise _failed(error, too_late=False) from error
        finally:
            if deadline.active():
                deadline.cancel()
        connected.transport.loseConnection()

    def close(self) -> Deferred[None]:
        """Close idle connections."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing


def _failed(error: Exception, *, too_late: bool) -> RequestFailed:
    """Return the failure of a request, with a text of our own.

    A failure that is not the network's is a bug; it is logged and fails only this request.
    """
    if isinstance(error, HostRefused):
        return RequestFailed(str(error), sent=False, refused=True)
    if too_late:
        return RequestFailed("no response in time", sent=not isinstance(error, ConnectingCancelledError))
    if isinstance(error, DNSLookupError):
        return RequestFailed("the host is not known", sent=False)
    if isinstance(error, ConnectError):
        return RequestFailed(f"no connection: {type(error).__name__}", sent=False)
    if isinstance(error, RequestNotSent):
        return RequestFailed("the connection ended before the request", sent=False)
    if isinstance(error, (ResponseFailed, RequestTransmissionFailed)):
        return RequestFailed("the connection ended before the response, or the response was not HTTP", sent=True)
    if isinstance(error, (ConnectionClosed, CancelledError)):
        return RequestFailed(f"the connection ended: {type(error).__name__}", sent=True)
    _log.failure("an HTTP request failed for a reason other than the network", Failure(error))
    return RequestFailed(f"{type(error).__name__}", sent=True)

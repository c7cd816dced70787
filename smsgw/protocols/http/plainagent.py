"""Replaces three habits of treq: it compresses, keeps cookies and rewrites URLs."""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any

import attrs
from hyperlink import EncodedURL
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer


@implementer(IAgent)
@attrs.frozen
class PlainAgent:
    """An agent below treq's own agents, which offer compression and decompress responses.

    It removes the offer from requests and Content-Encoding from responses, so that a body has the octets that the
    server sent and the connection counted.
    """

    agent: Any

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """As :meth:`twisted.web.iweb.IAgent.request`."""
        plain = headers.copy() if headers is not None else Headers()
        plain.removeHeader(b"accept-encoding")
        asking: Deferred[IResponse] = self.agent.request(method, uri, plain, bodyProducer)
        return asking.addCallback(_plain)


def _plain(response: IResponse) -> IResponse:
    headers: Any = response.headers
    headers.removeHeader(b"content-encoding")
    return response


class NoCookies(CookieJar):
    """A cookie jar that stays empty and ignores the cookies of servers."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep nothing."""

    def add_cookie_header(self, request: Any) -> None:
        """Send nothing."""


class GivenAddress(EncodedURL):
    """A checked URL that is requested unchanged.

    treq normalises URLs with hyperlink, which fails for hosts that are IPv6 addresses or have an underscore, and
    percent-encodes characters that some servers expect literally.
    """

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def to_uri(self) -> EncodedURL:
        """Return the URL itself."""
        return self

    def to_text(self, with_password: bool = False) -> str:
        """Return the URL as it was given."""
        return self._address

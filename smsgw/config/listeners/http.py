"""The settings of an HTTP server: all keys of [listen NAME] with protocol = http."""

from __future__ import annotations

import attrs

from smsgw.config import fields
from smsgw.config.listeners.common import ClientListenSettings, ConnectionLimits
from smsgw.config.settings import WORD


@attrs.frozen(kw_only=True, slots=False)
class WebLimits(ConnectionLimits):
    """Limits of a client's requests, in octets and seconds.

    :ivar body_time: from the end of the head to the end of the body.
    :ivar header_time: from connecting, or from the first octet of a further request, to the end of the head.
    :ivar head: request line and headers together. :ivar headers: lines of them.
    :ivar linger: after a response that ends the connection early, the time for which further octets are read and
        dropped, so that the client can read the response. :ivar close_time: after that, until the connection is cut.
    """

    body_limit: int = fields.octets("the longest request body", "64K", at_least=1024, at_most=16 << 20)
    header_time: float = fields.duration("time for the head of a request", "10s", at_least=0.1)
    body_time: float = fields.duration("time for the body of a request", "30s", at_least=0.1)
    inactivity: float = fields.duration("a connection without a request for this time is closed", "30s", at_least=1)
    requests: int = fields.integer("requests on one connection", 10_000, at_least=1)
    head: int = 16_384
    headers: int = 64
    linger: float = 2.0
    close_time: float = 5.0


@attrs.frozen(kw_only=True)
class HttpListenSettings(WebLimits, ClientListenSettings):
    """A listener for messages as JSON over HTTP."""

    protocol: str = fields.declare(WORD, "smpp, smtp, http or admin", "http")

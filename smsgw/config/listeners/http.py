"""The settings of an HTTP server: a new key of [listen NAME] with protocol = http is declared here, once."""

from __future__ import annotations

import attrs

from smsgw.config import fields
from smsgw.config.listeners.common import WORD, ClientListenSettings


@attrs.frozen(kw_only=True, slots=False)
class WebLimits:
    """How much a client may send, and how long it may take; octets and seconds.

    :ivar body_time: from the end of the head to the end of the body.
    :ivar header_time: from connecting, or from the first octet of a further request, to the end of the head.
    :ivar head: request line and headers together. :ivar headers: lines of them.
    :ivar unauthenticated: connections at once that have not yet had an answer under 400; beyond that, new ones get 503.
    :ivar unauthenticated_per_source: as many of them from one address.
    :ivar linger: after an answer that ends the connection early, how long the rest of what comes is read and dropped,
        so that the client gets to read the answer. :ivar close_time: after that, until the connection is cut.
    """

    body_limit: int = fields.octets("the longest request body", "64K", at_least=1024, at_most=16 << 20)
    header_time: float = fields.duration("time for the head of a request", "10s", at_least=0.1)
    body_time: float = fields.duration("time for the body of a request", "30s", at_least=0.1)
    inactivity: float = fields.duration("a connection without a request for so long is closed", "30s", at_least=1)
    requests: int = fields.integer("requests on one connection", 10_000, at_least=1)
    head: int = 16_384
    headers: int = 64
    unauthenticated: int = 1000
    unauthenticated_per_source: int = 200
    linger: float = 2.0
    close_time: float = 5.0


@attrs.frozen(kw_only=True)
class HttpListenSettings(WebLimits, ClientListenSettings):
    """Where programs hand messages in as JSON."""

    protocol: str = fields.declare(WORD, "smpp, smtp, http or admin", "http")

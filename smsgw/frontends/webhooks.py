"""Webhooks, the HTTP requests of upstreams to the gateway: the path names the connector that handles them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from smsgw.interfaces import IWebhookReceiver, WebhookRequest, WebhookResponse
from smsgw.protocols.http.jsonresource import Answer, ErrorWriter, JsonResource, ResourcePath, authenticated, peer


class WebhookResource(JsonResource):
    """``/upstream/NAME``, by GET and POST.

    :param connectors: all of them by name; webhooks go to those that provide
        :class:`~smsgw.interfaces.IWebhookReceiver`.
    :param errors: writes the response to a request whose connector does not exist or takes no webhooks.
    """

    def __init__(self, connectors: Mapping[str, object], body_limit: int, errors: ErrorWriter) -> None:
        super().__init__(
            [ResourcePath("/upstream/([A-Za-z0-9._-]{1,64})", {b"GET": self._webhook, b"POST": self._webhook})],
            body_limit,
            errors,
        )
        self._connectors = connectors

    def failed(self, failure: Failure) -> Answer:
        """Respond with 503, so that the upstream repeats a webhook that could not be stored."""
        return self.refused(503, "try_again", ((b"Retry-After", b"5"),))

    def _webhook(self, request: Request, name: str) -> Answer | Deferred[Answer]:
        connector = self._connectors.get(name)
        if connector is None or not IWebhookReceiver.providedBy(connector):
            return self.refused(404, "not_found")
        raw: Any = request.requestHeaders.getAllRawHeaders()
        headers = {field.decode("latin-1").lower(): values[-1].decode("latin-1") for field, values in raw}
        query = request.uri.partition(b"?")[2].decode("latin-1")
        webhook = WebhookRequest(request.method.decode("latin-1"), query, headers, self.body(request), peer(request))
        receiver: IWebhookReceiver = connector
        return receiver.webhook(webhook).addCallback(_answer, request)


def _answer(response: WebhookResponse, request: Request) -> Answer:
    if response.status < 400:
        authenticated(request)
    return Answer(response.status, response.body, (), response.content_type.encode("latin-1"))


class PathSwitch(Resource):
    """Chooses a resource by the first segment of the path and passes it the full path.

    :param ways: resources by that segment. :param otherwise: the resource for all other paths.
    """

    def __init__(self, ways: Mapping[bytes, IResource], otherwise: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ways = ways
        self._otherwise = otherwise

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        """Return the resource for a path segment, and restore the full path for it."""
        assert request.prepath is not None and request.postpath is not None
        request.postpath.insert(0, request.prepath.pop())
        return self._ways.get(path, self._otherwise)

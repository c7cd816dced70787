"""Calls that upstreams make to us over HTTP, handed to the connector whose name stands in the path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from smsgw.interfaces import CallAnswer, Called, ICalledBack
from smsgw.protocols.http.jsonresource import Answer, JsonResource, Route, error_answer, peer


class UpstreamResource(JsonResource):
    """``/upstream/NAME``, by GET and POST.

    :param connectors: all of them by name; those that provide :class:`~smsgw.interfaces.ICalledBack` can be called.
    """

    def __init__(self, connectors: Mapping[str, object], body_limit: int) -> None:
        super().__init__(
            [Route("/upstream/([A-Za-z0-9._-]{1,64})", {b"GET": self._call, b"POST": self._call})], body_limit
        )
        self._connectors = connectors

    def failed(self, failure: Failure) -> Answer:
        """What could not be stored is to come again."""
        return error_answer(503, "try_again", ((b"Retry-After", b"5"),))

    def _call(self, request: Request, name: str) -> Answer | Deferred[Answer]:
        connector = self._connectors.get(name)
        if connector is None or not ICalledBack.providedBy(connector):
            return error_answer(404, "not_found")
        raw: Any = request.requestHeaders.getAllRawHeaders()
        headers = {field.decode("latin-1").lower(): values[-1].decode("latin-1") for field, values in raw}
        query = request.uri.partition(b"?")[2].decode("latin-1")
        call = Called(request.method.decode("latin-1"), query, headers, self.body(request), peer(request))
        called: ICalledBack = connector
        return called.called(call).addCallback(_answer)


def _answer(answer: CallAnswer) -> Answer:
    return Answer(answer.status, answer.body, (), answer.content_type.encode("latin-1"))


class Crossing(Resource):
    """Leads by the first segment of the path, whole, to one of several resources that look at all of it.

    :param ways: by that segment. :param otherwise: everything else.
    """

    def __init__(self, ways: Mapping[bytes, IResource], otherwise: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ways = ways
        self._otherwise = otherwise

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        """The resource for a path; it finds the path as if it stood here."""
        assert request.prepath is not None and request.postpath is not None
        request.postpath.insert(0, request.prepath.pop())
        return self._ways.get(path, self._otherwise)

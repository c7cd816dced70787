"""A JSON API as a twisted.web resource: it matches exact routes and responds with one JSON value.

A :class:`JsonResource` is a leaf for any path of any :class:`twisted.web.server.Site`; a
:class:`~smsgw.protocols.http.site.BoundedSite` also limits its request bodies while they arrive. Routes are compared
with the raw path octet by octet; escapes and dot segments match no route.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from smsgw.protocols.http.basicauth import Credentials, read_basic
from smsgw.protocols.http.channel import BoundedChannel
from smsgw.protocols.http.responses import JSON, PHRASES, ErrorWriter, problem_details
from smsgw.protocols.http.site import BoundedSite
from smsgw.protocols.http.strictjson import BadJson, compact, is_integer, strict_json

__all__ = [
    "JSON",
    "Answer",
    "BadJson",
    "BodyTooLarge",
    "BoundedSite",
    "CodedBody",
    "Credentials",
    "ErrorWriter",
    "JsonResource",
    "ResourcePath",
    "Respond",
    "authenticated",
    "compact",
    "error_answer",
    "host",
    "is_integer",
    "json_answer",
    "peer",
    "query",
    "read_basic",
    "strict_json",
]

log = Logger()

_NO_CODING: Final = (b"", b"identity")
_ONLY_IDENTITY: Final = ((b"Accept-Encoding", b"identity"),)
"""Names the supported content codings in a response with 415 (RFC 9110, 12.5.3)."""


@attrs.define(eq=False)
class Answer:
    """A response: status, body, further header fields."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    content_type: bytes = JSON


def json_answer(value: object, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
    """Return a value as compact JSON with sorted keys (004-192)."""
    return Answer(status, compact(value), headers)


def error_answer(
    write: ErrorWriter, status: int, reason: str, headers: Sequence[tuple[bytes, bytes]] = ()
) -> Answer:
    """Return an error response in the form of `write`."""
    kind, body = write(status, reason)
    return Answer(status, body, headers, kind)


class BodyTooLarge(ValueError):
    """The body is longer than the resource allows."""


class CodedBody(ValueError):
    """The body has a content coding, such as gzip."""


def peer(request: Request) -> str:
    """Return the client's IP address as text; empty if there is none (a UNIX socket)."""
    return getattr(request.getClientAddress(), "host", "")


def authenticated(request: Request) -> None:
    """Note that the client of a request has authenticated, which a resource finds out: below a
    :class:`~smsgw.protocols.http.site.BoundedSite` its connection then counts as authenticated."""
    if isinstance(request.channel, BoundedChannel):
        request.channel.authenticated()


def host(request: Request) -> str:
    """Return the Host header without its port, in lower case; an IPv6 address keeps its brackets."""
    values = request.requestHeaders.getRawHeaders(b"host") or (b"",)
    value = values[-1].decode("latin-1").lower()
    return value.partition("]")[0] + "]" if value.startswith("[") else value.partition(":")[0]


def query(request: Request) -> dict[str, str]:
    """Return the query of the URI.

    :raises ValueError: for a repeated name, octets that are not UTF-8, or over 50 names.
    """
    _, _, written = request.uri.partition(b"?")
    pairs = parse_qsl(written.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("the query repeats a name")
    return values


Respond = Callable[..., "Answer | Deferred[Answer]"]
"""Called with the request and the groups of the route's path."""


@attrs.frozen
class ResourcePath:
    """A path and its methods.

    :ivar path: a regular expression that the whole raw path (below the resource) matches.
    :ivar methods: by method; GET answers HEAD as well.
    """

    path: str
    methods: Mapping[bytes, Respond]


@attrs.frozen
class _Way:
    """A compiled route."""

    path: re.Pattern[bytes]
    methods: Mapping[bytes, Respond]
    allow: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def made_from(cls, route: ResourcePath) -> _Way:
        methods = dict(route.methods)
        if b"GET" in methods:
            methods[b"HEAD"] = methods[b"GET"]
        allowed = b", ".join(sorted((*methods, b"OPTIONS")))
        return cls(re.compile(route.path.encode("ascii")), methods, ((b"Allow", allowed),))


class JsonResource(Resource):
    """Responds to requests by the first matching route.

    :param body_limit: octets of the longest body, checked after a site of twisted.web has read it; a
        :class:`~smsgw.protocols.http.site.BoundedSite` refuses earlier by its own limits.
    :param errors: writes the responses to requests without a route.
    """

    isLeaf = True

    def __init__(
        self, routes: Sequence[ResourcePath], body_limit: int = 65_536, errors: ErrorWriter = problem_details
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ways = [_Way.made_from(route) for route in routes]
        self._body_limit = body_limit
        self._errors = errors

    def body(self, request: Request) -> bytes:
        """Return the request's body.

        :raises BodyTooLarge: the resource responds with 413.
        :raises CodedBody: the resource responds with 415.
        """
        codings = request.requestHeaders.getRawHeaders(b"content-encoding") or ()
        if any(coding.strip().lower() not in _NO_CODING for coding in codings):
            raise CodedBody
        assert request.content is not None
        octets: bytes = request.content.read(self._body_limit + 1)
        if len(octets) > self._body_limit:
            raise BodyTooLarge
        return octets

    def failed(self, failure: Failure) -> Answer:
        """Return the response for a route whose function failed; the failure is already logged."""
        return self.refused(500, "system_error")

    def refused(self, status: int, reason: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
        """Return the response to a request without a route, with a body that is too long, or that is malformed."""
        return error_answer(self._errors, status, reason, headers)

    def render(self, request: Request) -> int:
        """Respond now, or when the route's Deferred fires if the client is still connected."""
        try:
            answer = self._answer(request)
        except (BodyTooLarge, CodedBody) as error:
            answer = self._unreadable(error)
        except Exception:  # noqa: BLE001  (logged with its traceback there)
            answer = self._failed(Failure())
        if isinstance(answer, Answer):
            _send(request, answer)
        else:
            self._send_later(request, answer)
        return NOT_DONE_YET

    def _answer(self, request: Request) -> Answer | Deferred[Answer]:
        path = _path_below(request)
        for way in self._ways:
            fits = way.path.fullmatch(path)
            if fits is not None:
                break
        else:
            return self.refused(404, "not_found")
        respond = way.methods.get(request.method)
        if respond is None:
            if request.method == b"OPTIONS":
                return Answer(204, b"", way.allow)
            return self.refused(405, "method_not_allowed", way.allow)
        if len(request.requestHeaders.getRawHeaders(b"authorization") or ()) > 1:
            return self.refused(400, "bad_request")
        return respond(request, *[group.decode("latin-1") for group in fits.groups()])

    def _send_later(self, request: Request, waiting: Deferred[Answer]) -> None:
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def send(answer: Answer) -> None:
            if not gone:
                _send(request, answer)

        waiting.addErrback(self._failed).addCallback(send).addErrback(
            partial(log.failure, "a response could not be sent")
        )

    def _unreadable(self, error: BodyTooLarge | CodedBody) -> Answer:
        if isinstance(error, CodedBody):
            return self.refused(415, "content_coding_not_supported", _ONLY_IDENTITY)
        return self.refused(413, "body_too_large")

    def _failed(self, failure: Failure) -> Answer:
        if isinstance(failure.value, BodyTooLarge | CodedBody):
            return self._unreadable(failure.value)
        log.failure("a request failed", failure)
        return self.failed(failure)


def _path_below(request: Request) -> bytes:
    """Return the raw path below the mount point, with its slash."""
    path: bytes = request.path
    mounted = len(request.prepath or ())
    return path if not mounted else b"/" + b"/".join(path.split(b"/")[1 + mounted :])


def _send(request: Request, answer: Answer) -> None:
    request.setResponseCode(answer.status, PHRASES.get(answer.status))
    put: Callable[[bytes, Any], None] = request.responseHeaders.setRawHeaders
    if answer.status != 204:
        put(b"Content-Type", (answer.content_type,))
        put(b"Content-Length", (b"%d" % len(answer.body),))
    put(b"Cache-Control", (b"no-store",))
    for name, value in answer.headers:
        put(name, (value,))
    request.write(answer.body)
    request.finish()

"""What the responses of an API have in common: the form of errors, and header fields. The path chooses the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

import attrs

from smsgw.protocols.http.strictjson import compact

JSON: Final = b"application/json; charset=utf-8"
PROBLEM: Final = b"application/problem+json"

PHRASES: Final[Mapping[int, bytes]] = {
    **{int(status): status.phrase.encode("ascii") for status in HTTPStatus},
    413: b"Content Too Large",
    422: b"Unprocessable Content",
}
"""The reason phrase of each status (RFC 9110, 15; RFC 6585); older versions of Python have older ones of these two."""

ErrorWriter = Callable[[int, str], tuple[bytes, bytes]]
"""Returns Content-Type and body for an HTTP status and a reason, which is a word such as ``body_too_large``."""

HeaderWriter = Callable[[], Sequence[tuple[bytes, bytes]]]
"""Returns names and values of header fields for one response."""


def problem_details(status: int, reason: str) -> tuple[bytes, bytes]:
    """Problem details (RFC 9457) of no type of their own; `reason` is the detail."""
    problem = {"title": PHRASES[status].decode("ascii"), "status": status, "detail": reason.replace("_", " ")}
    return PROBLEM, compact(problem)


def bare_reason(_: int, reason: str) -> tuple[bytes, bytes]:
    """Return ``{"reason":...,"status":"error"}``."""
    return JSON, compact({"reason": reason, "status": "error"})


@attrs.frozen
class ResponseForm:
    """What the responses of one API have in common.

    :ivar error: writes the error responses that the site itself gives.
    :ivar headers: returns the header fields that the site adds to each response, written as they are: Twisted would
        change the case of their names. None: it adds none.
    """

    error: ErrorWriter = problem_details
    headers: HeaderWriter | None = None

    def header_lines(self) -> list[bytes]:
        """Return the header fields for one more response, as lines without line end."""
        return [] if self.headers is None else [b"%b: %b" % field for field in self.headers()]


@attrs.frozen
class ResponseForms:
    """Chooses the form of a response.

    :ivar otherwise: the form for requests without a known path, and for all paths except those `below`.
    :ivar below: forms by the first segment of the path.
    """

    otherwise: ResponseForm = ResponseForm()
    below: Mapping[bytes, ResponseForm] = attrs.field(factory=dict)

    def of(self, path: bytes) -> ResponseForm:
        """Return the form of the response to a request.

        :param path: of the request, also with a query; empty if it is not known.
        """
        segment = path.partition(b"?")[0].split(b"/", 2)[1:2]
        return self.below.get(segment[0], self.otherwise) if segment else self.otherwise

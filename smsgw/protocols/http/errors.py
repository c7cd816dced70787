"""Writers of error responses, chosen by the API that serves the path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def problem_details(status: int, reason: str) -> tuple[bytes, bytes]:
    """Problem details (RFC 9457) of no type of their own; `reason` is the detail."""
    problem = {"title": PHRASES[status].decode("ascii"), "status": status, "detail": reason.replace("_", " ")}
    return PROBLEM, compact(problem)


def bare_reason(_: int, reason: str) -> tuple[bytes, bytes]:
    """Return ``{"reason":...,"status":"error"}``."""
    return JSON, compact({"reason": reason, "status": "error"})


@attrs.frozen
class Errors:
    """Chooses the writer of an error response of the site itself.

    :ivar otherwise: the writer for requests without a known path, and for all paths except those `below`.
    :ivar below: writers by the first segment of the path.
    """

    otherwise: ErrorWriter = problem_details
    below: Mapping[bytes, ErrorWriter] = attrs.field(factory=dict)

    def write(self, path: bytes, status: int, reason: str) -> tuple[bytes, bytes]:
        """Return Content-Type and body of an error response.

        :param path: of the request, empty if it is not known.
        """
        segment = path.partition(b"?")[0].split(b"/", 2)[1:2]
        writer = self.below.get(segment[0], self.otherwise) if segment else self.otherwise
        return writer(status, reason)

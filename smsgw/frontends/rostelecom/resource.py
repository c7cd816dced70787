"""The Rostelecom JSON API (doc 004) for any program with a delegate: send a message, query its status::

    POST /api/v2/send_message                     {"msisdn":79270000001,"shortcode":"DEMO","text":"test"}
    200  {"result":{"uid":"message-id-33"},"status":"ok"}

    GET /api/v2/send_message/message-id-33
    200  {"result":{"created_at":1574087003,"msisdn":79270000001,"pdu_count":1,"status":"delivered",
          "text":"test","uid":"message-id-33","updated_at":1574087003},"status":"ok"}

Every request authenticates, by a Basic header or (POST) by ``login`` and ``pass`` in the body. Errors have status 200,
401 or 403 and the body ``{"reason":...,"status":"error"}``. The first error in this order is reported: credentials,
body, recipient, sender, text. A dialect may have other words, statuses and bodies of errors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import Request

from smsgw.dialects import SendMessageManner
from smsgw.dialects.rostelecom import SEND_MESSAGE
from smsgw.interfaces import ApiError, IJsonDelegate, MessageStatus
from smsgw.model.address import NATIONAL, normalise
from smsgw.model.errors import Refusal
from smsgw.protocols.http.jsonresource import (
    Answer,
    BadJson,
    Credentials,
    JsonResource,
    ResourcePath,
    authenticated,
    error_answer,
    is_integer,
    json_answer,
    peer,
    read_basic,
    strict_json,
)
from smsgw.protocols.http.responses import ResponseForm
from smsgw.text.coding import find_control

PATH: Final = "/api/v2/send_message"
PREFIX: Final = "message-id-"
"""The prefix of all ids in this API (004-191)."""


def _request_id() -> Sequence[tuple[bytes, bytes]]:
    """Return ``x-request-id``, in lower case: a new value of 32 hexadecimal digits for each response (004-193)."""
    return ((b"x-request-id", os.urandom(16).hex().encode("ascii")),)


RESPONSES: Final = ResponseForm(SEND_MESSAGE.error, _request_id)
"""What a :class:`~smsgw.protocols.http.BoundedSite` adds to the resource: error responses, and ``x-request-id``."""

_CHALLENGE: Final = ((b"WWW-Authenticate", b'Basic realm="send_message", charset="UTF-8"'),)
_ID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
_CHARSET: Final = re.compile(rb';\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)
_DIGITS: Final = re.compile(r"[0-9]+", re.ASCII)


class MessageResource(JsonResource):
    """The API as a resource. Mount it at the root of a site, or below a prefix.

    :param delegate: provides :class:`~smsgw.interfaces.IJsonDelegate`.
    :param manner: the words of the API.
    :param country: the rule for national numbers, which this API refuses: a key of
        :data:`smsgw.model.address.NATIONAL`.
    :ivar national: the rule itself; it may be replaced.
    """

    def __init__(
        self,
        delegate: IJsonDelegate,
        manner: SendMessageManner = SEND_MESSAGE,
        country: str = "ru",
        body_limit: int = 65_536,
    ) -> None:
        super().__init__(
            (ResourcePath(PATH, {b"POST": self._post}), ResourcePath(f"{PATH}/{PREFIX}([^/]*)", {b"GET": self._get})),
            body_limit,
            manner.error,
        )
        self._delegate = delegate
        self._write_error = manner.error
        self._with_error = {manner.words[state] for state in manner.with_error}
        self._no_credentials = ApiError(*manner.no_credentials)
        self._bad_request = ApiError(*manner.bad_request)
        self._internal = ApiError(*manner.internal)
        self._bad_recipient = ApiError(*manner.reasons[Refusal.BAD_RECIPIENT])
        self._bad_sender = ApiError(*manner.reasons[Refusal.BAD_SENDER])
        self.national = NATIONAL[country]

    def failed(self, failure: Failure) -> Answer:
        """Respond with the same error to all internal failures (004-187)."""
        return self._no(self._internal)

    def _post(self, request: Request) -> Answer | Deferred[Answer]:
        """Send a message. Credentials in the header are checked before the body is parsed."""
        octets = self.body(request)
        charset = _foreign_charset(request)
        header = request.requestHeaders.getRawHeaders(b"authorization")
        fields: dict[str, Any] | None = None
        if header:
            credentials = read_basic(header[0])
        else:
            fields = None if charset else _fields(octets)
            credentials = None if fields is None else _credentials(fields)
        if credentials is None:
            return self._no(self._no_credentials)

        def entered(account: str | ApiError) -> Answer | Deferred[Answer]:
            if isinstance(account, ApiError):
                return self._no(account)
            authenticated(request)
            read = fields if not header else None if charset else _fields(octets)
            return self._no(self._bad_request) if read is None else self._submit(account, read)

        entering = self._delegate.login(credentials.login, credentials.password, peer(request))
        return entering.addCallback(entered)

    def _submit(self, account: str, fields: dict[str, Any]) -> Answer | Deferred[Answer]:
        msisdn = self._msisdn(fields.get("msisdn"))
        if msisdn is None:
            return self._no(self._bad_recipient)
        shortcode = fields.get("shortcode")
        if not isinstance(shortcode, str) or not shortcode:
            return self._no(self._bad_sender)
        text = fields.get("text")
        # What is no text for people becomes an empty one, because the delegate checks the sender first.
        text = text if isinstance(text, str) and find_control(text) < 0 else ""
        return self._delegate.submit(account, msisdn, shortcode, text).addCallback(self._sent)

    def _msisdn(self, value: object) -> str | None:
        """Return the international number of a JSON number or string; a Russian one begins with 7 (004-185)."""
        number = str(value) if is_integer(value) else value
        if not isinstance(number, str) or not _DIGITS.fullmatch(number):
            return None
        return number if normalise(number, self.national) == number else None

    def _get(self, request: Request, id: str) -> Answer | Deferred[Answer]:
        """Respond with the status of a message."""
        header = request.requestHeaders.getRawHeaders(b"authorization")
        credentials = read_basic(header[0]) if header else None
        if credentials is None:
            return self._no(self._no_credentials)

        def entered(account: str | ApiError) -> Answer | Deferred[Answer]:
            if isinstance(account, ApiError):
                return self._no(account)
            authenticated(request)
            if not _ID.fullmatch(id):
                return self._no(self._bad_request)
            return self._delegate.status(account, id).addCallback(self._shown, id)

        entering = self._delegate.login(credentials.login, credentials.password, peer(request))
        return entering.addCallback(entered)

    def _no(self, denied: ApiError) -> Answer:
        challenge = _CHALLENGE if denied.status == 401 else ()
        return error_answer(self._write_error, denied.status, denied.reason, challenge)

    def _sent(self, id: str | ApiError) -> Answer:
        if isinstance(id, ApiError):
            return self._no(id)
        return json_answer({"result": {"uid": PREFIX + id}, "status": "ok"})

    def _shown(self, shown: MessageStatus | ApiError, id: str) -> Answer:
        """Return the result, with times and msisdn as numbers (004-195)."""
        if isinstance(shown, ApiError):
            return self._no(shown)
        result: dict[str, object] = {
            "created_at": shown.created_at,
            "msisdn": int(shown.msisdn) if _DIGITS.fullmatch(shown.msisdn) else shown.msisdn,
            "pdu_count": shown.pdu_count,
            "status": shown.status,
            "text": shown.text,
            "uid": PREFIX + id,
            "updated_at": shown.updated_at,
        }
        if shown.status in self._with_error and shown.error_code is not None:
            result["error_code"] = shown.error_code
        return json_answer({"result": result, "status": "ok"})


def _fields(octets: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a body, None if it is not one."""
    try:
        value = strict_json(octets)
    except BadJson:
        return None
    return value if isinstance(value, dict) else None


def _credentials(fields: dict[str, Any]) -> Credentials | None:
    """Return ``login`` and ``pass`` of the body (004-180)."""
    login, password = fields.get("login"), fields.get("pass")
    if not isinstance(login, str) or not isinstance(password, str):
        return None
    return Credentials(login.encode(), password.encode())


def _foreign_charset(request: Request) -> bool:
    """Return whether the Content-Type names another charset than UTF-8.

    The media type is ignored: the provider's clients send JSON with the default type of their library.
    """
    kind = (request.requestHeaders.getRawHeaders(b"content-type") or (b"",))[-1]
    charset = _CHARSET.search(kind)
    return charset is not None and charset[1].lower() not in (b"utf-8", b"utf8", b"us-ascii", b"")

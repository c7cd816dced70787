"""The OpenAPI 3.1 document of the native HTTP API. It is served, and tests check the API against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from smsgw.frontends.api.fields import LONGEST_VALIDITY, MOST_LISTED, MOST_MESSAGES, STATES

Schema = dict[str, Any]

_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_ID: Final[Schema] = {"type": "integer", "minimum": 1}


def _text(least: int, most: int, **more: Any) -> Schema:
    return {"type": "string", "minLength": least, "maxLength": most, **more}


def _object(properties: Mapping[str, Any], required: tuple[str, ...] | None = None, **more: Any) -> Schema:
    needed = list(properties) if required is None else list(required)
    return {"type": "object", "properties": dict(properties), "required": needed, **more}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_WRITTEN: Final = r"^[^\u0000-\u0008\u000B\u000E-\u001F\u007F-\u009F]*$"
_ONE_LINE: Final = r"^[^\u0000-\u001F\u007F-\u009F]*$"

_NEW: Final[Mapping[str, Schema]] = {
    "to": {
        "description": "the recipient, as text or number; national forms of the gateway's country are understood",
        "anyOf": [_text(1, 30), {"type": "integer", "minimum": 1}],
    },
    "text": _text(1, 40_000, pattern=_WRITTEN),
    "from": _text(0, 20, description="an agreed sender; empty or absent: the account's default"),
    "callback": _text(0, 2048, description="called in native form instead of the account's callback; an allowed host"),
    "reference": _text(0, 255, pattern=_ONE_LINE, description="your own name for the message, returned with it"),
    "comment": _text(0, 1000, pattern=_WRITTEN, description="a note for people"),
    "idempotency_key": _text(1, 128, pattern="^[!-~]+$", description="the same again within 24 h sends nothing anew"),
    "validity": {"type": "integer", "minimum": 1, "maximum": LONGEST_VALIDITY, "description": "seconds"},
    "valid_until": _TIME,
    "send_at": _TIME,
    "priority": {"type": "integer", "minimum": 0, "maximum": 3},
    "encoding": {"enum": ["auto", "gsm", "ucs2"], "description": "insist on one; a text it cannot write is refused"},
}

_STATES: Final = "^({0})(,({0}))*$".format("|".join(STATES))

_MESSAGE: Final[Mapping[str, Schema]] = {
    "id": _ID,
    "batch": _or_null(_ID),
    "to": {"type": "string"},
    "from": {"type": "string"},
    "text": {"type": "string"},
    "state": {"enum": list(STATES)},
    "final": {"type": "boolean"},
    "error": {"type": "integer", "description": "the error code, 0 for none"},
    "error_meaning": {"type": "string", "description": "the error code in words, empty if it has no meaning here"},
    "upstream_words": {"type": "string", "description": "what the upstream said when it refused or failed"},
    "parts": {"type": "integer"},
    "priority": {"type": "integer"},
    "reference": {"type": "string"},
    "comment": {"type": "string"},
    "callback": {"type": "string"},
    "created_at": _TIME,
    "changed_at": _TIME,
    "sent_at": _or_null(_TIME),
    "send_at": _or_null(_TIME),
    "valid_until": _or_null(_TIME),
}

_ACCEPTED: Final[Mapping[str, Schema]] = {
    "id": _ID,
    "repeated": {"type": "boolean", "description": "nothing was sent: the key was used before"},
    "state": {"enum": list(STATES)},
    "parts": {"type": "integer"},
}

_INCOMING: Final[Mapping[str, Schema]] = {
    "id": _ID,
    "type": {"enum": ["message", "call", "keys"]},
    "from": {"type": "string"},
    "to": {"type": "string"},
    "text": {"type": "string"},
    "answers": _or_null(_ID),
    "seconds": {"type": "integer"},
    "at": _TIME,
}

_SCHEMAS: Final[Mapping[str, Schema]] = {
    "NewMessage": _object(_NEW, ("to", "text"), additionalProperties=False),
    "Message": _object(_MESSAGE),
    "Accepted": _object(_ACCEPTED, ("id", "repeated")),
    "Answer": _object(
        {"status": {"type": "integer"}, "problem": _ref("Problem"), **_ACCEPTED}, ("status",),
        description="id, state and parts where the status is 201 or 200, else a problem",
    ),
    "NewMessages": _object(
        {
            "messages": {
                "type": "array",
                "items": _ref("NewMessage"),
                "minItems": 1,
                "maxItems": MOST_MESSAGES,
                "description": "an item that is no NewMessage is refused by itself, in its place among the answers",
            }
        },
        additionalProperties=False,
    ),
    "Answers": _object({"messages": {"type": "array", "items": _ref("Answer")}}),
    "Preview": _object(
        {
            "to": {"type": "string"},
            "encoding": {"type": "string"},
            "characters": {"type": "integer"},
            "parts": {"type": "integer"},
            "connector": {"type": "string", "description": "the connector that would send it now"},
        }
    ),
    "Incoming": _object(_INCOMING),
    "Account": _object(
        {
            "name": {"type": "string"},
            "senders": {"type": "array", "items": {"type": "string"}},
            "default_sender": {"type": "string"},
            "rate": {"type": ["number", "null"], "description": "parts per second"},
            "validity": {"type": "number", "description": "seconds"},
            "protocols": {"type": "array", "items": {"type": "string"}},
            "callback": {"type": "boolean"},
            "callback_dialect": {"type": ["string", "null"]},
            "callback_hosts": {"type": "array", "items": {"type": "string"}},
        }
    ),
    "Confirmation": _object({"phone": {"type": "string"}, "number": {"type": "string"}, "expires_at": _TIME}),
    "Wrong": _object({"pointer": {"type": "string"}, "detail": {"type": "string"}}),
    "Problem": _object(
        {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": _ref("Wrong")},
        },
        ("type", "title", "status"),
    ),
}  # fmt: skip


def _json(schema: Schema, description: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_LOCATION: Final[Schema] = {
    "Location": {"description": "the path of the new message", "schema": {"type": "string"}, "required": True}
}

_PROBLEMS: Final[Mapping[int, str]] = {
    400: "the body is not strict JSON, or the query or the key cannot be read",
    401: "no credentials, or wrong ones",
    403: "the account may not do this from here",
    404: "no such message of this account",
    409: "too late, or the idempotency key was used for something else",
    413: "the body is too large",
    415: "the body is not JSON in UTF-8, or has a content coding such as gzip",
    422: "fields cannot be used; errors says which",
    429: "too fast; try again after Retry-After seconds",
    503: "not now; try again after Retry-After seconds",
}


def _responses(good: Mapping[str, Schema], *statuses: int) -> Schema:
    problems = {
        str(status): {
            "description": _PROBLEMS[status],
            "content": {"application/problem+json": {"schema": _ref("Problem")}},
        }
        for status in sorted({401, 403, 429, 503, *statuses})
    }
    return {**good, **problems}


def _body(schema: Schema) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _query(name: str, schema: Schema, description: str = "") -> Schema:
    parameter = {"name": name, "in": "query", "required": False, "schema": schema}
    return {**parameter, "description": description} if description else parameter


_CURSOR: Final = (
    _query("cursor", _text(1, 18, pattern="^[1-9][0-9]*$"), "next of the page before"),
    _query("limit", {"type": "integer", "minimum": 1, "maximum": MOST_LISTED}),
)
_PATH_ID: Final[Schema] = {
    "name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
}  # fmt: skip
_KEY_HEADER: Final[Schema] = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "schema": _text(1, 128, pattern="^[!-~]+$"), "description": "for the whole request",
}  # fmt: skip


def _page(of: str, name: str) -> Schema:
    listed = {name: {"type": "array", "items": _ref(of)}, "next": {"type": ["string", "null"]}}
    return {"200": _json(_object(listed), "one page, newest first")}


DOCUMENT: Final[Schema] = {
    "openapi": "3.1.0",
    "info": {
        "title": "smsgw",
        "version": "1",
        "description": "Send messages, learn what became of them, receive what subscribers send.",
        "license": {"name": "MIT", "identifier": "MIT"},
    },
    "servers": [{"url": "/"}],
    "security": [{"basic": []}, {"key": []}],
    "paths": {
        "/v1/messages": {
            "post": {
                "operationId": "send",
                "summary": "Send one message, or many in one request",
                "parameters": [_KEY_HEADER],
                "requestBody": _body({"anyOf": [_ref("NewMessage"), _ref("NewMessages")]}),
                "responses": _responses(
                    {
                        "201": {**_json(_ref("Accepted"), "stored; it will be sent"), "headers": _LOCATION},
                        "200": _json(
                            {"anyOf": [_ref("Accepted"), _ref("Answers")]},
                            "an answer for each of many messages, in order; or what the idempotency key gave before",
                        ),
                    },
                    400, 409, 413, 415, 422,
                ),
            },
            "get": {
                "operationId": "list",
                "summary": "Messages of the account, newest first",
                "parameters": [
                    *_CURSOR,
                    _query("state", {"type": "string", "pattern": _STATES}, "states, with commas between"),
                    _query("to", _text(1, 16, pattern=r"^\+?[0-9]{1,15}$")),
                    _query("since", _TIME, "accepted then or later"),
                    _query("until", _TIME, "accepted before"),
                    _query("comment", _text(1, 1000), "a part of it, case ignored"),
                    _query("reference", _text(1, 255), "all of it"),
                ],
                "responses": _responses(_page("Message", "messages"), 400, 422),
            },
        },
        "/v1/messages/{id}": {
            "get": {
                "operationId": "show",
                "summary": "One message",
                "parameters": [_PATH_ID],
                "responses": _responses({"200": _json(_ref("Message"), "as it is now")}, 404),
            },
            "delete": {
                "operationId": "cancel",
                "summary": "Take a message back that was not sent yet",
                "parameters": [_PATH_ID],
                "responses": _responses({"200": _json(_ref("Message"), "cancelled")}, 404, 409),
            },
        },
        "/v1/preview": {
            "post": {
                "operationId": "preview",
                "summary": "Encoding, parts and route of a message, without sending it",
                "requestBody": _body(_ref("NewMessage")),
                "responses": _responses({"200": _json(_ref("Preview"), "what it would be")}, 400, 413, 415, 422),
            }
        },
        "/v1/incoming": {
            "get": {
                "operationId": "received",
                "summary": "What subscribers sent, newest first",
                "parameters": [*_CURSOR],
                "responses": _responses(_page("Incoming", "incoming"), 400, 422),
            }
        },
        "/v1/account": {
            "get": {
                "operationId": "account",
                "summary": "The account itself",
                "responses": _responses({"200": _json(_ref("Account"), "as it is configured")}),
            }
        },
        "/v1/confirmations": {
            "post": {
                "operationId": "confirm",
                "summary": "Wait ten minutes for a call from a phone; the answer says which number is to be called",
                "requestBody": _body(_object({"phone": _text(1, 30)}, additionalProperties=False)),
                "responses": _responses({"201": _json(_ref("Confirmation"), "waiting")}, 400, 413, 415, 422),
            }
        },
    },
    "components": {
        "schemas": dict(_SCHEMAS),
        "securitySchemes": {
            "basic": {"type": "http", "scheme": "basic"},
            "key": {"type": "http", "scheme": "bearer", "description": "an API key"},
        },
    },
}

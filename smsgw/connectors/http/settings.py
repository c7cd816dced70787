"""The settings of an upstream with an HTTP API in gw.ini."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

import attrs

from smsgw.config import Conflict, ConnectorSettings, Secret, fields, types
from smsgw.connectors.templates import JSON, LOCATION, TEMPLATE, JsonTemplate, Location, Template
from smsgw.model.lifecycle import FINAL, State

WORDS: Final[Mapping[str, State]] = {state.name.lower().replace("_", "-"): state for state in FINAL}
"""Final states by their names in the section."""

_STATE: Final = types.choice(tuple(WORDS))
_TOKEN: Final = types.text(64, r"[^:,]+", "a word")
_HEADER: Final = types.text(64, r"[A-Za-z0-9-]+", "the name of a header")
_VALUE: Final = types.text(1024, r"[ -~]*", "visible ASCII characters")


@attrs.frozen(kw_only=True)
class HttpConnectorSettings(ConnectorSettings):
    """An upstream with an HTTP API. docs/upstreams.rst has worked examples."""

    EXAMPLE: ClassVar[Mapping[str, str]] = {
        "url": "https://upstream.example/messages",
        "json": '{"to": "{to}", "from": "{from}", "text": "{text}"}',
        "token": "a-long-token",
        "id": "json:id",
        "error": "json:error",
        "receipts": "webhook",
        "secret": "a-long-secret",
        "receipt_id": "json:id",
        "receipt_state": "json:state",
        "states": "DELIVRD:delivered, EXPIRED:expired, UNDELIV:undeliverable",
    }

    url: Template = fields.declare(
        TEMPLATE, "address of a request, with {to}, {from}, {text} and {uid} (our id of this attempt) filled in")
    method: str = fields.choice("method of a request", ("GET", "POST"), "POST")
    form: Template = fields.declare(
        TEMPLATE, "body of a request as form fields, filled in like url; empty: no form", "")
    json: JsonTemplate = fields.declare(
        JSON, 'body of a request as JSON, filled in like url; "{to:int}" becomes a number; empty: no JSON', "")
    headers: Mapping[str, str] = fields.pairs(
        "further header fields of a request, each name:value", left=_HEADER, right=_VALUE)
    login: str = fields.text("user name for Basic authentication; empty: none", "")
    password: Secret | None = fields.secret("password for Basic authentication", None)
    token: Secret | None = fields.secret("token for Bearer authentication", None)
    charset: str = fields.choice(
        "encoding of the values in addresses and forms", ("utf-8", "windows-1251", "koi8-r"), "utf-8")
    timeout: float = fields.duration("time from the start of a request to the end of its response", "15s", at_least=0.1)
    id: Location = fields.declare(
        LOCATION, "location of the upstream's message id in a response; empty: receipts contain {uid}", "")
    error: Location = fields.declare(
        LOCATION, "location of an error code in a response; a value there means that the message was not sent", "")
    no_error: tuple[str, ...] = fields.texts("values at the location error that mean success", "", entry=_TOKEN)
    busy: tuple[str, ...] = fields.texts(
        "values at the location error after which the message is sent again later (throttling)", "", entry=_TOKEN)
    receipts: str = fields.choice(
        "how receipts (DLR) come: in webhooks to /upstream/NAME, polled by the gateway, or none: sent is delivered",
        ("webhook", "polled", "none"), "none")
    secret: Secret | None = fields.secret("secret that each webhook must contain", None)
    secret_at: Location = fields.declare(LOCATION, "location of the secret in a webhook", "query:key")
    receipt_id: Location = fields.declare(LOCATION, "location of the message id in a receipt", "")
    receipt_state: Location = fields.declare(
        LOCATION, "location of the state in a receipt, or in the response to a poll", "")
    receipt_error: Location = fields.declare(
        LOCATION, "location of the error code in a receipt, or in the response to a poll; empty: none", "")
    states: Mapping[str, str] = fields.pairs(
        "the upstream's word:state of the gateway; other words change nothing", left=_TOKEN, right=_STATE)
    incoming_text: Location = fields.declare(
        LOCATION, "location of the text of an incoming message (MO) in a webhook; empty: there are none", "")
    incoming_from: Location = fields.declare(LOCATION, "location of the subscriber's number in that webhook", "")
    incoming_to: Location = fields.declare(LOCATION, "location of the called number in that webhook", "")
    answer: str = fields.text("body of the response to a webhook", "OK")
    poll_url: Template = fields.declare(
        TEMPLATE, "address of a poll for the state of a message, with {id} filled in", "")
    poll_every: float = fields.duration("pause between two polls for one message", "30s", at_least=0.1)

    @property
    def parts_form(self) -> str:
        """Whole messages."""
        return ""

    def check(self) -> Iterator[Conflict]:
        """Yield settings that conflict."""
        yield from super().check()
        if self.form.source and self.json.source:
            yield Conflict("json", "a body is a form or JSON, not both", ("form",))
        if self.method == "GET" and (self.form.source or self.json.source):
            yield Conflict("method", "GET has no body", ("form", "json"))
        if not self.url.source.startswith(("http://", "https://")):
            yield Conflict("url", "an address begins with http:// or https://")
        if self.receipts != "none" and not (self.receipt_state and self.states):
            yield Conflict("receipts", "receipt_state and states are needed to read them",
                        ("receipt_state", "states"))
        if self.receipts == "webhook" and not self.receipt_id:
            yield Conflict("receipts", "receipt_id is needed to find the message of a receipt", ("receipt_id",))
        if (self.receipts == "webhook" or self.incoming_text) and self.secret is None:
            yield Conflict("secret", "a secret is needed, because others could forge webhooks", ("receipts",))
        if self.receipts == "polled" and not self.poll_url.source:
            yield Conflict("receipts", "poll_url is needed for polls", ("poll_url",))

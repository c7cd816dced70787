"""The settings of an upstream with an HTTP API in gw.ini."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

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

    url: Template = fields.declare(TEMPLATE, "address with {to}, {from}, {text} and {uid} (an id of ours) filled in")
    method: str = fields.choice("how it is asked", ("GET", "POST"), "POST")
    form: Template = fields.declare(TEMPLATE, "body as form fields, filled in like url", "")
    json: JsonTemplate = fields.declare(JSON, 'body as JSON, filled in likewise; "{to:int}" becomes a number', "")
    headers: Mapping[str, str] = fields.pairs("name:value of further headers", left=_HEADER, right=_VALUE)
    login: str = fields.text("for Basic authentication", "")
    password: Secret | None = fields.secret("for Basic authentication", None)
    token: Secret | None = fields.secret("for Bearer authentication", None)
    charset: str = fields.choice("of values in addresses and forms", ("utf-8", "windows-1251", "koi8-r"), "utf-8")
    timeout: float = fields.duration("from the request to the end of the answer", "15s", at_least=0.1)
    id: Location = fields.declare(LOCATION, "where the answer has the upstream's id; empty: receipts bring {uid}", "")
    error: Location = fields.declare(LOCATION, "where the answer has an error; found means not taken", "")
    no_error: tuple[str, ...] = fields.texts("values there that mean no error", "", entry=_TOKEN)
    busy: tuple[str, ...] = fields.texts("errors that pass: tried again later", "", entry=_TOKEN)
    receipts: str = fields.choice(
        "how it reports: by webhooks to /upstream/NAME, polled by us, or not at all (then taken is delivered)",
        ("webhook", "polled", "none"), "none")
    secret: Secret | None = fields.secret("what its webhooks must bring", None)
    secret_at: Location = fields.declare(LOCATION, "where they bring it", "query:key")
    receipt_id: Location = fields.declare(LOCATION, "where a receipt has the id", "")
    receipt_state: Location = fields.declare(LOCATION, "where a receipt (or the answer to a poll) has the state", "")
    receipt_error: Location = fields.declare(LOCATION, "where it has an error number", "")
    states: Mapping[str, str] = fields.pairs(
        "its word:state of ours; others change nothing", left=_TOKEN, right=_STATE)
    incoming_text: Location = fields.declare(LOCATION, "where a webhook has the text of an incoming message", "")
    incoming_from: Location = fields.declare(LOCATION, "where it has the subscriber's number", "")
    incoming_to: Location = fields.declare(LOCATION, "where it has our number", "")
    answer: str = fields.text("what its webhooks are answered with", "OK")
    poll_url: Template = fields.declare(TEMPLATE, "address that tells of a message, with {id} filled in", "")
    poll_every: float = fields.duration("pause between two questions about one message", "30s", at_least=0.1)

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
            yield Conflict("receipts", "receipt_state and states are needed to understand them",
                        ("receipt_state", "states"))
        if self.receipts == "webhook" and not self.receipt_id:
            yield Conflict("receipts", "receipt_id is needed to know what a receipt is about", ("receipt_id",))
        if (self.receipts == "webhook" or self.incoming_text) and self.secret is None:
            yield Conflict("secret", "who knows the address could forge webhooks; a secret is needed", ("receipts",))
        if self.receipts == "polled" and not self.poll_url.source:
            yield Conflict("receipts", "poll_url is needed to ask", ("poll_url",))

"""The connector to an upstream with an HTTP API, which its section in gw.ini describes: one request for each message.

The upstream cuts a long text itself: :mod:`smsgw.connectors.wholemessage`.
"""

from __future__ import annotations

import hmac
import time
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol
from urllib.parse import quote

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.connectors.http.settings import WORDS, HttpConnectorSettings
from smsgw.connectors.templates import HttpData, percent_encoder
from smsgw.connectors.wholemessage import WholeMessageConnector, put
from smsgw.interfaces import IAdjustable, IConnector, IRetrying, IWebhookReceiver, WebhookRequest, WebhookResponse
from smsgw.model.callbackurl import origin_of
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.lifecycle import State
from smsgw.model.message import Incoming, IncomingKind, Part
from smsgw.model.outcome import Busy, Lost, Outcome, Rejected, Sent
from smsgw.protocols.http.client import RequestFailed, WebClient, WebResponse

LONGEST_RESPONSE: Final = 64 * 1024
"""Octets of a response that are read."""

_log = Logger()


class Client(Protocol):
    """Makes HTTP requests: a :class:`~smsgw.protocols.http.client.WebClient`."""

    def request(
        self, method: bytes, url: str, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes | None = None
    ) -> Deferred[WebResponse]:
        """Make one request."""

    def connect(self, url: str) -> Deferred[None]:
        """Connect to the host of an address, without a request."""


@implementer(IAdjustable, IConnector, IRetrying, IWebhookReceiver)
class HttpConnector(WholeMessageConnector):
    """Sends messages over HTTP, and takes the webhooks of the upstream.

    :param clock: the reactor; its seconds are monotonic. :param client: makes the requests; None: a new client.
    """

    _settings: HttpConnectorSettings

    def __init__(
        self,
        settings: HttpConnectorSettings,
        clock: Any,
        client: Client | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(settings, clock, now)
        self._client = client or WebClient(
            clock, per_host=min(settings.window, 100), seconds=settings.timeout, limit=LONGEST_RESPONSE
        )
        self._encode = percent_encoder(settings.charset)
        self._headers = _headers(settings)
        self._origin = ""
        self._polls: OrderedDict[str, float] = OrderedDict()
        self._poll_timer: IDelayedCall | None = None

    # Sending

    def _send(self, part: Part) -> None:
        """Make the request that sends the message."""
        message = part.message
        content = message.content
        uid = f"{message.id}.{message.attempts}"
        values = {"to": message.recipient, "from": content.sender, "text": content.text(), "uid": uid, "id": ""}
        settings = self._settings
        body: bytes | None = None
        headers = self._headers
        try:
            if settings.json.source:
                body = settings.json.fill(values)
                headers = [*headers, (b"Content-Type", b"application/json; charset=utf-8")]
            elif settings.method == "POST":
                body = settings.form.fill(values, self._encode).encode("ascii", "replace")
                kind = f"application/x-www-form-urlencoded; charset={settings.charset}"
                headers = [*headers, (b"Content-Type", kind.encode())]
        except ValueError:
            self._decided(part, Rejected(ErrorCode.NOT_CONVERTED, "a value that must be a number is not one"))
            return
        url = settings.url.fill(values, self._encode)
        self._requests += 1
        asking: Deferred[Any] = self._client.request(settings.method.encode(), url, headers, body)
        asking.addCallbacks(self._answered, self._failed, callbackArgs=(uid,), errbackArgs=(url,))
        asking.addCallback(lambda outcome: self._over(part, outcome))
        asking.addErrback(lambda failure: _log.failure("connector {name} failed", failure, name=self.name))

    def _answered(self, response: WebResponse, uid: str) -> Outcome:
        """The outcome for a response."""
        settings = self._settings
        headers = {name: values[-1] for name, values in response.headers.getAllRawHeaders()}
        lower = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers.items()}
        data = HttpData(lower, response.body, charset=settings.charset)
        if response.status in (429, 503):
            wait = response.header(b"Retry-After")
            seconds = float(wait) if wait.isascii() and wait.isdigit() and len(wait) < 6 else None
            return Busy(seconds, charged=response.status != 429, why=f"answered {response.status}")
        error = data.value(settings.error)
        if error and error not in settings.no_error:
            if error in settings.busy:
                return Busy(why=f"error {error[:40]}")
            code = int(error) if error.isascii() and error.isdigit() and len(error) < 6 else ErrorCode.UNEXPLAINED
            return Rejected(code or ErrorCode.UNEXPLAINED, f"error {error[:40]}")
        if response.status >= 500:
            return Lost(f"answered {response.status}")
        if response.status >= 400:
            return Rejected(ErrorCode.UNEXPLAINED, f"answered {response.status}")
        if response.status >= 300:
            return Busy(why=f"answered {response.status}; redirects are not followed, url must be the last address")
        if not settings.id:
            return Sent(uid)
        id = data.value(settings.id)
        return Sent(id[:255]) if id else Lost("the answer has no id at the location that the setting id names")

    def _failed(self, failure: Failure, url: str) -> Outcome:
        failure.trap(RequestFailed)
        failed: Any = failure.value
        if failed.sent:
            return Lost(str(failed))
        if not failed.refused:
            self._origin = origin_of(url)
            self._circuit.fail(str(failed))
        return Busy(why=str(failed))

    def _connect(self) -> Deferred[str]:
        def failed(failure: Failure) -> str:
            failure.trap(RequestFailed)
            return str(failure.value)

        return self._client.connect(self._origin).addCallbacks(lambda _: "", failed)

    def _over(self, part: Part, outcome: Outcome) -> None:
        """End one request; its outcome is also that of the message's parts that came meanwhile."""
        self._requests -= 1
        self._decided(part, outcome)

    # Receipts

    def _followed(self, remote_ids: Sequence[str]) -> None:
        if self._settings.receipts == "none":
            self._report_delivered(remote_ids)
        elif self._settings.receipts == "polled":
            for remote_id in remote_ids:
                self._poll_later(remote_id)

    def _understood(self, data: HttpData) -> tuple[State | None, int, bytes]:
        """The state, the error and the text of a receipt; None as state if it changes nothing."""
        said = data.value(self._settings.receipt_state)
        word = self._settings.states.get(said)
        if word is None:
            return None, 0, b""
        error = data.value(self._settings.receipt_error)
        code = int(error) if error.isascii() and error.isdigit() and len(error) < 6 else 0
        text = f"status {said}" + (f", error {error}" if error else "")
        return WORDS[word], code, text.encode("utf-8", "replace")

    def webhook(self, request: WebhookRequest) -> Deferred[WebhookResponse]:
        settings = self._settings
        data = HttpData.of(request, settings.charset)
        given = data.value(settings.secret_at).encode("utf-8", "replace")
        secret = settings.secret
        if secret is None or not hmac.compare_digest(given, secret.reveal().encode()):
            return _now(WebhookResponse(403, b"wrong secret\n"))
        text = data.value(settings.incoming_text)
        if settings.incoming_text and text:
            return self._incoming(data, text)
        id = data.value(settings.receipt_id)
        if settings.receipts != "webhook" or not id:
            return _now(WebhookResponse(400, b"neither a receipt nor a message\n"))
        state, error, said = self._understood(data)
        if state is None:
            return _now(WebhookResponse(200, settings.answer.encode()))
        done = self._report([id], state, error, said)
        return done.addCallback(lambda _: WebhookResponse(200, settings.answer.encode()))

    def _incoming(self, data: HttpData, text: str) -> Deferred[WebhookResponse]:
        settings = self._settings
        source, destination = data.value(settings.incoming_from), data.value(settings.incoming_to)
        one = Incoming(0, "", "", IncomingKind.MESSAGE, self.name, source[:64], destination[:64], text, self._now())

        def stored(answers: Sequence[Any]) -> WebhookResponse:
            if answers[0] is not None:
                _log.info("connector {name}: an incoming message: {why}", name=self.name, why=str(answers[0]))
            return WebhookResponse(200, settings.answer.encode())

        return self._sink.incoming(self.name, [one]).addCallback(stored)

    # Polling

    def _poll_later(self, remote_id: str) -> None:
        """Poll the state of a message later; if there are too many, the oldest is dropped."""
        put(self._polls, remote_id, self._clock.seconds() + self._settings.poll_every)
        self._poll_soon()

    def _poll_soon(self) -> None:
        if self._polls and self._poll_timer is None and self._stopped is None:
            due = next(iter(self._polls.values()))
            self._poll_timer = self._clock.callLater(max(due - self._clock.seconds(), 0.01), self._poll)

    def _poll(self) -> None:
        """Poll the messages that are due, as many at once as the window has room for."""
        self._poll_timer = None
        now = self._clock.seconds()
        room = max(self._settings.window - self._requests, 1)
        while self._polls and room and next(iter(self._polls.values())) <= now:
            remote_id, _ = self._polls.popitem(last=False)
            room -= 1
            self._requests += 1
            url = self._settings.poll_url.fill(
                {"id": remote_id, "to": "", "from": "", "text": "", "uid": remote_id}, lambda text: quote(text, safe="")
            )
            asking = self._client.request(b"GET", url, self._headers)
            asking.addCallbacks(self._polled, self._not_polled, callbackArgs=(remote_id,), errbackArgs=(remote_id,))
            asking.addErrback(lambda failure: _log.failure("connector {name} failed", failure, name=self.name))
            asking.addCallback(lambda _: self._poll_over())
        self._poll_soon()

    def _poll_over(self) -> None:
        self._requests -= 1
        self._finish()

    def _polled(self, response: WebResponse, remote_id: str) -> Deferred[None] | None:
        state, error, text = None, 0, b""
        if 200 <= response.status < 300:
            state, error, text = self._understood(HttpData({}, response.body, charset=self._settings.charset))
        if state is None:
            self._poll_later(remote_id)
            return None
        return self._report([remote_id], state, error, text).addErrback(lambda _: self._poll_later(remote_id))

    def _not_polled(self, failure: Failure, remote_id: str) -> None:
        failure.trap(RequestFailed)
        self._poll_later(remote_id)

    # Stopping

    def stop(self) -> Deferred[None]:
        if self._poll_timer is not None and self._poll_timer.active():
            self._poll_timer.cancel()
        return super().stop()

    def _close(self) -> Deferred[None]:
        close = getattr(self._client, "close", None)
        if close is not None:
            close()
        return succeed(None)


def _headers(settings: HttpConnectorSettings) -> list[tuple[bytes, bytes]]:
    """The headers of every request."""
    headers = [(name.encode(), value.encode()) for name, value in settings.headers.items()]
    if settings.token is not None:
        headers.append((b"Authorization", b"Bearer " + settings.token.reveal().encode()))
    elif settings.password is not None:
        pair = f"{settings.login}:{settings.password.reveal()}".encode()
        headers.append((b"Authorization", b"Basic " + b64encode(pair)))
    return headers


def _now(answer: WebhookResponse) -> Deferred[WebhookResponse]:
    done: Deferred[WebhookResponse] = Deferred()
    done.callback(answer)
    return done

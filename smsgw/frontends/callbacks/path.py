"""The return path over HTTP: sends reports and incoming messages as requests to the URLs of accounts.

The callback dialect of an account writes the requests. If it sends them once, the acknowledgement of an event is
committed before its request begins; else a request is repeated until the receiver responds with 2xx. Events of one
message are sent in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import random
from typing import Final, Protocol, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.config import AccountSettings, Settings
from smsgw.dialects import NATIVE, CallbackContext, CallbackManner, CallbackRequest, Dialect
from smsgw.frontends.callbacks.circuitbreaker import CircuitBreaker
from smsgw.frontends.callbacks.metrics import CallbackMetrics
from smsgw.interfaces import IReturnPath, IReturnSink
from smsgw.model.callbackurl import origin_of
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.message import CALLBACK, Event, Message
from smsgw.model.pacing import back_off
from smsgw.protocols.http.client import RequestFailed, WebResponse

PER_ACCOUNT: Final = 64
"""Highest number of events of one account in this object."""

PER_RECEIVER: Final = 8
"""Highest number of concurrent requests to one receiver of an account."""

MOST_RECEIVERS: Final = 10_000
"""Number of receivers from which idle ones are deleted."""

UNSENDABLE_PAUSE: Final = 600.0
"""Seconds until the next try of an event that cannot be sent with the current configuration."""

FIRST_PAUSE: Final = 5.0
"""Longest pause in seconds before the second try; doubled with each try."""

LONGEST_PAUSE: Final = 3600.0
"""Longest pause in seconds between two tries."""

LONGEST_RETRY_AFTER: Final = 3600.0
"""Longest pause in seconds that a receiver can request with Retry-After."""

ENDING: Final = 5.0
"""Seconds that current requests may take when the program stops."""

_BUSY: Final = frozenset({429, 502, 503, 504})
"""Responses that count as failures of the receiver: it is overloaded, or its proxy does not reach it."""

_log = Logger()


class AccountBook(Protocol):
    """The current accounts."""

    def get(self, name: str) -> HasSettings | None:
        """Return the account of that name, None if it does not exist."""


class HasSettings(Protocol):
    """An account."""

    @property
    def settings(self) -> AccountSettings:
        """Its settings."""


class Client(Protocol):
    """An HTTP client: a :class:`~smsgw.protocols.http.client.WebClient`."""

    def request(
        self, method: bytes, url: str, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes | None = None
    ) -> Deferred[WebResponse]:
        """Make one request."""


@attrs.define(eq=False)
class _Job:
    """An event and its request. :ivar dialect: its name. :ivar guarded: a client chose the URL."""

    event: Event
    url: str
    dialect: str
    manner: CallbackManner
    guarded: bool
    receiver: CircuitBreaker[_Job]
    request: Deferred[None] | None = None


@implementer(IReturnPath)
class CallbackPath:
    """The return path ``callback``.

    :param dialects: by the value of ``callback_dialect =``.
    :param client: for URLs of gw.ini. :param guarded: for URLs that clients gave; public hosts only.
    :param dice: returns random numbers from 0 to 1.
    """

    path = CALLBACK

    def __init__(
        self,
        settings: Settings,
        accounts: AccountBook,
        dialects: Mapping[str, Dialect],
        client: Client,
        guarded: Client,
        clock: IReactorTime,
        now: Callable[[], float],
        dice: Callable[[], float] = random,
        metrics: CallbackMetrics | None = None,
    ) -> None:
        self._metrics = metrics or CallbackMetrics()
        self._metrics.receivers_down.set_function(
            lambda: sum(receiver.down for receiver in self._receivers.values())
        )
        self._accounts = accounts
        self._dialects = dialects
        self._client = client
        self._guarded = guarded
        self._clock = clock
        self._now = now
        self._dice = dice
        self._sink: IReturnSink | None = None
        self._held: dict[str, int] = {}
        self._receivers: dict[tuple[str, str], CircuitBreaker[_Job]] = {}
        self._chains: dict[int, deque[_Job]] = {}
        self._requests: set[_Job] = set()
        self._stopped: Deferred[None] | None = None
        self._patience: IDelayedCall | None = None
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Take the time zone of the settings."""
        self._zone = settings.gateway.timezone

    def attach(self, sink: IReturnSink) -> None:
        self._sink = sink

    def room(self, account: str) -> int:
        """The room is 0 while the account's own receiver is down, or if the account has no callback."""
        settings = self._settings(account)
        if settings is None or self._stopped is not None:
            return 0
        room = PER_ACCOUNT - self._held.get(account, 0)
        if settings.callback:
            receiver = self._receivers.get((account, origin_of(settings.callback)))
            if receiver is not None:
                room = min(room, receiver.room())
        elif not settings.callback_hosts:
            return 0
        return max(room, 0)

    def _settings(self, account: str) -> AccountSettings | None:
        known = self._accounts.get(account)
        return known.settings if known is not None and known.settings.enabled else None

    def deliver(self, events: Sequence[Event]) -> None:
        assert self._sink is not None
        account = events[0].message.account
        settings = self._settings(account)
        jobs = [self._job(event, settings) for event in events]
        unsendable = [event for event, job in zip(events, jobs, strict=True) if job is None]
        sendable = [job for job in jobs if job is not None]
        if sendable:
            self._held[account] = self._held.get(account, 0) + len(sendable)
        once = [job for job in sendable if job.manner.once]
        if once:
            acknowledging = self._sink.acknowledge_before_send([job.event for job in once])
            acknowledging.addCallbacks(lambda _: self._begin(once), self._not_acknowledged, errbackArgs=(once,))
        self._begin([job for job in sendable if not job.manner.once])
        if unsendable:
            self._sink.retry(unsendable, UNSENDABLE_PAUSE)

    def _job(self, event: Event, settings: AccountSettings | None) -> _Job | None:
        """Return the job for an event; None if it has no valid URL, or the account no dialect of callbacks."""
        message = event.message
        if isinstance(message, Message):
            labels = message.content.labels
            own = labels.callback if labels is not None else ""
        else:
            own = message.callback
        if settings is None or not (own or settings.callback):
            return None
        url = own or settings.callback
        dialect = NATIVE if own else self._dialects.get(settings.callback_dialect)
        if dialect is None or dialect.callback is None:
            return None
        try:
            origin = origin_of(url)
        except ValueError:
            return None
        receiver = self._receiver(message.account, origin)
        return _Job(event, url, dialect.name, dialect.callback, bool(own), receiver)

    def _receiver(self, account: str, origin: str) -> CircuitBreaker[_Job]:
        receiver = self._receivers.get((account, origin))
        if receiver is None:

            def woken() -> None:
                assert self._sink is not None
                self._sink.ready(account)

            if len(self._receivers) >= MOST_RECEIVERS:
                self._receivers = {key: one for key, one in self._receivers.items() if not one.idle}
            receiver = CircuitBreaker(self._clock, self._send, woken, PER_RECEIVER)
            self._receivers[account, origin] = receiver
        return receiver

    def _not_acknowledged(self, failure: Failure, jobs: list[_Job]) -> None:
        """The events were not acknowledged, so they must not be sent; the outbox hands them out again."""
        failure.trap(StoreDown, UnknownOutcome)
        for job in jobs:
            self._release(job)
        self._fire_stopped()

    def _release(self, job: _Job) -> None:
        """Decrement the number of events of the account."""
        account = job.event.message.account
        left = self._held[account] - 1
        if left:
            self._held[account] = left
        else:
            del self._held[account]

    def _begin(self, jobs: list[_Job]) -> None:
        """Start the requests; each waits for the earlier events of its message."""
        for job in jobs:
            id = job.event.message.id
            chain = self._chains.get(id)
            if chain is not None:
                chain.append(job)
            else:
                self._chains[id] = deque()
                self._enter(job)

    def _enter(self, job: _Job) -> None:
        receiver = job.receiver
        if receiver.down and not job.manner.once:
            self._end(job, lambda sink: sink.retry([job.event], receiver.wait()))
        else:
            receiver.add(job)

    def _send(self, receiver: CircuitBreaker[_Job], job: _Job) -> None:
        """Start the request of a job."""
        began = self._clock.seconds()
        settings = self._settings(job.event.message.account)
        try:
            request = self._write_request(job, settings)
        except Exception:  # noqa: BLE001 - a poisoned event must not stop the others; it is logged each time
            _log.failure("the callback of message {id} cannot be written", id=job.event.message.id)
            request = None
        if request is None:
            receiver.ended(answered=True)
            self._end(job, None if job.manner.once else lambda sink: sink.retry([job.event], UNSENDABLE_PAUSE))
            return
        client = self._guarded if job.guarded else self._client
        self._requests.add(job)
        asking = client.request(request.method, request.url, request.headers, request.body)
        job.request = asking.addCallbacks(
            self._answered, self._unanswered, callbackArgs=(job, began), errbackArgs=(job, began)
        )
        job.request.addErrback(lambda failure: _log.failure("the callback of an event failed", failure))

    def _write_request(self, job: _Job, settings: AccountSettings | None) -> CallbackRequest | None:
        """Return the request; None if the dialect cannot represent the event, or the account was removed."""
        if settings is None:
            return None
        key = settings.callback_key
        keys = [one for one in key.reveal().split(",") if one] if key is not None else []
        return job.manner.write(job.url, job.event, CallbackContext(self._zone, keys, self._now()))

    def _answered(self, response: WebResponse, job: _Job, began: float) -> None:
        self._note(job, f"{response.status // 100}xx", began)
        self._request_ended(job, response.status not in _BUSY, f"answered {response.status}")
        if job.manner.once:
            self._end(job, None)
        elif 200 <= response.status < 300:
            self._end(job, lambda sink: sink.acknowledged([job.event]))
        else:
            seconds = _retry_after(response)
            self._end(job, lambda sink: sink.retry([job.event], self._pause(job) if seconds is None else seconds))

    def _unanswered(self, failure: Failure, job: _Job, began: float) -> None:
        failure.trap(RequestFailed)
        failed = cast(RequestFailed, failure.value)
        self._note(job, "refused" if failed.refused else "no answer", began)
        self._request_ended(job, failed.refused, str(failed))
        if job.manner.once:
            self._end(job, None)
        elif self._stopped is not None:
            self._end(job, lambda sink: sink.requeue([job.event]))
        else:
            seconds = UNSENDABLE_PAUSE if failed.refused else self._pause(job)
            self._end(job, lambda sink: sink.retry([job.event], seconds))

    def _pause(self, job: _Job) -> float:
        """Return the seconds until the next try: random up to a bound that doubles, to spread the tries."""
        return self._dice() * back_off(job.event.attempts + 1, FIRST_PAUSE, LONGEST_PAUSE)

    def _note(self, job: _Job, result: str, began: float) -> None:
        self._metrics.callbacks[job.dialect, result] += 1
        self._metrics.seconds.observe(self._clock.seconds() - began)

    def _request_ended(self, job: _Job, answered: bool, why: str) -> None:
        self._requests.discard(job)
        if job.receiver.ended(answered):
            _log.warn(
                "callbacks of {account} fail: {origin}: {why}; no requests for {seconds:.0f} s",
                account=job.event.message.account,
                origin=origin_of(job.url),
                why=why,
                seconds=job.receiver.wait(),
            )

    def _end(self, job: _Job, report: Callable[[IReturnSink], None] | None) -> None:
        """End a job: report it, then continue with the next of its message, of its receiver and of its account."""
        sink = self._sink
        assert sink is not None
        message = job.event.message
        chain = self._chains[message.id]
        if chain:
            following = chain.popleft()
        else:
            following = None
            del self._chains[message.id]
        self._release(job)
        if report is not None:
            report(sink)
        if following is not None:
            self._enter(following)
        job.receiver.pump()
        sink.ready(message.account)
        self._fire_stopped()

    def stop(self) -> Deferred[None]:
        """Return queued events to the outbox, and wait at most :data:`ENDING` seconds for the current requests."""
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        assert self._sink is not None
        for receiver in self._receivers.values():
            receiver.stop()
            waiting = [job for job in receiver.waiting if not job.manner.once]
            receiver.waiting = deque(job for job in receiver.waiting if job.manner.once)
            for job in waiting:
                self._end(job, lambda sink, job=job: sink.requeue([job.event]))  # type: ignore[misc]
            receiver.pump()
        self._patience = self._clock.callLater(ENDING, self._give_up)
        self._fire_stopped()
        return stopped

    def _give_up(self) -> None:
        for job in list(self._requests):
            assert job.request is not None
            job.request.cancel()
        self._fire_stopped(at_once=True)

    def _fire_stopped(self, *, at_once: bool = False) -> None:
        stopped = self._stopped
        if stopped is not None and not stopped.called and (at_once or not self._held):
            if self._patience is not None and self._patience.active():
                self._patience.cancel()
            stopped.callback(None)


def _retry_after(response: WebResponse) -> float | None:
    """Return the seconds of Retry-After, None if the receiver did not send it."""
    text = response.header(b"Retry-After")
    return min(float(text), LONGEST_RETRY_AFTER) if text.isascii() and text.isdigit() and len(text) < 9 else None

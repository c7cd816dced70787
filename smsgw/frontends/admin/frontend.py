"""The admin listener: health, metrics, and the resources of the command ``smsgw``.

It has no password and accepts requests of programs on this machine only. Requests of web pages in a browser on this
machine are refused by the Host header (DNS rebinding) and the Origin header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from smsgw.frontends.admin import requests, views
from smsgw.frontends.admin.metrics import StoredMetrics
from smsgw.frontends.admin.ports import AdminOperations, ClockWatch
from smsgw.frontends.admin.query import MOST, BadQuery, Query
from smsgw.interfaces import IMessageStore, MessageDetails, MessageFilter, Parked
from smsgw.model.errors import NotPossible, Refusal, Refused, StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, Incoming, Message
from smsgw.protocols.http.jsonresource import (
    Answer,
    BoundedSite,
    JsonResource,
    ResourcePath,
    Respond,
    error_answer,
    host,
    json_answer,
)
from smsgw.protocols.http.metrics import HttpMetrics
from smsgw.protocols.http.responses import ResponseForm, ResponseForms, bare_reason

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
"""Content-Type of /metrics."""

PATIENCE: Final = 5.0
"""Seconds after which a store that does not answer is reported as down."""

_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_WELL: Final = frozenset({"running", "degraded"})
"""The states of a gateway that takes messages."""

_NAME: Final = "([A-Za-z0-9][A-Za-z0-9._-]{0,63})"
_USER: Final = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")
_NUMBER: Final = "([1-9][0-9]{0,17})"


_log = Logger()


def foreign(request: Request) -> str:
    """Return the reason why a request is not from a program on this machine, as a word; empty if it is."""
    if host(request) not in _HOSTS:
        return "wrong_host"
    origins = request.requestHeaders.getRawHeaders(b"origin") or ()
    ours = (request.requestHeaders.getRawHeaders(b"host") or (b"",))[-1]
    return "wrong_origin" if any(origin != b"http://" + ours for origin in origins) else ""


def _guarded(respond: Respond) -> Respond:
    """Refuse requests of web pages and other machines; answer 503 if the store fails."""

    @wraps(respond)
    def guarded(self: AdminFrontend, request: Request, *groups: str) -> Answer | Deferred[Answer]:
        reason = foreign(request)
        if reason:
            return error_answer(bare_reason, 403, reason)
        try:
            answer = respond(self, request, *groups)
        except BadQuery as error:
            return _no(400, "bad_query", str(error))
        except requests.BadBody as error:
            return _no(400, "bad_body", str(error))
        return answer.addErrback(_failed) if isinstance(answer, Deferred) else answer

    return guarded


def _audited(respond: Respond) -> Respond:
    """Guard a request that changes something, and log who asked for it, what, and the status of the answer."""
    guarded = _guarded(respond)

    @wraps(respond)
    def audited(self: AdminFrontend, request: Request, *groups: str) -> Answer | Deferred[Answer]:
        reason = foreign(request)
        if reason:
            return error_answer(bare_reason, 403, reason)
        given = request.requestHeaders.getRawHeaders(b"x-smsgw-user") or ()
        user = given[0].decode("latin-1") if len(given) == 1 else ""
        if not _USER.fullmatch(user):
            return _no(400, "no_user", "the header X-Smsgw-User must say who asks, in 1 to 64 characters")

        def log(answer: Answer) -> Answer:
            _log.info(
                "{user} asked for {request}: {status}", user=user, request=request.path.decode(), status=answer.status
            )
            return answer

        answer = guarded(self, request, *groups)
        return answer.addCallback(log) if isinstance(answer, Deferred) else log(answer)

    return audited


class AdminFrontend:
    """The administrator's resources; each listener has a site with them.

    :param cancel: cancels a message or batch of any account by its id.
    :param replay: moves dead letters back to the outbox, as :meth:`smsgw.interfaces.IMessageStore.replay`.
    :param simulate: lets the connector of that name (empty: the first that can) simulate a subscriber.
    :param operations: sends again, and handles connectors.
    :param health: returns the ``state`` of the gateway, its ``problems``, whether it is ``accepting`` new messages, how
        many messages wait ``without_connector`` by the name of theirs, and further values to show.
    :param watch: knows of jumps of the wall clock.
    :param clock: its seconds must be monotonic.
    :param registry: of the metrics shown; takes those of the store too.
    :param http: counts the answers.
    :param backup: the file that backups are written to. A request cannot name another one, because every program on
        this machine may send requests.
    """

    def __init__(
        self,
        store: IMessageStore,
        cancel: Callable[[int], Deferred[list[Message] | Refused]],
        replay: Callable[[str | None, Sequence[int], int], Deferred[list[Event]]],
        simulate: Callable[[str, Incoming], Deferred[Refused | None]],
        operations: AdminOperations,
        health: Callable[[], Mapping[str, Any]],
        watch: ClockWatch,
        clock: IReactorTime,
        registry: CollectorRegistry,
        http: HttpMetrics | None = None,
        *,
        backup: Path,
    ) -> None:
        self._store = store
        self._cancel = cancel
        self._replay = replay
        self._simulate = simulate
        self._operations = operations
        self._health = health
        self._watch = watch
        self._clock = clock
        self._backup = backup
        self._registry = registry
        self._stored = StoredMetrics(registry)
        self._http = http
        self.resource = JsonResource(
            [
                ResourcePath("/health", {b"GET": self._show_health}),
                ResourcePath("/metrics", {b"GET": self._show_metrics}),
                ResourcePath("/messages", {b"GET": self._list_messages}),
                ResourcePath(f"/messages/{_NUMBER}", {b"GET": self._show_message}),
                ResourcePath(f"/messages/{_NUMBER}/cancel", {b"POST": self._cancel_message}),
                ResourcePath(f"/messages/{_NUMBER}/resend", {b"POST": self._resend_message}),
                ResourcePath(f"/connectors/{_NAME}/retry", {b"POST": self._retry_connector}),
                ResourcePath(f"/connectors/{_NAME}/pause", {b"POST": self._pause_connector}),
                ResourcePath(f"/connectors/{_NAME}/resume", {b"POST": self._resume_connector}),
                ResourcePath(f"/connectors/{_NAME}/move/{_NAME}", {b"POST": self._move_messages}),
                ResourcePath("/parked", {b"GET": self._list_parked}),
                ResourcePath("/incoming", {b"GET": self._list_incoming}),
                ResourcePath("/events", {b"GET": self._list_events}),
                ResourcePath("/replay", {b"POST": self._replay_events}),
                ResourcePath("/backup", {b"POST": self._back_up}),
                ResourcePath("/simulate", {b"POST": self._make_up}),
                ResourcePath("/clock", {b"GET": self._show_clock}),
                ResourcePath("/clock/accept", {b"POST": self._accept_clock}),
            ],
            errors=bare_reason,
        )

    def site(self) -> BoundedSite:
        """Return the listening factory of one listener."""
        forms = ResponseForms(ResponseForm(bare_reason))
        return BoundedSite(self.resource, self._clock, metrics=self._http, forms=forms)

    def _counts(self) -> Deferred[dict[int, int] | None]:
        """Messages by state; None if the store does not answer within :data:`PATIENCE`."""
        return self._store.counts().addTimeout(PATIENCE, self._clock).addErrback(_no_counts)

    @_guarded
    def _show_health(self, request: Request) -> Deferred[Answer]:
        def respond(counts: dict[int, int] | None) -> Answer:
            health = dict(self._health())
            health["store"] = "up"
            if counts is None:
                health |= {"state": "down" if health["state"] in _WELL else health["state"], "store": "down"}
                health["problems"] = [*health["problems"], "the store does not answer"]
            health["messages"] = {State(state).word: number for state, number in (counts or {}).items()}
            well = health["state"] in _WELL and health["accepting"]
            return json_answer(health, 200 if well else 503)

        return self._counts().addCallback(respond)

    @_guarded
    def _show_metrics(self, request: Request) -> Deferred[Answer]:
        def respond(counts: dict[int, int] | None) -> Answer:
            self._stored.take(counts)
            return Answer(200, generate_latest(self._registry), (), CONTENT_TYPE)

        return self._counts().addCallback(respond)

    @_guarded
    def _list_messages(self, request: Request) -> Deferred[Answer]:
        asked = Query.read(request, "account", "state", "before", "limit", "text")

        def respond(messages: Sequence[Message]) -> Answer:
            more = len(messages) == asked.limit
            return json_answer(
                {
                    "messages": [views.summary(message, asked.text) for message in messages],
                    "before": messages[-1].id if more else None,
                    "without_connector": self._health()["without_connector"],
                }
            )

        wanted = MessageFilter(asked.states)
        return self._store.list_messages(asked.account, wanted, asked.before, asked.limit).addCallback(respond)

    @_guarded
    def _show_message(self, request: Request, number: str) -> Deferred[Answer]:
        asked = Query.read(request, "text")

        def respond(traced: MessageDetails | None) -> Answer | Deferred[Answer]:
            if traced is None:
                return Deferred.fromCoroutine(batch())
            return json_answer(views.details(traced, self._health(), asked.text))

        async def batch() -> Answer:
            counts = await self._store.batch_counts(None, int(number))
            if not counts:
                return _no(404, "not_found", Refusal.UNKNOWN_ID.value)
            (messages,) = await self._store.find(None, [int(number)], MOST)
            shown = [views.summary(message, asked.text) for message in messages]
            return json_answer({"batch": int(number), "counts": views.batch_counts(counts), "messages": shown})

        return self._store.details(int(number)).addCallback(respond)

    @_audited
    def _cancel_message(self, request: Request, number: str) -> Deferred[Answer]:
        def respond(answer: list[Message] | Refused) -> Answer:
            if not isinstance(answer, Refused):
                return json_answer({"cancelled": [message.id for message in answer]})
            if answer.refusal is Refusal.UNKNOWN_ID:
                return _no(404, "not_found", str(answer))
            return _no(409, answer.refusal.name.lower(), str(answer))

        return self._cancel(int(number)).addCallback(respond)

    @_audited
    def _resend_message(self, request: Request, number: str) -> Deferred[Answer]:
        def respond(id: int) -> Answer:
            return json_answer({"message": int(number), "sent_as": id})

        return self._operations.resend(int(number)).addCallback(respond)

    @_audited
    def _retry_connector(self, request: Request, name: str) -> Deferred[Answer]:
        def respond(messages: int) -> Answer:
            return json_answer({"connector": name, "messages": messages})

        return self._operations.retry(name).addCallback(respond)

    @_audited
    def _pause_connector(self, request: Request, name: str) -> Deferred[Answer]:
        return maybeDeferred(self._operations.pause, name).addCallback(lambda _: _paused(name, True))

    @_audited
    def _resume_connector(self, request: Request, name: str) -> Deferred[Answer]:
        return maybeDeferred(self._operations.resume, name).addCallback(lambda _: _paused(name, False))

    @_audited
    def _move_messages(self, request: Request, name: str, other: str) -> Deferred[Answer]:
        def respond(messages: tuple[int, int]) -> Answer:
            return json_answer({"connector": name, "to": other, "moved": messages[0], "stayed": messages[1]})

        return self._operations.move(name, other).addCallback(respond)

    @_guarded
    def _list_parked(self, request: Request) -> Deferred[Answer]:
        asked = Query.read(request, "limit", "text")

        def respond(receipts: Sequence[Parked]) -> Answer:
            return json_answer({"parked": views.parked(receipts, asked.text)})

        return self._store.parked(asked.limit).addCallback(respond)


    @_guarded
    def _list_incoming(self, request: Request) -> Deferred[Answer]:
        asked = Query.read(request, "account", "before", "limit", "text")

        def respond(found: Sequence[Incoming]) -> Answer:
            more = len(found) == asked.limit
            return json_answer(
                {
                    "incoming": [views.incoming(one, asked.text) for one in found],
                    "before": found[-1].id if more else None,
                }
            )

        return self._store.list_incoming(asked.account, asked.before, asked.limit).addCallback(respond)

    @_guarded
    def _list_events(self, request: Request) -> Deferred[Answer]:
        """List dead letters."""
        asked = Query.read(request, "account", "after", "limit", "text")

        def respond(found: Sequence[Event]) -> Answer:
            more = len(found) == asked.limit
            return json_answer(
                {
                    "events": [views.given_up(event, asked.text) for event in found],
                    "after": f"{found[-1].message.id}.{found[-1].kind}" if more else None,
                }
            )

        return self._store.dead_letters(asked.account, asked.after, asked.limit).addCallback(respond)

    @_audited
    def _replay_events(self, request: Request) -> Deferred[Answer]:
        wish = requests.read_replay(self.resource.body(request))

        def respond(events: Sequence[Event]) -> Answer:
            return json_answer({"replayed": [event.message.id for event in events], "more": len(events) == MOST})

        return self._replay(wish.account, wish.ids, MOST).addCallback(respond)

    @_guarded
    def _back_up(self, request: Request) -> Deferred[Answer]:
        def respond(octets: int) -> Answer:
            return json_answer({"file": str(self._backup), "octets": octets})

        return self._store.back_up(self._backup).addCallback(respond)

    @_audited
    def _make_up(self, request: Request) -> Deferred[Answer]:
        connector, incoming = requests.read_incoming(self.resource.body(request))

        def respond(refused: Refused | None) -> Answer:
            if refused is not None:
                return _no(409, refused.refusal.name.lower(), str(refused))
            return json_answer(views.incoming(incoming))

        return self._simulate(connector, incoming).addCallback(respond)


    @_guarded
    def _show_clock(self, request: Request) -> Answer:
        return json_answer({"jump_seconds": self._watch.jump})

    @_guarded
    def _accept_clock(self, request: Request) -> Answer:
        jump = self._watch.accept_clock()
        if not jump:
            return _no(409, "no_jump", "the wall clock has not jumped")
        return json_answer({"accepted_seconds": jump})


def _no(status: int, reason: str, why: str) -> Answer:
    """Return a refusal with a sentence for people."""
    return json_answer({"reason": reason, "status": "error", "why": why}, status)


def _paused(name: str, paused: bool) -> Answer:
    return json_answer({"connector": name, "paused": paused})


def _not_possible(failure: Failure) -> Answer:
    """Answer 404 for an unknown name or id, else 409."""
    unknown = isinstance(failure.value, NotPossible) and failure.value.unknown
    return _no(404 if unknown else 409, "not_found" if unknown else "not_possible", failure.getErrorMessage())


def _no_counts(failure: Failure) -> None:
    """Ignore a failed count: the response shows that the store is down."""
    failure.trap(StoreDown, UnknownOutcome, TooLate)


def _failed(failure: Failure) -> Answer:
    """Answer 503 if the store is down or the outcome of a change is unknown, 404 or 409 if a wish is not possible."""
    if failure.check(NotPossible):
        return _not_possible(failure)
    failure.trap(StoreDown, UnknownOutcome)
    unknown = failure.check(UnknownOutcome) is not None
    return _no(503, "unknown_outcome" if unknown else "store_down", failure.getErrorMessage())

"""The admin listener: health, metrics, and what the command line asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request

from smsgw.frontends.metrics import CONTENT_TYPE, exposition
from smsgw.interfaces import IMessageStore
from smsgw.model.errors import Refused
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.protocols.jsonweb import Answer, BoundedSite, JsonResource, Route, json_answer


class AdminFrontend:
    """Resources for the operator; `factory` is what listens."""

    def __init__(
        self,
        store: IMessageStore,
        cancel: Callable[[int], Deferred[list[Message] | Refused]],
        health: Callable[[], Mapping[str, Any]],
        clock: IReactorTime,
    ) -> None:
        self._store = store
        self._cancel = cancel
        self._health = health
        self.resource = JsonResource([Route("/health", {b"GET": self._healthy}), Route("/metrics", {b"GET": self._metrics})])
        self.factory = BoundedSite(self.resource, clock)

    def _healthy(self, request: Request) -> Deferred[Answer]:
        def counted(counts: dict[int, int]) -> Answer:
            health = dict(self._health())
            health["messages"] = {State(state).word: number for state, number in counts.items()}
            return json_answer(health, 200 if health["state"] == "running" else 503)

        return self._store.counts().addCallback(counted)

    def _metrics(self, request: Request) -> Answer:
        return Answer(200, exposition(), (), CONTENT_TYPE)

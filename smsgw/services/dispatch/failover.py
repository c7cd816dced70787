"""Moves messages that wait for a link that is down to other connectors of their routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.config import ConnectorSettings
from smsgw.model.changes import Changes, Committed, Requeued
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.message import Message
from smsgw.services.commits import Commits
from smsgw.services.dispatch.backlog import Backlog
from smsgw.services.dispatch.fairqueue import parts_of
from smsgw.services.dispatch.inflight import InFlight

LOOK: Final = 1_000
"""Waiting messages that are examined at once; some of them may have no other connector."""

_log = Logger()


class Failover:
    """Claims messages that wait for one connector, at most a window of them, so that they can be queued for another.

    They are claimed first because only the node that has claimed a message may queue it.

    :param reroute: returns the connector for a message now.
    :param claimed: called with the changes that queue the claimed messages for other connectors; with an empty list if
        the store did not take the claims.
    """

    def __init__(
        self,
        settings: ConnectorSettings,
        backlog: Backlog,
        inflight: InFlight,
        commits: Commits,
        reroute: Callable[[Message], str],
        claimed: Callable[[Sequence[Requeued]], None],
    ) -> None:
        self._name = settings.name
        self._backlog = backlog
        self._inflight = inflight
        self._commits = commits
        self._reroute = reroute
        self._report = claimed
        self._moving = False
        self.apply(settings)

    def apply(self, settings: ConnectorSettings) -> None:
        """Claim at most the window of `settings` from now on."""
        self._window = settings.window

    @property
    def moving(self) -> bool:
        """Whether a commit of claims is under way."""
        return self._moving

    def move(self) -> None:
        """Claim messages that have another connector, unless such a commit is under way."""
        if self._moving:
            return
        room = self._window - self._inflight.reserved
        moves: list[Requeued] = []
        stays: list[Message] = []
        for message in self._backlog.take(LOOK):
            connector = self._reroute(message) if room > 0 else self._name
            if connector == self._name:
                stays.append(message)
            else:
                room -= parts_of(message)
                moves.append(Requeued(message, connector, 0.0, False))
        self._backlog.add(reversed(stays))
        if moves:
            self._moving = True
            messages = [move.message for move in moves]
            self._inflight.claim(messages)
            self._commits.commit(Changes(claims=messages)).addBoth(self._claimed, moves)
            self._backlog.refill()

    def _claimed(self, result: Committed | Failure, moves: Sequence[Requeued]) -> None:
        self._moving = False
        messages = [move.message for move in moves]
        self._inflight.unclaim(messages)
        if isinstance(result, Failure):
            self._backlog.add(messages)
            if result.check(StoreDown, UnknownOutcome) is None:
                _log.failure("messages of {connector} were not moved", result, connector=self._name)
            self._report([])
        else:
            self._report([move for move, claimed in zip(moves, result.claims, strict=True) if claimed])

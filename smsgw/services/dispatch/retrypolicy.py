"""Decides on messages whose parts were returned unsent. Pure except for two counters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from smsgw.config import ConnectorSettings
from smsgw.model.changes import PartEnded, Requeued
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.model.moments import LAST
from smsgw.model.outcome import Busy, Lost
from smsgw.model.pacing import back_off
from smsgw.services.clock import CheckedClock
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.services.dispatch.outcomes import NOT_SENT, last_words

MOST_ATTEMPTS: Final = 20
"""After so many attempts with unknown outcome a message is not sent again. Attempts at a busy upstream do not count;
they end with the message's validity."""

@attrs.define(eq=False)
class RetryPolicy:
    """The rules of one connector for parts that were busy, lost or in doubt after a crash.

    :param reroute: returns the connector for a message now: its own while that is up, else another of its route.
    """

    settings: ConnectorSettings
    reroute: Callable[[Message], str]
    time: CheckedClock
    metrics: DispatchMetrics

    def apply(self, settings: ConnectorSettings) -> None:
        """Use these settings from now on."""
        self.settings = settings

    def returned(
        self, message: Message, returned: Sequence[tuple[int, Busy | Lost]], now: float
    ) -> list[PartEnded | Requeued]:
        """Decide on the returned parts of `message`, as (number, outcome); `now` is the absolute time."""
        changes = self._decided(message, returned, now)
        changes[0].words = [
            words
            for seq, outcome in returned
            if outcome is not NOT_SENT
            for words in last_words(seq, State.QUEUED, self.settings.name, now, outcome.why)
        ]
        return changes

    def _decided(
        self, message: Message, returned: Sequence[tuple[int, Busy | Lost]], now: float
    ) -> list[PartEnded | Requeued]:
        changes: list[PartEnded | Requeued] = []
        lost = [seq for seq, outcome in returned if type(outcome) is Lost]
        if lost:
            self.metrics.ambiguous[self.settings.name] += len(lost)
            if self.settings.on_unknown == "fail":
                changes += end(message, lost, State.UNKNOWN, ErrorCode.NO_RECEIPT)
                returned = [entry for entry in returned if type(entry[1]) is not Lost]
                lost = []
                if not returned:
                    return changes
        unsent = tuple(sorted(seq for seq, _ in returned))
        charged = any(isinstance(outcome, Lost) or outcome.charged for _, outcome in returned)
        attempts = message.attempts + charged
        if lost and self.settings.on_unknown == "hold":
            changes.append(_hold(message, unsent))
        elif lost and attempts >= MOST_ATTEMPTS:
            changes += end(message, unsent, State.FAILED, 0)
        else:
            message.unsent = unsent if len(unsent) < message.parts else ()
            connector = self.reroute(message)
            due = self._due(message, [outcome for _, outcome in returned], attempts, connector, now)
            if due is None:
                changes += end(message, unsent, State.EXPIRED, 0)
            else:
                self.metrics.resends[self.settings.name] += len(lost)
                changes.append(Requeued(message, connector, due, charged))
        return changes

    def _due(
        self, message: Message, outcomes: Sequence[Busy | Lost], attempts: int, connector: str, now: float
    ) -> float | None:
        """The time of the next attempt, 0 for at once; None if the validity ends before it.

        The last attempt is made ``retry_first`` seconds before the end of the validity, even if the pause is longer.
        """
        expires = message.expires + self.time.behind if message.expires else LAST
        if connector != self.settings.name:
            return 0.0 if now < expires else None
        asked = [outcome.seconds for outcome in outcomes if type(outcome) is Busy and outcome.seconds is not None]
        if len(asked) == len(outcomes):
            pause = max(asked)
            due = now + pause if pause > 0 else 0.0
            return due if now + pause < expires else None
        first = self.settings.retry_first
        if now + first >= expires:
            return None
        pause = max([back_off(attempts, first, self.settings.retry_limit), *asked])
        return min(now + pause, expires - first)

    def in_doubt(self, message: Message, seqs: Sequence[int], now: float) -> list[PartEnded | Requeued]:
        """Decide on parts that a crash left in doubt; an empty list: send them again. `now` is the earliest time that
        it may be.

        The store has already counted the attempt, in ``recover_claims``.
        """
        self.metrics.ambiguous[self.settings.name] += len(seqs)
        if self.settings.on_unknown == "fail":
            return [*end(message, seqs, State.UNKNOWN, ErrorCode.NO_RECEIPT)]
        if self.settings.on_unknown == "hold":
            return [_hold(message, tuple(seqs))]
        if message.attempts >= MOST_ATTEMPTS:
            return [*end(message, seqs, State.FAILED, 0)]
        if message.expires and now >= message.expires:
            return [*end(message, seqs, State.EXPIRED, 0)]
        self.metrics.resends[self.settings.name] += len(seqs)
        return []


def end(message: Message, seqs: Sequence[int], state: State, error: int) -> list[PartEnded]:
    """End these parts; the number 0 stands for every open part."""
    return [PartEnded(message, seq, state, error) for seq in seqs]


def _hold(message: Message, unsent: tuple[int, ...]) -> Requeued:
    """Keep a message unsent until its validity ends, or until its account or the administrator cancels it."""
    message.unsent = unsent if len(unsent) < message.parts else ()
    return Requeued(message, message.connector, message.expires or LAST, False)

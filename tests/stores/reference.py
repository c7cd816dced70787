"""An obviously right store of messages: slow, in memory, one change after the other. Others are compared with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from smsgw.model.changes import Cancel, Changes, PartEnded, PartSent, Reported, Requeued
from smsgw.model.lifecycle import FINAL, MOVES, State, combine_parts, notifies
from smsgw.model.message import EventKind, Message


@dataclass
class Known:
    """One message."""

    message: Message
    state: State
    claimed: bool
    queued: bool
    connector: str
    due: float = 0.0
    attempts: int = 0
    error: int = 0
    parts: list[State] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)

    @property
    def unsent(self) -> tuple[int, ...]:
        """Parts without an outcome."""
        return tuple(seq for seq, state in enumerate(self.parts, 1) if state < State.ENROUTE)


class Reference:
    """What a store should hold after some calls."""

    def __init__(self) -> None:
        self.messages: dict[int, Known] = {}
        self.awaited: dict[str, tuple[int, int]] = {}
        self.parked: dict[str, Reported] = {}
        self.used: set[str] = set()
        self.events: dict[tuple[int, int], tuple[State, int]] = {}
        self.occurred: list[tuple[int, int, State, int]] = []

    def apply(self, call: Changes) -> tuple[list[bool], list[object]]:
        """Carry out `call`; returns the verdicts on claims, and per cancel the ids cancelled or that it is refused."""
        for m in call.accepts:
            self._accept(m)
        claims = [self._claim(m) for m in call.claims]
        for outcome in call.outcomes:
            if isinstance(outcome, PartSent):
                self._sent(outcome)
            elif isinstance(outcome, PartEnded):
                self._ended(outcome)
            else:
                self._requeued(outcome)
        for reported in call.receipts:
            self._reported(reported)
        cancels = [self._cancel(wish) for wish in call.cancels]
        for event in call.acknowledged:
            self.events.pop((event.message.id, event.kind), None)
        return claims, cancels

    def _accept(self, m: Message) -> None:
        waits = m.state < State.ENROUTE and not m.claimed
        known = Known(
            m, m.state, m.claimed, waits, m.connector, m.due, 0, m.error, [m.state] * m.parts, [m.error] * m.parts
        )
        self.messages[m.id] = known
        if m.state in FINAL:
            self._tell(known, EventKind.FINAL, m.state, m.error)

    def _claim(self, m: Message) -> bool:
        known = self.messages[m.id]
        if not known.queued:
            return False
        known.queued = False
        known.claimed = True
        known.state = max(known.state, State.QUEUED)
        known.parts = [max(part, State.QUEUED) for part in known.parts]
        return True

    def _sent(self, sent: PartSent) -> None:
        self.used.add(sent.remote_id)
        known = self.messages[sent.message.id]
        if known.parts[sent.seq - 1] in FINAL:
            return
        before = known.unsent
        known.parts = [max(part, State.QUEUED) for part in known.parts]
        known.parts[sent.seq - 1] = State.ENROUTE
        known.state = State.ENROUTE
        self.awaited[sent.remote_id] = (known.message.id, sent.seq)
        self._handed_over(known, before)
        early = self._sent_early(sent.remote_id)
        if early is not None:
            self._reported(early)

    def _sent_early(self, remote_id: str) -> Reported | None:
        """The receipt that came before its part was sent."""
        return self.parked.pop(remote_id, None)

    def _ended(self, ended: PartEnded) -> None:
        known = self.messages[ended.message.id]
        if known.state not in FINAL:
            self._end(known, (ended.seq,) if ended.seq else known.unsent, ended.state, ended.error)

    def _end(self, known: Known, seqs: tuple[int, ...], state: State, error: int) -> None:
        before = known.unsent
        for seq in seqs:
            if state in MOVES[known.parts[seq - 1]]:
                known.parts[seq - 1] = state
                known.errors[seq - 1] = error
        verdict = combine_parts(zip(known.parts, known.errors, strict=True))
        if verdict is None:
            self._handed_over(known, before)
        else:
            known.state, known.error = verdict
            known.claimed = known.queued = False
            self._tell(known, EventKind.FINAL, *verdict)

    def _handed_over(self, known: Known, before: tuple[int, ...]) -> None:
        if before and not known.unsent:
            known.claimed = known.queued = False
            self._tell(known, EventKind.ENROUTE, State.ENROUTE, 0)

    def _requeued(self, requeued: Requeued) -> None:
        known = self.messages[requeued.message.id]
        if known.claimed:
            known.claimed = False
            known.queued = True
            known.connector = requeued.connector
            known.due = requeued.due
            known.attempts += requeued.charged

    def _reported(self, reported: Reported) -> None:
        report = reported.report
        if report.state is None:
            return
        if report.remote_id not in self.used:
            self.parked.setdefault(report.remote_id, reported)
            return
        id, seq = self.awaited.pop(report.remote_id, (0, 0))
        known = self.messages.get(id)
        if known is not None and known.parts[seq - 1] is State.ENROUTE:
            self._end(known, (seq,), report.state, report.error)

    def _cancel(self, wish: Cancel) -> object:
        mine = [
            known
            for known in self.messages.values()
            if wish.account in (None, known.message.account) and wish.id in (known.message.id, known.message.batch)
        ]
        if not mine:
            return "unknown"
        waiting = [known for known in mine if known.queued and known.state < State.ENROUTE]
        for known in waiting:
            self._end(known, known.unsent, State.CANCELLED, 0)
        return [known.message.id for known in waiting] or "final"

    def _tell(self, known: Known, kind: EventKind, state: State, error: int) -> None:
        m = known.message
        if m.path and notifies(m.notify, state):
            self.events[m.id, kind] = (state, error)
            self.occurred.append((m.id, kind, state, error))

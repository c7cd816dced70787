"""The reference for a store that two nodes share: each call is applied when its write is carried out."""

from __future__ import annotations

from typing import Any

from smsgw.model.changes import Changes, Limit, Reported, Requeued
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.stores.writeset import WriteSet
from tests.stores.reference import Known, Reference

LIMIT = 7
"""What may be spent by both nodes together."""


class Shared(Reference):
    """The reference for several nodes: it knows who has what."""

    def __init__(self) -> None:
        super().__init__()
        self.owners: dict[int, str] = {}
        self.events_of: dict[tuple[int, int], str] = {}
        self.delivered: dict[tuple[int, int], str] = {}
        self.spent = 0
        self.node = ""
        self.matched: set[str] = set()
        self.parking: set[str] = set()
        self.granted: set[int] = set()

    def written(self, call: Changes, writes: WriteSet) -> tuple[list[bool], list[object], list[bool]]:
        """One call of a node is carried out now."""
        self.node = writes.node
        self.matched = set(writes.unparked[::2])
        self.parking = {remote_id for remote_id, _ in writes.parked}
        self.occurred.clear()
        refused = set()
        met = []
        for one in call.conditions:
            (limit,) = one.conditions
            assert isinstance(limit, Limit)
            met.append(self.spent + limit.add <= limit.at_most)
            if met[-1]:
                self.spent += limit.add
            else:
                refused |= {m.id for m in one.messages}
        stored = Changes(
            [m for m in call.accepts if m.id not in refused],
            call.claims,
            call.outcomes,
            call.receipts,
            call.cancels,
            call.acknowledged,
        )
        for m in call.accepts:
            if m.claimed:
                self.owners[m.id] = self.node
        self.granted = {id for ids in writes.claims.values() for id in ids}
        for (_, _, leased_to, *_), rows in writes.progress.items():
            if leased_to == self.node:
                self.granted.update(rows[::3])
        claims, cancels = self.apply(stored)
        return claims, cancels, met

    def parked_matched(self, writes: WriteSet) -> None:
        """Parked receipts whose part is awaited are taken now."""
        self.node, self.parking = writes.node, set()
        self.occurred.clear()
        for remote_id in writes.unparked[::2]:
            self._reported(self.parked.pop(remote_id))

    def recovered(self, writes: WriteSet) -> list[tuple[int, int]]:
        """Claims of former processes, and of nodes whose lease ended, are this node's now."""
        assert writes.upkeep is not None
        dead = {name for name, _ in writes.upkeep.taken}
        self.events_of = {key: writes.node if name in dead else name for key, name in self.events_of.items()}
        self.delivered = {key: name for key, name in self.delivered.items() if name not in dead}
        handed = []
        for id in writes.upkeep.recovered[::2]:
            known = self.messages[id]
            self.owners[id] = writes.node
            known.attempts += 1
            handed += [(id, seq) for seq in known.unsent]
        return handed

    def _claim(self, m: Message) -> bool:
        if m.id not in self.granted:  # when it was looked for it was not there
            return False
        granted = super()._claim(m)
        assert granted, "claimed twice"
        self.owners[m.id] = self.node
        return granted

    def _requeued(self, requeued: Requeued) -> None:
        if self.owners.get(requeued.message.id) == self.node:
            super()._requeued(requeued)

    def _sent_early(self, remote_id: str) -> Reported | None:
        return self.parked.pop(remote_id, None) if remote_id in self.matched else None

    def _reported(self, reported: Reported) -> None:
        if reported.report.remote_id in self.parking:
            self.parked.setdefault(reported.report.remote_id, reported)
            return
        id, seq = self.awaited.pop(reported.report.remote_id, (0, 0))
        known = self.messages.get(id)
        assert reported.report.state is not None
        if known is not None and known.parts[seq - 1] is State.ENROUTE:
            self._end(known, (seq,), reported.report.state, reported.report.error)

    def _tell(self, known: Known, kind: Any, state: State, error: int) -> None:
        before = len(self.occurred)
        super()._tell(known, kind, state, error)
        if len(self.occurred) > before:
            self.events_of[known.message.id, kind] = self.node

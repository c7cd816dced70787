"""Decides on messages that do not go the straight way: messages in several parts, retries, a second remote id, a
restart in between.

Each is a :class:`~smsgw.stores.progress.MessageProgress`, from the cache or loaded. Changes are decided on it by the
rules of :mod:`smsgw.model.lifecycle`. Pure: the result is in a write set, and :meth:`Decisions.update_cache` adds it to
the cache after the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from smsgw.model.changes import Cancel, Committed, PartEnded, PartSent, Reported, Requeued
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import MOVES, State
from smsgw.model.message import EventKind, Message
from smsgw.stores.cache import Awaiting, Cache
from smsgw.stores.progress import MessageProgress, read_progress
from smsgw.stores.rows import CONNECTOR, MESSAGE_WIDTH, PARTS, REMOTE_ID, STATE, STATES, to_message
from smsgw.stores.steps import Key, Loaded
from smsgw.stores.writeset import EARLY, WriteSet

_ENROUTE: Final = State.ENROUTE


def _straight(row: Sequence[Any]) -> bool:
    """Whether an awaited row belongs to a message of one part that is ENROUTE under its only (last) remote id."""
    return (
        row[PARTS] == 1
        and row[STATE] == _ENROUTE
        and (row[REMOTE_ID], row[CONNECTOR]) == (row[MESSAGE_WIDTH], row[MESSAGE_WIDTH + 1])
    )


class Decisions:
    """Decides on messages in general.

    :ivar progress: by id, every message that is decided on here, as the commit leaves it.
    :ivar awaiting: the values of remote ids after the commit; they go before those of the cache.
    :ivar found: the values of remote ids that were loaded.
    :ivar loaded_parked: rows of parked receipts, by key.
    """

    def __init__(self, cache: Cache, writes: WriteSet, loaded: Loaded) -> None:
        self._cache = cache
        self._writes = writes
        self._now = writes.now
        self._node = writes.node
        self.awaiting: dict[Key, Awaiting] = {}
        self.found: dict[Key, Awaiting] = {}
        self.loaded_parked: dict[Key, Sequence[Any]] = {(row[0], row[1]): row for row in loaded.parked}
        self._unparked: set[Key] = set()
        rows = loaded.messages
        if loaded.awaited:
            wanted = {row[0] for row in rows}
            others = {row[0] for row in loaded.awaited if row[0] in wanted or not _straight(row)}
            rows = rows + [row for row in loaded.awaited if row[0] in others]
            for row in loaded.awaited:
                remote_id, connector, seq = row[MESSAGE_WIDTH:]
                self.found[remote_id, connector] = (row[0], seq) if row[0] in others else to_message(row)
        self.progress: dict[int, MessageProgress] = read_progress(rows, loaded.parts) if rows else {}
        for id in self.progress:
            cache.progress.take(id)

    # Outcomes

    def outcome(self, outcome: PartSent | PartEnded | Requeued, result: Committed) -> None:
        """Apply an outcome of an upstream, or a decision of dispatch."""
        progress = self.of(outcome.message.id)
        if isinstance(outcome, PartSent):
            self._sent(outcome, progress, result)
        elif progress is None:
            pass
        elif isinstance(outcome, PartEnded):
            self._writes.note_words(outcome.message.id, outcome.words)
            if outcome.seq:
                parts = [outcome.seq - 1]
            else:
                parts = [part for part, state in enumerate(progress.states) if state < _ENROUTE]
            self._end(progress, parts, STATES[outcome.state], outcome.error, self._now, result)
        elif progress.leased_to == self._node:
            progress.leased_to = ""
            progress.connector = outcome.connector
            progress.due = outcome.due
            progress.attempts += outcome.charged
            progress.dirty = True
            self._writes.note_words(outcome.message.id, outcome.words)

    def _sent(self, sent: PartSent, progress: MessageProgress | None, result: Committed) -> None:
        key = (sent.remote_id, sent.message.connector)
        part = sent.seq - 1
        if progress is None or not MOVES[progress.states[part]]:
            self.awaiting[key] = False
            return
        id = progress.message.id
        if progress.ids[part]:
            before = (progress.ids[part], progress.connector)
            if isinstance(self.awaiting.get(before, self._cache.awaiting.get(before)), Message):
                self.awaiting[before] = (id, sent.seq)
        unsent = progress.unsent
        progress.set_part(part, _ENROUTE, 0, sent.remote_id)
        progress.sent = progress.sent or self._now
        if progress.state is not _ENROUTE:
            self._move(progress, _ENROUTE)
        self._writes.awaited[sent.message.connector, sent.seq] += (sent.remote_id, id, sent.due)
        self.awaiting[key] = (id, sent.seq)
        if unsent and not progress.unsent:
            self._become_enroute(progress, result)

    # Receipts

    def reported(self, reported: Reported, key: Key, known: Awaiting | None, result: Committed) -> str:
        """Apply or park a receipt of a final state; its message is decided on here or is unknown."""
        report = reported.report
        state = report.state
        assert state is not None
        if known is None:
            row = (*key, self._now, state + 0, report.error, report.at, bytes(report.raw))
            self._writes.parked.setdefault(key, row)
            return "parked"
        return self.receive(key, known, state, report.error, report.at, report.raw, result)

    def receive(
        self, key: Key, known: Awaiting, state: State, error: int, at: float, raw: bytes, result: Committed
    ) -> str:
        """Apply one receipt for a part that is, or was, awaited."""
        if known is True or known is False:
            return "repeated"
        id, seq = (known.id, 1) if isinstance(known, Message) else known
        progress = self.of(id)
        if progress is None or not progress.may(seq - 1, state):
            self._not_awaited(key, id, seq)
            return "repeated"
        self._writes.note_receipt(id, seq, state, key[1], raw)
        self._end(progress, (seq - 1,), state, error, min(max(at, progress.message.created), self._now), result, key)
        return "matched"

    def early(self, key: Key) -> Sequence[Any] | None:
        """Take the parked receipt that came before the commit of the outcome, if it is not too old."""
        stored = None if key in self._unparked else self.loaded_parked.get(key)
        if stored is not None and stored[2] < self._now - EARLY:
            stored = None
        # Of several receipts the first one counts: the stored one came before those of this commit.
        parked: Sequence[Any] | None = self._writes.parked.pop(key, None)
        if stored is not None:
            self._writes.unparked += key
            self._unparked.add(key)
        return parked if stored is None else stored

    # Cancelling

    def cancel(self, wish: Cancel, result: Committed) -> list[Message] | Refused:
        """Cancel a waiting message, or the waiting messages of a batch."""
        one = self.progress.get(wish.id)
        batch = [one] if one is not None else [p for p in self.progress.values() if 0 < p.message.batch == wish.id]
        mine = [p for p in batch if wish.account is None or p.message.account == wish.account]
        if not mine:
            return Refused(Refusal.UNKNOWN_ID)
        cancelled = []
        for progress in sorted(mine, key=lambda progress: progress.message.id):
            if progress.state < _ENROUTE and not progress.leased_to:
                self._end(progress, range(len(progress.states)), State.CANCELLED, 0, self._now, result)
                cancelled.append(attrs.evolve(progress.message, state=State.CANCELLED, changed=self._now))
        return cancelled or Refused(Refusal.ALREADY_FINAL)

    # One message

    def of(self, id: int) -> MessageProgress | None:
        """The message as the decisions so far leave it, None if it is not stored."""
        progress = self.progress.get(id)
        if progress is None:
            progress = self._cache.progress.take(id)
            if progress is not None:
                self.progress[id] = progress
        return progress

    def _end(
        self,
        progress: MessageProgress,
        parts: Sequence[int],
        state: State,
        error: int,
        at: float,
        result: Committed,
        key: Key | None = None,
    ) -> None:
        """End those parts that may end; and the message, at `at`, if no part is open. `key` is that of the receipt."""
        if not MOVES[progress.state]:
            return
        m = progress.message
        unsent = progress.unsent
        for part in parts:
            if progress.may(part, state):
                remote_id = progress.ids[part]
                if key is not None or remote_id:
                    self._not_awaited(key or (remote_id, progress.connector), m.id, part + 1)
                progress.set_part(part, state, error, remote_id)
        ended = progress.final_state()
        if ended is None:
            if unsent and not progress.unsent:
                self._become_enroute(progress, result)
            return
        final, progress.error = ended
        self._move(progress, final)
        progress.leased_to = ""
        self._writes.end(result, m, final, progress.error, at, progress.connector, progress.ids[0])

    def _become_enroute(self, progress: MessageProgress, result: Committed) -> None:
        """No part is left to be sent: release the claim, and make the message ENROUTE."""
        progress.leased_to = ""
        progress.dirty = True
        self._writes.notify(result, progress.message, EventKind.ENROUTE, _ENROUTE, 0, self._now)

    def _not_awaited(self, key: Key, id: int, seq: int) -> None:
        """Await no further receipt under `key`; a further one counts as repeated."""
        self.awaiting[key] = False
        self._writes.not_awaited += (*key, id, seq)

    def claim(self, progress: MessageProgress) -> bool:
        """Claim a message if it waits; returns whether it did."""
        if not progress.queued:
            return False
        before = progress.state
        progress.promote()
        if progress.state is not before:
            self._writes.move(before, progress.state)
        progress.leased_to = self._node
        progress.dirty = True
        return True

    def _move(self, progress: MessageProgress, state: State) -> None:
        self._writes.move(progress.state, state)
        progress.promote()
        progress.state = state
        progress.changed = self._now
        progress.dirty = True

    # The end of the commit

    def finish(self) -> None:
        """Add the messages that changed to the write set, when everything is decided."""
        for progress in self.progress.values():
            if progress.dirty:
                self._writes.put_progress(progress)
            elif self._writes.shared:
                self._writes.checked += (progress.message.id, progress.version)

    def update_cache(self) -> None:
        """Add the decisions to the cache, after the commit."""
        cache = self._cache
        if self.awaiting:
            cache.awaiting.young.update(self.awaiting)
        if not self.progress and not self._writes.parked and not self._unparked:
            return
        for id, progress in self.progress.items():
            single = len(progress.states) == 1
            claimed = cache.claimed if single else cache.claimed_parts
            (claimed.add if progress.leased_to == self._node else claimed.discard)(id)
            if not single and progress.open:
                cache.progress.put(id, progress, len(progress.states))
        if cache.doubtful:
            cache.doubtful.difference_update(self.progress)
        if cache.parked is not None:
            cache.parked.difference_update(self._unparked)
            cache.parked.update(self._writes.parked)
            if len(cache.parked) > cache.parked_limit:
                cache.parked = None

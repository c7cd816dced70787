"""What becomes of messages whose way is not straight: several parts, retries, a second remote id, a restart in between.

Each is made a :class:`~smsgw.stores.memory.Life`, from memory or from the tables; changes are decided on that, by
the rules of :mod:`smsgw.model.lifecycle`, and written with everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from smsgw.model.changes import Cancel, Committed, Ended, Reported, Requeued, Sent
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import FINAL, MOVES, State, whole
from smsgw.model.message import EventKind, Message
from smsgw.stores.memory import Awaiting, Key, Life
from smsgw.stores.rows import MESSAGE, MESSAGE_WIDTH, STATES, Lists, Rows, to_message
from smsgw.stores.sheet import EARLY, Sheet

_MESSAGES: Final = Lists(f"SELECT {MESSAGE} FROM message m WHERE m.id IN ({{marks}})")
_BATCH: Final = f"SELECT {MESSAGE} FROM message m WHERE m.batch = ? AND m.batch > 0 ORDER BY m.id"
_PARTS: Final = Lists("SELECT message, seq, state, error, remote_id FROM part WHERE message IN ({marks})")
_FIND_REMOTE: Final = Rows(
    f"SELECT {MESSAGE}, r.remote_id, r.connector, r.seq FROM (VALUES ",
    "(?,?)",
    ") AS v CROSS JOIN remote r ON r.remote_id = v.column1 AND r.connector = v.column2"
    " CROSS JOIN message m ON m.id = r.message ORDER BY r.message, r.seq",
)
_FIND_PARKED: Final = Rows(
    "SELECT p.remote_id, p.connector, p.since, p.state, p.error, p.at FROM (VALUES ",
    "(?,?)",
    ") AS v CROSS JOIN parked p ON p.remote_id = v.column1 AND p.connector = v.column2",
)


def to_life(m: Message, claimed: bool, state: State) -> Life:
    """A message as it is stored, its parts as if no row of theirs existed."""
    life = Life(m, m.connector, state, claimed, m.attempts, m.changed, m.due, m.error, m.sent, [state], [m.error], [])
    if m.parts == 1:
        life.ids = [m.remote_id]
    else:
        life.states = [State.QUEUED if state is State.ENROUTE else state] * m.parts
        life.errors = [m.error] * m.parts
        life.ids = [""] * m.parts
    life.stored_queued = life.queued
    return life


class Fates:
    """Decides on lives; what it decides is gathered in `sheet`."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._memory = sheet.memory
        self._now = sheet.now

    # Outcomes

    def early(self, outcomes: Sequence[Sent]) -> set[Key]:
        """Which of these remote ids have a parked receipt, by the table."""
        keys = [value for sent in outcomes for value in (sent.remote_id, sent.message.connector)]
        return {(row[0], row[1]) for row in _FIND_PARKED.fetch(self._sheet.execute, keys)}

    def match_parked(self, key: Key, result: Committed) -> None:
        """A receipt was here before the acceptance: it counts from now on, unless it is old."""
        self._sheet.flush()
        for _, _, since, state, error, at in _FIND_PARKED.fetch(self._sheet.execute, list(key)):
            if since >= self._now - EARLY:
                self._sheet.unparked.append(key)
                if self._memory.parked is not None:
                    self._memory.parked.discard(key)
                self._reported({}, key, STATES[state], error, at, result)

    def sent(self, sent: Sent, result: Committed, early: set[Key]) -> None:
        """See :class:`~smsgw.model.changes.Sent`."""
        memory = self._memory
        key = (sent.remote_id, sent.message.connector)
        self._sheet.keys.append(key)
        life = self._life(sent.message.id)
        part = sent.seq - 1
        if life is None or life.states[part] in FINAL:
            memory.awaiting.put(key, False)
            return
        id = life.message.id
        before = (life.ids[part], life.connector)
        if isinstance(memory.awaiting.get(before), Message):
            self._sheet.keys.append(before)
            memory.awaiting.put(before, (id, sent.seq))
        to_send = life.to_send
        life.states = [max(state, State.QUEUED) for state in life.states]
        life.states[part] = State.ENROUTE
        life.ids[part] = sent.remote_id
        life.sent = life.sent or self._now
        if life.state is not State.ENROUTE:
            self._move(life, State.ENROUTE)
        self._sheet.remotes += (*key, id, sent.seq, sent.due)
        memory.awaiting.put(key, (id, sent.seq))
        if to_send:
            self._handed_over(life, result)
        if key in early:
            self.match_parked(key, result)

    def ended(self, ended: Ended, result: Committed) -> None:
        """See :class:`~smsgw.model.changes.Ended`."""
        life = self._life(ended.message.id)
        if life is not None and life.state not in FINAL:
            if ended.seq:
                parts = [ended.seq - 1]
            else:
                parts = [part for part, state in enumerate(life.states) if state < State.ENROUTE]
            self._end(life, parts, STATES[ended.state], ended.error, result)

    def _end(self, life: Life, parts: Sequence[int], state: State, error: int, result: Committed) -> None:
        to_send = life.to_send
        for part in parts:
            if state in MOVES[life.states[part]]:
                if life.ids[part]:
                    self._sheet.forget((life.ids[part], life.connector), life.message.id, part + 1)
                life.states[part] = state
                life.errors[part] = error
        self._judge(life, to_send, self._now, result)

    def requeued(self, requeued: Requeued) -> None:
        """See :class:`~smsgw.model.changes.Requeued`."""
        life = self._life(requeued.message.id)
        if life is None or not life.claimed or not life.to_send:
            return
        id = life.message.id
        life.claimed = False
        self._memory.claimed.discard(id)
        life.connector = requeued.connector
        life.due = requeued.due
        life.attempts += requeued.charged
        if requeued.due:
            self._sheet.late.append((requeued.due, life.connector, life.message.account, id))

    # Receipts

    def reported(self, receipts: Sequence[tuple[Committed, int, Reported]]) -> None:
        """Receipts of final states which memory cannot assign to a plain message, each with its place in a result."""
        self._sheet.flush()
        awaiting = self._memory.awaiting
        keys = [(reported.report.remote_id, reported.connector) for _, _, reported in receipts]
        found: dict[Key, Awaiting] = {}
        rows = {}
        unknown = [value for key in dict.fromkeys(keys) if awaiting.get(key) is None for value in key]
        for row in _FIND_REMOTE.fetch(self._sheet.execute, unknown):
            remote_id, connector, seq = row[MESSAGE_WIDTH:]
            found[remote_id, connector] = (row[0], seq)
            rows[row[0]] = row
        self._load(list(rows.values()))
        for key, (result, place, reported) in zip(keys, receipts, strict=True):
            report = reported.report
            assert report.state is not None
            word = self._reported(found, key, report.state, report.error, report.at, result)
            result.receipts[place] = word
            if word == "parked":
                row = (*key, self._now, report.state + 0, report.error, report.at, bytearray(report.raw))
                self._sheet.parked.setdefault(key, row)
                self._memory.remember_parked(key)

    def _reported(
        self, found: dict[Key, Awaiting], key: Key, state: State, error: int, at: float, result: Committed
    ) -> str:
        """One receipt. `found` has what the tables know where memory knows nothing."""
        known = self._memory.awaiting.get(key)
        if known is None:
            known = found.get(key)
        if known is None:
            return "parked"
        if isinstance(known, bool):
            return "repeated"
        id, seq = (known.id, 1) if isinstance(known, Message) else known
        life = self._life(id)
        self._sheet.forget(key, id, seq)
        if life is None or state not in MOVES[life.states[seq - 1]]:
            return "repeated"
        to_send = life.to_send
        life.states[seq - 1] = state
        life.errors[seq - 1] = error
        self._judge(life, to_send, min(max(at, life.message.created), self._now), result)
        return "matched"

    # Wishes

    def cancel(self, wish: Cancel, result: Committed) -> list[Message] | Refused:
        """See :class:`~smsgw.model.changes.Cancel`."""
        self._sheet.flush()
        execute = self._sheet.execute
        rows = _MESSAGES.fetch(execute, (), [wish.id]) or execute(_BATCH, (wish.id,)).fetchall()
        rows = [row for row in rows if wish.account is None or row[1] == wish.account]
        if not rows:
            return Refused(Refusal.UNKNOWN_ID)
        self._load(rows)
        cancelled = []
        for row in rows:
            life = self._sheet.lives[row[0]]
            if life.state < State.ENROUTE and not life.claimed:
                self._end(life, range(len(life.states)), State.CANCELLED, 0, result)
                m = to_message(row)
                m.state, m.changed = State.CANCELLED, self._now
                cancelled.append(m)
        return cancelled or Refused(Refusal.ALREADY_FINAL)

    # What follows

    def _judge(self, life: Life, to_send: bool, at: float, result: Committed) -> None:
        """A part ended: perhaps the message did, at `at`. `to_send`: whether something had to be sent before."""
        verdict = whole(zip(life.states, life.errors, strict=True))
        if verdict is None:
            if to_send:
                self._handed_over(life, result)
            return
        state, life.error = verdict
        self._move(life, state)
        m = life.message
        life.claimed = False
        self._memory.claimed.discard(m.id)
        self._sheet.tell(result, m, EventKind.FINAL, state, life.error, at)

    def _handed_over(self, life: Life, result: Committed) -> None:
        """If nothing is left to be sent, the message is nobody's, and on its way."""
        if life.to_send:
            return
        m = life.message
        life.claimed = False
        self._memory.claimed.discard(m.id)
        self._sheet.tell(result, m, EventKind.ENROUTE, State.ENROUTE, 0, self._now)

    def _move(self, life: Life, state: State) -> None:
        self._sheet.delta[life.state] -= 1
        self._sheet.delta[state] += 1
        life.state = state
        life.changed = self._now

    # Lives

    def _life(self, id: int) -> Life | None:
        """The message as everything gathered so far leaves it; it will be written."""
        lives = self._sheet.lives
        life = lives.get(id)
        if life is None:
            life = self._memory.lives.get(id)
            if life is not None:
                lives[id] = life
            else:
                self._sheet.flush()
                self._load(_MESSAGES.fetch(self._sheet.execute, (), [id]))
                life = lives.get(id)
        return life

    def _load(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Have lives for these rows of messages."""
        lives = self._sheet.lives
        remembered = self._memory.lives
        several = []
        for row in rows:
            id = row[0]
            if id not in lives:
                life = remembered.get(id)
                if life is None:
                    m = to_message(row)
                    life = to_life(m, m.claimed, m.state)
                    if m.parts > 1:
                        several.append(id)
                        if m.state not in FINAL:
                            remembered.put(id, life)
                lives[id] = life
        for id, seq, state, error, remote_id in _PARTS.fetch(self._sheet.execute, (), several):
            life = lives[id]
            life.states[seq - 1] = STATES[state]
            life.errors[seq - 1] = error
            life.ids[seq - 1] = remote_id
        for id in several:
            lives[id].stored_queued = lives[id].queued

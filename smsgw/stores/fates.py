"""What becomes of messages whose way is not straight: several parts, retries, a second remote id, a restart in between.

Each is made a :class:`~smsgw.stores.life.Life`, from memory or from the tables; changes are decided on that, by
the rules of :mod:`smsgw.model.lifecycle`, and written with everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from smsgw.model.changes import Cancel, Committed, Ended, Reported, Requeued, Sent
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import FINAL, MOVES, State
from smsgw.model.message import EventKind, Message
from smsgw.stores.life import Life, to_life
from smsgw.stores.memory import Awaiting, Key
from smsgw.stores.rows import MESSAGE, MESSAGE_WIDTH, MOST, STATES, Lists, Rows, to_message
from smsgw.stores.sheet import EARLY, Sheet

_ENROUTE: Final = State.ENROUTE

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


def _plain(row: tuple[Any, ...]) -> bool:
    """Whether a row of :data:`_FIND_REMOTE` is about a message of one part, on its way under its only (last) id."""
    _, _, _, connector, state, _, _, _, _, parts, *_, remote_id, _, by_id, by_connector, _ = row
    return parts == 1 and state == _ENROUTE and (remote_id, connector) == (by_id, by_connector)


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
        sheet = self._sheet
        sheet.flush()
        for _, _, since, state, error, at in _FIND_PARKED.fetch(sheet.execute, list(key)):
            if since >= self._now - EARLY:
                sheet.unparked.append(key)
                if self._memory.parked is not None:
                    self._memory.parked.discard(key)
                self._reported(key, self._memory.awaiting.get(key), STATES[state], error, at, result)

    def sent(self, sent: Sent, result: Committed, early: set[Key]) -> None:
        """See :class:`~smsgw.model.changes.Sent`."""
        sheet = self._sheet
        awaiting = self._memory.awaiting
        key = (sent.remote_id, sent.message.connector)
        sheet.keys.append(key)
        life = self._life(sent.message.id)
        part = sent.seq - 1
        if life is None or life.states[part] in FINAL:
            awaiting.put(key, False)
            return
        id = life.message.id
        if life.ids[part]:
            before = (life.ids[part], life.connector)
            if isinstance(awaiting.get(before), Message):
                sheet.keys.append(before)
                awaiting.put(before, (id, sent.seq))
        unsent = life.unsent
        life.set_part(part, _ENROUTE, 0, sent.remote_id)
        life.sent = life.sent or self._now
        if life.state is not _ENROUTE:
            self._move(life, _ENROUTE)
        sheet.remotes[sent.message.connector, sent.seq] += (sent.remote_id, id, sent.due)
        awaiting.put(key, (id, sent.seq))
        if unsent and not life.unsent:
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
                parts = [part for part, state in enumerate(life.states) if state < _ENROUTE]
            self._end(life, parts, STATES[ended.state], ended.error, self._now, result)

    def requeued(self, requeued: Requeued) -> None:
        """See :class:`~smsgw.model.changes.Requeued`."""
        life = self._life(requeued.message.id)
        if life is None or not life.claimed:
            return
        life.claimed = False
        self._memory.claimed.discard(life.message.id)
        life.connector = requeued.connector
        life.due = requeued.due
        life.attempts += requeued.charged

    # Receipts

    def fetch_awaited(self, receipts: Iterable[Reported]) -> None:
        """Have memory know what the tables know of the ids of these receipts; of several messages that an upstream
        gave the same id, the newest."""
        sheet = self._sheet
        awaiting = self._memory.awaiting
        keys = {(reported.report.remote_id, reported.connector) for reported in receipts if reported.report.state}
        unknown = [key for key in keys if awaiting.get(key) is None]
        sheet.flush()
        rows = _FIND_REMOTE.fetch(sheet.execute, [value for key in unknown for value in key])
        others = [row for row in rows if not _plain(row)]
        lives = {row[0] for row in others}
        for row in rows:
            remote_id, connector, seq = row[MESSAGE_WIDTH:]
            awaiting.put((remote_id, connector), (row[0], seq) if row[0] in lives else to_message(row))
        sheet.keys += unknown
        self._load(others)

    def reported(self, receipts: Sequence[tuple[Committed, int, Reported]]) -> None:
        """Receipts of final states for messages that are not plain, or unknown; each with its place in a result."""
        for result, place, reported in receipts:
            report = reported.report
            key = (report.remote_id, reported.connector)
            known = self._memory.awaiting.get(key)
            state = report.state
            assert state is not None
            if known is None:
                result.receipts[place] = "parked"
                row = (*key, self._now, state + 0, report.error, report.at, bytearray(report.raw))
                self._sheet.parked.setdefault(key, row)
                self._memory.remember_parked(key)
            else:
                result.receipts[place] = self._reported(key, known, state, report.error, report.at, result)

    def _reported(
        self, key: Key, known: Awaiting | None, state: State, error: int, at: float, result: Committed
    ) -> str:
        """One receipt for a part that is known to be, or to have been, awaited."""
        if not known:
            return "repeated"
        id, seq = (known.id, 1) if isinstance(known, Message) else cast("tuple[int, int]", known)
        life = self._life(id)
        if life is None or state not in MOVES[life.states[seq - 1]]:
            self._sheet.forget(key, id, seq)
            return "repeated"
        self._end(life, (seq - 1,), state, error, min(max(at, life.message.created), self._now), result, key)
        return "matched"

    # Wishes

    def cancel(self, wish: Cancel, result: Committed) -> list[Message] | Refused:
        """See :class:`~smsgw.model.changes.Cancel`."""
        self._sheet.flush()
        execute = self._sheet.execute
        id = wish.id if 0 < wish.id <= MOST else 0
        rows = _MESSAGES.fetch(execute, (), [id]) or execute(_BATCH, (id,)).fetchall()
        rows = [row for row in rows if wish.account is None or row[1] == wish.account]
        if not rows:
            return Refused(Refusal.UNKNOWN_ID)
        self._load(rows)
        cancelled = []
        for row in rows:
            life = self._sheet.lives[row[0]]
            if life.state < _ENROUTE and not life.claimed:
                self._end(life, range(len(life.states)), State.CANCELLED, 0, self._now, result)
                m = to_message(row)
                m.state, m.changed = State.CANCELLED, self._now
                cancelled.append(m)
        return cancelled or Refused(Refusal.ALREADY_FINAL)

    # What follows

    def _end(
        self,
        life: Life,
        parts: Sequence[int],
        state: State,
        error: int,
        at: float,
        result: Committed,
        key: Key | None = None,
    ) -> None:
        """These parts end, as far as they may; perhaps the message does, at `at`. `key`: by the receipt under it."""
        m = life.message
        unsent = life.unsent
        for part in parts:
            if state in MOVES[life.states[part]]:
                remote_id = life.ids[part]
                if key is not None or remote_id:
                    self._sheet.forget(key or (remote_id, life.connector), m.id, part + 1)
                life.set_part(part, state, error, remote_id)
        verdict = life.verdict()
        if verdict is None:
            if unsent and not life.unsent:
                self._handed_over(life, result)
            return
        final, life.error = verdict
        self._move(life, final)
        life.claimed = False
        self._memory.claimed.discard(m.id)
        self._sheet.tell(result, m, EventKind.FINAL, final, life.error, at)

    def _handed_over(self, life: Life, result: Committed) -> None:
        """Nothing is left to be sent: the message is nobody's, and on its way."""
        life.claimed = False
        self._memory.claimed.discard(life.message.id)
        self._sheet.tell(result, life.message, EventKind.ENROUTE, _ENROUTE, 0, self._now)

    def _move(self, life: Life, state: State) -> None:
        self._sheet.delta[life.state] -= 1
        self._sheet.delta[state] += 1
        life.promote()
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
                            remembered.put(id, life, m.parts)
                lives[id] = life
        for id, seq, state, error, remote_id in _PARTS.fetch(self._sheet.execute, (), several):
            lives[id].set_part(seq - 1, STATES[state], error, remote_id)
        for id in several:
            lives[id].touched.clear()
            lives[id].stored_queued = lives[id].queued

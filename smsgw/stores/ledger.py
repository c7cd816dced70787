"""Carries out :class:`~smsgw.model.changes.Changes` inside an open transaction of SQLite.

Most messages have one part and go a straight way: accepted claimed, sent, reported. For those a set of claimed
ids and the memory of remote ids answer every question, rows are gathered and written by a few statements.
Whatever else can happen (several parts, retries, a second remote id, a restart in between) is decided on a
:class:`~smsgw.stores.memory.Life`, read from the tables when it is not at hand.

Every statement that moves a message is guarded, and the rows it moved are counted: if memory and table ever
disagree, :class:`Stale` undoes everything and the calls are carried out again from the tables alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from smsgw.model.changes import Cancel, Changes, Committed, Ended, Reported, Requeued, Sent
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import FINAL, MOVES, State, wants, whole
from smsgw.model.message import Event, EventKind, Message
from smsgw.stores.memory import Awaiting, Key, Life, Memory
from smsgw.stores.rows import MESSAGE, MESSAGE_WIDTH, STATES, Lists, Rows, to_message

EARLY: Final = 3600.0
"""Seconds a parked receipt waits for the upstream's acceptance to be committed. Older ones are not matched any
more: upstreams use their ids again."""

TELLS: Final = tuple(tuple(wants(notify, state) for state in State) for notify in range(8))
"""By notify bits and state: whether the sender is told."""

_FLOOR_STEP: Final = 10_000

_INSERT_MESSAGE = Rows("INSERT INTO message VALUES ", "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")
_INSERT_QUEUE = Rows("INSERT OR REPLACE INTO queue VALUES ", "(?,?,?,?,?,?)")
_DELETE_QUEUE = Rows("DELETE FROM queue WHERE (connector, account, rank, message) IN (VALUES ", "(?,?,?,?)", ")")
_QUEUED_OF = Lists(
    "SELECT m.id, m.connector, m.account, m.priority, m.state FROM message m CROSS JOIN queue q"
    " ON q.connector = m.connector AND q.account = m.account AND q.rank = -m.priority AND q.message = m.id"
    " WHERE m.id IN ({marks}) AND m.owner = ''"
)
_CLAIM = Lists("UPDATE message SET owner = ?, state = max(state, 1) WHERE id IN ({marks}) AND owner = '' AND state < 3")
_ENROUTE = Rows(
    "UPDATE message SET state = 2, owner = '', changed = v.column2, sent = v.column2, remote_id = v.column3"
    " FROM (VALUES ",
    "(?,?,?)",
    ") AS v WHERE message.id = v.column1 AND state = 1",
)
_FINAL = Lists("UPDATE message SET state = ?, error = ?, changed = ? WHERE id IN ({marks}) AND state = 2")
_LIFE = Rows(
    "UPDATE message SET connector = v.column2, state = v.column3, owner = v.column4, attempts = v.column5,"
    " changed = v.column6, due = v.column7, error = v.column8, sent = v.column9, remote_id = v.column10"
    " FROM (VALUES ",
    "(?,?,?,?,?,?,?,?,?,?)",
    ") AS v WHERE message.id = v.column1",
)
_SET_PART = Rows("INSERT OR REPLACE INTO part VALUES ", "(?,?,?,?,?)")
_INSERT_REMOTE = Rows("INSERT OR REPLACE INTO remote VALUES ", "(?,?,?,?,?)")
_DELETE_PLAIN_REMOTE = Lists("DELETE FROM remote WHERE connector = ? AND remote_id IN ({marks}) AND +message IN ({marks})")
_DELETE_REMOTE = Rows("DELETE FROM remote WHERE (remote_id, connector, message, seq) IN (VALUES ", "(?,?,?,?)", ")")
_FIND_REMOTE = Rows(
    f"SELECT {MESSAGE}, r.remote_id, r.connector, r.seq FROM remote r CROSS JOIN message m ON m.id = r.message"
    " WHERE (r.remote_id, r.connector) IN (VALUES ",
    "(?,?)",
    ") ORDER BY r.message",
)
_PARK = Rows("INSERT OR REPLACE INTO parked VALUES ", "(?,?,?,?,?,?,?)")
_FIND_PARKED = Rows(
    "SELECT remote_id, connector, since, state, error, at FROM parked WHERE (remote_id, connector) IN (VALUES ",
    "(?,?)",
    ")",
)
_DELETE_PARKED = Rows("DELETE FROM parked WHERE (remote_id, connector) IN (VALUES ", "(?,?)", ")")
_INSERT_EVENT = Rows("INSERT OR IGNORE INTO event (account, path, message, kind, state, error, at) VALUES ", "(?,?,?,?,?,?,?)")
_DELETE_EVENTS = Lists("DELETE FROM event WHERE account = ? AND path = ? AND kind = ? AND message IN ({marks})")
_LATER = Rows(
    "UPDATE event SET attempts = attempts + 1, due = v.column5 FROM (VALUES ",
    "(?,?,?,?,?)",
    ") AS v WHERE event.account = v.column1 AND event.path = v.column2 AND event.message = v.column3"
    " AND event.kind = v.column4",
)
_MESSAGES = Lists(f"SELECT {MESSAGE} FROM message m WHERE m.id IN ({{marks}})")
_BATCH = f"SELECT {MESSAGE} FROM message m WHERE m.batch = ? AND m.batch > 0 ORDER BY m.id"
_PARTS = Lists("SELECT message, seq, state, error, remote_id FROM part WHERE message IN ({marks}) ORDER BY message, seq")
_TALLY = Rows(
    "INSERT INTO tally VALUES ", "(?,?)", " ON CONFLICT (state) DO UPDATE SET messages = messages + excluded.messages"
)

_OUT_OF_ORDER = (Ended, Requeued)


class Stale(Exception):
    """Memory and tables disagreed; nothing of the transaction may be kept."""


def runs(calls: Sequence[Changes]) -> list[tuple[int, int]]:
    """Slices of `calls` within which kinds may be carried out one after the other for all calls together.

    The result must be as if the calls came one by one. That differs only where a later call's earlier kind
    meets an earlier call's later kind over the same message.
    """
    slices = []
    start = 0
    cancels = receipts = decided = False
    for number, call in enumerate(calls):
        decides = any(type(outcome) in _OUT_OF_ORDER for outcome in call.outcomes)
        if (
            (cancels and (call.accepts or call.claims or call.outcomes or call.receipts))
            or (decided and call.claims)
            or (receipts and decides)
        ):
            slices.append((start, number))
            start = number
            cancels = receipts = decided = False
        cancels = cancels or bool(call.cancels)
        receipts = receipts or bool(call.receipts)
        decided = decided or decides
    slices.append((start, len(calls)))
    return slices


class Ledger:
    """Writes what one transaction changes. `memory` runs ahead of the commit: if that fails, it must recall.

    :ivar keys: the remote ids of which `memory` was told something new.
    :ivar delta: by how much the number of messages per state changed; for the commit to add to the memory's tally.
    :ivar late: (due, connector, account, id) of messages queued for a later time.
    """

    def __init__(self, connection: sqlite3.Connection, memory: Memory, keys: list[Key]) -> None:
        self._execute = connection.execute
        self._memory = memory
        self.keys = keys
        self.delta = [0] * len(State)
        self.late: list[tuple[float, str, str, int]] = []
        self._top = 0
        # What is gathered until the next flush: parameters of statements, and lives touched. Emptied in place,
        # because loops hold on to them.
        self._messages: list[Any] = []
        self._queue: list[Any] = []
        self._unqueue: list[Any] = []
        self._enroute: list[Any] = []
        self._remotes: list[Any] = []
        self._lives: dict[int, Life] = {}
        self._finals: dict[tuple[State, int], list[int]] = {}
        self._plain_gone: dict[str, tuple[list[str], list[int]]] = {}
        self._gone: list[Any] = []
        self._events: list[Any] = []
        self._park: dict[Key, list[Any]] = {}
        self._unpark: list[Any] = []

    # The order of work

    def carry_out(self, calls: Sequence[Changes], now: float) -> list[Committed]:
        """Write all changes of `calls`, in order. `now` is the time of everything that has none of its own."""
        self._now = now
        results = [Committed([], [], [], []) for _ in calls]
        for start, end in runs(calls) if len(calls) > 1 else ((0, 1),):
            self._carry_out(calls[start:end], results[start:end])
        self._finish()
        return results

    def _carry_out(self, calls: Sequence[Changes], results: Sequence[Committed]) -> None:
        self._accept(calls, results)
        for call, result in zip(calls, results, strict=True):
            if call.claims:
                result.claims = self._claim(call.claims)
        self._settle(calls, results)
        self._report(calls, results)
        for call, result in zip(calls, results, strict=True):
            if call.cancels:
                self._flush()
                result.cancels = [self._cancel(wish, result) for wish in call.cancels]
        self._flush()
        self._acknowledge(calls)

    def _finish(self) -> None:
        """What is kept once per transaction."""
        memory = self._memory
        delta = self.delta
        _TALLY.run(self._execute, [value for pair in enumerate(delta) if pair[1] for value in pair])
        if self._top > memory.looked + _FLOOR_STEP:
            memory.looked = self._top
            lowest = min(memory.claimed, default=self._top + 1)
            if lowest > memory.floor + _FLOOR_STEP:
                self._set_floor(lowest)
        memory.awaiting.trim()
        memory.lives.trim()

    def _set_floor(self, floor: int) -> None:
        self._memory.floor = floor
        self._execute("UPDATE node SET floor = ? WHERE name = ?", (floor, self._memory.node))

    # Accepting

    def _accept(self, calls: Sequence[Changes], results: Sequence[Committed]) -> None:
        node = self._memory.node
        insert = self._messages.extend
        delta = self.delta
        claimed = []
        top = 0
        for call, result in zip(calls, results, strict=True):
            for m in call.accepts:
                state = m.state
                id = m.id
                owner = ""
                if m.claimed:
                    owner = node
                    claimed.append(id)
                    if state is not State.QUEUED:
                        state = State.QUEUED
                elif state < State.ENROUTE:
                    self._queue.extend((m.connector, m.account, -m.priority, id, m.due, m.expires))
                    if m.due:
                        self.late.append((m.due, m.connector, m.account, id))
                elif m.path and state in FINAL and TELLS[m.notify][state]:
                    self._tell(result, m, EventKind.FINAL, state, m.error, m.changed)
                delta[state] += 1
                if id > top:
                    top = id
                insert(
                    (
                        id,
                        m.account,
                        m.path,
                        m.connector,
                        state + 0,
                        m.priority,
                        owner,
                        m.attempts,
                        m.notify + 0,
                        m.parts,
                        m.expires,
                        m.created,
                        m.changed,
                        m.due,
                        m.error,
                        m.dst,
                        m.batch,
                        m.sent,
                        m.remote_id,
                        bytearray(m.content.pack()),
                    )
                )
                if m.parts > 1 and owner:
                    self._memory.lives.put(id, _life(m, owner != "", state))
        if claimed:
            self._memory.claimed.update(claimed)
            lowest = min(claimed)
            if lowest < self._memory.floor:
                self._set_floor(lowest)
        self._top = max(self._top, top)

    # Claiming

    def _claim(self, messages: Sequence[Message]) -> list[bool]:
        self._flush()
        memory = self._memory
        waiting = {row[0]: row for row in _QUEUED_OF.fetch(self._execute, (), [m.id for m in messages])}
        verdicts = []
        taken: list[int] = []
        for m in messages:
            row = waiting.pop(m.id, None)
            verdicts.append(row is not None)
            if row is not None:
                id, connector, account, priority, state = row
                taken.append(id)
                self._unqueue += (connector, account, -priority, id)
                if state == State.SCHEDULED:
                    self.delta[State.SCHEDULED] -= 1
                    self.delta[State.QUEUED] += 1
                if m.parts > 1 and (life := memory.lives.get(id)) is not None:
                    life.claimed = True
                    life.stored_queued = False
                    life.state = max(life.state, State.QUEUED)
                    life.states = [max(part, State.QUEUED) for part in life.states]
        if taken:
            if _DELETE_QUEUE.run(self._execute, self._unqueue) != len(taken):
                raise Stale("queue")
            self._unqueue.clear()
            if _CLAIM.run(self._execute, (memory.node,), taken) != len(taken):
                raise Stale("claim")
            memory.claimed.update(taken)
            lowest = min(taken)
            if lowest < memory.floor:
                self._set_floor(lowest)
        return verdicts

    # Outcomes

    def _settle(self, calls: Sequence[Changes], results: Sequence[Committed]) -> None:
        memory = self._memory
        claimed = memory.claimed
        awaiting = memory.awaiting.young
        parked = memory.parked
        early = self._early(calls) if parked is None else parked
        enroute = self._enroute.extend
        remotes = self._remotes.extend
        keys = self.keys.append
        now = self._now
        moved = 0
        for call, result in zip(calls, results, strict=True):
            for outcome in call.outcomes:
                if type(outcome) is Sent:
                    m = outcome.message
                    id = m.id
                    if m.parts == 1 and id in claimed:
                        claimed.discard(id)
                        remote_id = outcome.remote_id
                        enroute((id, now, remote_id))
                        remotes((remote_id, m.connector, id, 1, outcome.due))
                        key = (remote_id, m.connector)
                        keys(key)
                        awaiting[key] = m
                        moved += 1
                        if m.path and TELLS[m.notify][State.ENROUTE]:
                            self._tell(result, m, EventKind.ENROUTE, State.ENROUTE, 0, now)
                        if early and key in early:
                            self._match_parked(key, result)
                    else:
                        self._sent(outcome, result, early)
                elif type(outcome) is Ended:
                    self._ended(outcome, result)
                else:
                    self._requeued(outcome)
        self.delta[State.QUEUED] -= moved
        self.delta[State.ENROUTE] += moved

    def _early(self, calls: Sequence[Changes]) -> set[Key]:
        """Which of the ids in the outcomes have a parked receipt, by the table."""
        keys = [
            value
            for call in calls
            for outcome in call.outcomes
            if type(outcome) is Sent
            for value in (outcome.remote_id, outcome.message.connector)
        ]
        return {(row[0], row[1]) for row in _FIND_PARKED.fetch(self._execute, keys)}

    def _match_parked(self, key: Key, result: Committed) -> None:
        """The receipt was here before the acceptance: it counts from now on, if it is not old."""
        self._flush()
        for remote_id, connector, since, state, error, at in _FIND_PARKED.fetch(self._execute, list(key)):
            if since >= self._now - EARLY:
                self._unpark += (remote_id, connector)
                if self._memory.parked is not None:
                    self._memory.parked.discard(key)
                self._reported({}, key, STATES[state], error, at, result)

    def _sent(self, sent: Sent, result: Committed, early: set[Key]) -> None:
        memory = self._memory
        key = (sent.remote_id, sent.message.connector)
        self.keys.append(key)
        life = self._life(sent.message.id)
        part = sent.seq - 1
        if life is None or life.states[part] in FINAL:
            memory.awaiting.put(key, False)
            return
        before = (life.ids[part], life.connector)
        if before[0] and type(memory.awaiting.get(before)) is Message:
            self.keys.append(before)
            memory.awaiting.put(before, (life.message.id, 1))
        to_send = life.to_send
        life.states[part] = State.ENROUTE
        life.ids[part] = sent.remote_id
        life.sent = life.sent or self._now
        if life.state is not State.ENROUTE:
            self._move(life, State.ENROUTE)
        self._remotes += (sent.remote_id, sent.message.connector, life.message.id, sent.seq, sent.due)
        memory.awaiting.put(key, (life.message.id, sent.seq))
        if to_send:
            self._handed_over(life, result)
        if key in early:
            self._match_parked(key, result)

    def _ended(self, ended: Ended, result: Committed) -> None:
        life = self._life(ended.message.id)
        if life is None or life.state in FINAL:
            return
        to_send = life.to_send
        state = STATES[ended.state]
        for part in range(len(life.states)) if ended.seq == 0 else (ended.seq - 1,):
            if state in MOVES[life.states[part]]:
                if life.ids[part]:
                    self._forget(life.ids[part], life.connector, life.message.id, part + 1)
                life.states[part] = state
                life.errors[part] = ended.error
        self._judge(life, self._now, result)
        if to_send and life.state not in FINAL:
            self._handed_over(life, result)

    def _requeued(self, requeued: Requeued) -> None:
        life = self._life(requeued.message.id)
        if life is None or not life.claimed or life.state in FINAL or not life.to_send:
            return
        life.claimed = False
        self._memory.claimed.discard(life.message.id)
        life.connector = life.message.connector = requeued.message.connector = requeued.connector
        life.due = requeued.due
        life.attempts += requeued.charged
        if requeued.due:
            self.late.append((requeued.due, life.connector, life.message.account, life.message.id))

    # Receipts

    def _report(self, calls: Sequence[Changes], results: Sequence[Committed]) -> None:
        memory = self._memory
        young = memory.awaiting.young
        old = memory.awaiting.old
        keys = self.keys.append
        finals = self._finals
        plain_gone = self._plain_gone
        insert = self._events.extend
        now = self._now
        unknown: list[tuple[Committed, int, Reported]] = []
        for call, result in zip(calls, results, strict=True):
            words = result.receipts
            events = result.events
            for reported in call.receipts:
                report = reported.report
                state = report.state
                if state is None or state not in FINAL:
                    words.append("ignored")
                    continue
                connector = reported.connector
                key = (report.remote_id, connector)
                m: Awaiting | None = young.get(key)
                if m is None:
                    m = old.get(key)
                if type(m) is Message:
                    words.append("matched")
                    keys(key)
                    young[key] = False
                    id = m.id
                    error = report.error
                    try:
                        finals[state, error].append(id)
                    except KeyError:
                        finals[state, error] = [id]
                    try:
                        gone = plain_gone[connector]
                    except KeyError:
                        gone = plain_gone[connector] = ([], [])
                    gone[0].append(report.remote_id)
                    gone[1].append(id)
                    if m.path and TELLS[m.notify][state]:
                        at = report.at
                        if at > now:
                            at = now
                        elif at < m.created:
                            at = m.created
                        events.append(Event(m, EventKind.FINAL, state, error, at))
                        insert((m.account, m.path, id, 2, state + 0, error, at))
                elif m is False:
                    words.append("repeated")
                else:
                    unknown.append((result, len(words), reported))
                    words.append("parked")
        if unknown:
            self._report_unknown(unknown)

    def _report_unknown(self, unknown: list[tuple[Committed, int, Reported]]) -> None:
        """Receipts the memory of plain messages does not answer."""
        self._flush()
        awaiting = self._memory.awaiting
        ask = [
            value
            for _, _, reported in unknown
            if awaiting.get((reported.report.remote_id, reported.connector)) is None
            for value in (reported.report.remote_id, reported.connector)
        ]
        found: dict[Key, Awaiting] = {}
        rows = {}
        for row in _FIND_REMOTE.fetch(self._execute, ask):
            remote_id, connector, seq = row[MESSAGE_WIDTH:]
            found[remote_id, connector] = (row[0], seq)
            rows[row[0]] = row
        if rows:
            self._load(list(rows.values()))
        for result, place, reported in unknown:
            report = reported.report
            key = (report.remote_id, reported.connector)
            state = report.state
            assert state is not None
            word = self._reported(found, key, state, report.error, report.at, result)
            if word == "parked":
                self._park[key] = [*key, self._now, state + 0, report.error, report.at, bytearray(report.raw)]
                self._memory.remember_parked(key)
            result.receipts[place] = word

    def _reported(
        self, found: dict[Key, Awaiting], key: Key, state: State, error: int, at: float, result: Committed
    ) -> str:
        """One receipt, in general. `found` has what the tables know where memory knows nothing."""
        memory = self._memory
        known = memory.awaiting.get(key)
        if known is None:
            known = found.get(key)
        if known is None:
            return "parked"
        if known is False:
            return "repeated"
        id, seq = (known.id, 1) if isinstance(known, Message) else known  # type: ignore[misc]
        life = self._life(id)
        self.keys.append(key)
        self._forget(*key, id, seq)
        if life is None or state not in MOVES[life.states[seq - 1]]:
            return "repeated"
        to_send = life.to_send
        life.states[seq - 1] = state
        life.errors[seq - 1] = error
        self._judge(life, min(max(at, life.message.created), self._now), result)
        if to_send and life.state not in FINAL:
            self._handed_over(life, result)
        return "matched"

    # What became of a message

    def _judge(self, life: Life, at: float, result: Committed) -> None:
        """End the message if its parts say so, and tell."""
        verdict = whole(zip(life.states, life.errors, strict=True))
        if verdict is None:
            return
        state, life.error = verdict
        self._move(life, state)
        self._memory.claimed.discard(life.message.id)
        life.claimed = False
        m = life.message
        if m.path and TELLS[m.notify][state]:
            self._tell(result, m, EventKind.FINAL, state, life.error, at)

    def _handed_over(self, life: Life, result: Committed) -> None:
        """If nothing is left to be sent, the message is nobody's, and on its way."""
        if life.to_send:
            return
        life.claimed = False
        m = life.message
        self._memory.claimed.discard(m.id)
        if m.path and State.ENROUTE in life.states and TELLS[m.notify][State.ENROUTE]:
            self._tell(result, m, EventKind.ENROUTE, State.ENROUTE, 0, self._now)

    def _move(self, life: Life, state: State) -> None:
        self.delta[life.state] -= 1
        self.delta[state] += 1
        life.state = state
        life.changed = self._now

    def _forget(self, remote_id: str, connector: str, id: int, seq: int) -> None:
        """No receipt is awaited under this id any more; one that comes is a repetition."""
        key = (remote_id, connector)
        self.keys.append(key)
        self._memory.awaiting.put(key, False)
        self._gone += (remote_id, connector, id, seq)

    def _tell(
        self, result: Committed, message: Message, kind: EventKind, state: State, error: int, at: float
    ) -> None:
        result.events.append(Event(message, kind, state, error, at))
        self._events += (message.account, message.path, message.id, kind + 0, state + 0, error, at)

    # Lives

    def _life(self, id: int) -> Life | None:
        """The message in general, as everything gathered so far leaves it; it will be written."""
        life = self._lives.get(id)
        if life is None:
            life = self._memory.lives.get(id)
            if life is None:
                self._flush()
                self._load(_MESSAGES.fetch(self._execute, (), [id]))
                return self._lives.get(id)
            self._lives[id] = life
        return life

    def _load(self, rows: list[tuple[Any, ...]]) -> None:
        """Make lives of rows of messages, where there are none yet."""
        several = []
        for row in rows:
            id = row[0]
            if id in self._lives:
                continue
            known = self._memory.lives.get(id)
            if known is None:
                m = to_message(row)
                known = _life(m, m.claimed, m.state)
                if m.parts > 1:
                    several.append(id)
                    if m.state not in FINAL:
                        self._memory.lives.put(id, known)
            self._lives[id] = known
        for id, seq, state, error, remote_id in _PARTS.fetch(self._execute, (), several):
            life = self._lives[id]
            life.states[seq - 1] = STATES[state]
            life.errors[seq - 1] = error
            life.ids[seq - 1] = remote_id
        for id in several:
            life = self._lives[id]
            life.stored_queued = life.queued

    def _write_lives(self) -> None:
        node = self._memory.node
        rows: list[Any] = []
        parts: list[Any] = []
        for id, life in self._lives.items():
            m = life.message
            rows += (
                id,
                life.connector,
                life.state + 0,
                node if life.claimed else "",
                life.attempts,
                life.changed,
                life.due,
                life.error,
                life.sent,
                life.ids[0],
            )
            if m.parts > 1:
                for seq, state in enumerate(life.states, 1):
                    if state >= State.ENROUTE:
                        parts += (id, seq, state + 0, life.errors[seq - 1], life.ids[seq - 1])
                if life.state in FINAL:
                    self._memory.lives.drop(id)
            queued = life.queued
            if queued != life.stored_queued:
                life.stored_queued = queued
                if queued:
                    self._queue += (life.connector, m.account, -m.priority, id, life.due, m.expires)
                else:
                    self._unqueue += (life.connector, m.account, -m.priority, id)
        if _LIFE.run(self._execute, rows) * 10 != len(rows):
            raise Stale("message")
        _SET_PART.run(self._execute, parts)

    # Wishes and acknowledgements

    def _cancel(self, wish: Cancel, result: Committed) -> list[Message] | Refused:
        rows = _MESSAGES.fetch(self._execute, (), [wish.id]) or self._execute(_BATCH, (wish.id,)).fetchall()
        rows = [row for row in rows if wish.account is None or row[1] == wish.account]
        if not rows:
            return Refused(Refusal.UNKNOWN_ID)
        self._load(rows)
        cancelled = []
        for row in rows:
            life = self._lives[row[0]]
            if life.state < State.ENROUTE and not life.claimed:
                self._ended(Ended(life.message, 0, State.CANCELLED, 0), result)
                m = to_message(row)
                m.state, m.changed, m.error = State.CANCELLED, self._now, 0
                cancelled.append(m)
        self._flush()
        return cancelled or Refused(Refusal.ALREADY_FINAL)

    def _acknowledge(self, calls: Sequence[Changes]) -> None:
        told: dict[tuple[str, str, int], list[int]] = {}
        later: list[Any] = []
        for call in calls:
            for event in call.told:
                m = event.message
                where = (m.account, m.path, event.kind + 0)
                try:
                    told[where].append(m.id)
                except KeyError:
                    told[where] = [m.id]
            for wish in call.later:
                m = wish.event.message
                later += (m.account, m.path, m.id, wish.event.kind + 0, wish.due)
        for where, ids in told.items():
            _DELETE_EVENTS.run(self._execute, where, ids)
        _LATER.run(self._execute, later)

    # Writing

    def _flush(self) -> None:
        """Write what was gathered, so that the tables can be asked."""
        execute = self._execute
        if self._messages:
            _INSERT_MESSAGE.run(execute, self._messages)
        if self._enroute and _ENROUTE.run(execute, self._enroute) * 3 != len(self._enroute):
            raise Stale("enroute")
        if self._lives:
            self._write_lives()
        if self._queue:
            _INSERT_QUEUE.run(execute, self._queue)
        if self._unqueue:
            _DELETE_QUEUE.run(execute, self._unqueue)
        if self._remotes:
            _INSERT_REMOTE.run(execute, self._remotes)
        for (state, error), ids in self._finals.items():
            if _FINAL.run(execute, (state + 0, error, self._now), ids) != len(ids):
                raise Stale("final")
            self.delta[State.ENROUTE] -= len(ids)
            self.delta[state] += len(ids)
        for connector, (remote_ids, messages) in self._plain_gone.items():
            _DELETE_PLAIN_REMOTE.run(execute, (connector,), remote_ids, messages)
        if self._gone:
            _DELETE_REMOTE.run(execute, self._gone)
        if self._events:
            _INSERT_EVENT.run(execute, self._events)
        if self._unpark:
            _DELETE_PARKED.run(execute, self._unpark)
        if self._park:
            _PARK.run(execute, [value for row in self._park.values() for value in row])
        for gathered in (
            self._messages,
            self._queue,
            self._unqueue,
            self._enroute,
            self._remotes,
            self._lives,
            self._finals,
            self._plain_gone,
            self._gone,
            self._events,
            self._park,
            self._unpark,
        ):
            gathered.clear()


def _life(m: Message, claimed: bool, state: State) -> Life:
    """A message as it is stored, its parts as if no row of theirs existed."""
    each = state if m.parts == 1 else min(state, State.QUEUED)
    life = Life(
        m,
        m.connector,
        state,
        claimed,
        m.attempts,
        m.changed,
        m.due,
        m.error,
        m.sent,
        [each] * m.parts,
        [m.error if m.parts == 1 else 0] * m.parts,
        [m.remote_id if m.parts == 1 else ""] * m.parts,
    )
    life.stored_queued = life.queued
    return life

"""Carries out :class:`~smsgw.model.changes.Changes` inside an open transaction of SQLite.

Most messages have one part and go a straight way: accepted claimed, sent, reported. For these *plain* ones a set of
claimed ids and a memory of remote ids answer every question, so that nothing is read; that is what is done here.
Everything else is for :mod:`smsgw.stores.fates`.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from smsgw.model.changes import Changes, Committed, Ended, Reported, Requeued, Sent
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import Event, EventKind, Message
from smsgw.stores import keys, subscribers
from smsgw.stores.fates import Fates
from smsgw.stores.life import to_life
from smsgw.stores.memory import Awaiting, Key, Memory
from smsgw.stores.rows import DELETE_EVENTS, Lists, Rows
from smsgw.stores.sheet import TELLS, Sheet, Stale

# Looking a member up in its class takes longer than all the rest of a comparison.
_QUEUED: Final = State.QUEUED
_ENROUTE: Final = State.ENROUTE
_DELIVERED: Final = State.DELIVERED
_TOLD_ENROUTE: Final = EventKind.ENROUTE
_TOLD_FINAL: Final = EventKind.FINAL

FLOOR_STEP: Final = 10_000
"""So many ids a restart may have to look through for claimed messages."""

_QUEUED_OF: Final = Lists(
    "SELECT m.id, m.state FROM message m CROSS JOIN queue q"
    " ON q.connector = m.connector AND q.account = m.account AND q.rank = -m.priority AND q.message = m.id"
    " WHERE m.id IN ({marks}) AND m.owner = ''"
)
_LIST_CLAIM: Final = Rows("INSERT OR IGNORE INTO claim VALUES ", "(?)")
_LATER_OF: Final = Lists(
    "SELECT m.id, m.state FROM message m CROSS JOIN later l ON l.due = m.due AND l.message = m.id"
    " WHERE m.id IN ({marks}) AND m.owner = ''"
)
_CLAIM: Final = Lists(
    "UPDATE message SET owner = ?, state = max(state, 1) WHERE id IN ({marks}) AND owner = '' AND state < 3"
)
_LATER: Final = Rows(
    "UPDATE event SET attempts = attempts + 1, due = v.column5 FROM (VALUES ",
    "(?,?,?,?,?)",
    ") AS v WHERE event.account = v.column1 AND event.path = v.column2 AND event.message = v.column3"
    " AND event.kind = v.column4",
)


def slices(calls: Sequence[Changes]) -> list[tuple[int, int]]:
    """Slices of `calls` within which each kind may be carried out for all calls before the next kind.

    The result has to be as if the calls came one by one. It would not be where a later call's earlier kind meets an
    earlier call's later kind over the same message; there a new slice begins.
    """
    found = []
    start = 0
    cancels = receipts = False
    for number, call in enumerate(calls):
        if (
            (cancels and (call.accepts or call.claims or call.outcomes or call.receipts))
            or (receipts and any(type(outcome) is not Sent for outcome in call.outcomes))
            or (call.claims and _meet(call, calls[start:number]))
        ):
            found.append((start, number))
            start = number
            cancels = receipts = False
        cancels = cancels or bool(call.cancels)
        receipts = receipts or bool(call.receipts)
    found.append((start, len(calls)))
    return found


def _meet(call: Changes, before: Sequence[Changes]) -> bool:
    """Whether a claim of `call` is for a message of which an outcome is told `before`."""
    ids = {m.id for m in call.claims}
    return any(outcome.message.id in ids for earlier in before for outcome in earlier.outcomes)


class Ledger:
    """Writes what one transaction changes. `memory` runs ahead of the commit: if that fails, it must recall.

    :param now: the time of everything that has none of its own.
    :param keys: is filled with the remote ids of which `memory` was told something new.
    """

    def __init__(self, connection: sqlite3.Connection, memory: Memory, now: float, keys: list[Key]) -> None:
        self.sheet = Sheet(connection, memory, now, keys)
        self._fates = Fates(self.sheet)
        self._execute = connection.execute
        self._memory = memory
        self._now = now
        self._top = 0

    def carry_out(self, calls: Sequence[Changes]) -> list[Committed]:
        """Write all changes of `calls`, as if one call came after the other; one result for each.

        :raises Stale: see :mod:`smsgw.stores.sheet`.
        """
        results = [Committed([], [], [], []) for _ in calls]
        if len(calls) == 1:
            self._carry_out(calls, results)
        else:
            for start, end in slices(calls):
                self._carry_out(calls[start:end], results[start:end])
        self.sheet.write_tally()
        self._raise_floor()
        self._memory.awaiting.trim()
        self._memory.lives.trim()
        return results

    def _carry_out(self, calls: Sequence[Changes], results: Sequence[Committed]) -> None:
        pairs = list(zip(calls, results, strict=True))
        for call, result in pairs:
            if call.keys:
                keys.use(self.sheet, call, result)
        self._accept(pairs)
        for call, result in pairs:
            if call.claims:
                result.claims = self._claim(call.claims)
        self._settle(pairs)
        self._report(pairs)
        for call, result in pairs:
            if call.cancels:
                result.cancels = [self._fates.cancel(wish, result) for wish in call.cancels]
            if call.incoming or call.confirmations:
                subscribers.take_in(self.sheet, call, result)
                self._top = max([self._top, *(one.id for one in call.incoming)])
        self.sheet.flush()
        self._acknowledge(calls)

    # Accepting

    def _accept(self, pairs: Sequence[tuple[Changes, Committed]]) -> None:
        sheet = self.sheet
        node = self._memory.node
        groups = sheet.messages
        common: tuple[Any, ...] = ()
        own: list[Any] = []
        claimed: list[int] = []
        top = self._top
        plain = 0
        for call, result in pairs:
            for m in keys.fresh(call, result) if call.keys else call.accepts:
                id = m.id
                if id > top:
                    top = id
                state = m.state
                if m.claimed:
                    owner = node
                    claimed.append(id)
                    plain += 1
                    state = _QUEUED
                    if m.parts > 1:
                        self._memory.lives.put(id, to_life(m, True, state), m.parts)
                else:
                    owner = ""
                    sheet.delta[state] += 1
                    if state < _ENROUTE:
                        sheet.enqueue(m, m.connector, m.due)
                    elif state in FINAL:
                        sheet.tell(result, m, _TOLD_FINAL, state, m.error, m.changed)
                alike = (
                    m.account,
                    m.path,
                    m.connector,
                    state + 0,
                    m.priority,
                    owner,
                    m.attempts,
                    m.notify + 0,
                    m.parts,
                    m.due,
                    m.error,
                    m.batch,
                    m.sent,
                    m.remote_id,
                )
                if alike != common:
                    common = alike
                    own = groups[alike]
                own += (id, m.expires, m.created, m.changed, m.dst, m.content.pack())
        self._top = top
        sheet.delta[_QUEUED] += plain
        if claimed:
            self._own(claimed)

    def _own(self, ids: list[int]) -> None:
        """These are claimed now."""
        memory = self._memory
        memory.claimed.update(ids)
        if min(ids) < memory.floor:
            below = [id for id in ids if id < memory.floor]
            _LIST_CLAIM.run(self._execute, below)
            memory.listed += len(below)

    def _raise_floor(self) -> None:
        """Keep short what a restart has to look through."""
        memory = self._memory
        if self._top >= memory.floor + FLOOR_STEP or memory.listed > FLOOR_STEP + len(memory.claimed):
            memory.floor = max(memory.floor, self._top + 1)
            self._execute("UPDATE node SET floor = ? WHERE name = ?", (memory.floor, memory.node))
            self._execute("DELETE FROM claim")
            memory.listed = len(memory.claimed)
            _LIST_CLAIM.run(self._execute, sorted(memory.claimed))

    # Claiming

    def _claim(self, messages: Sequence[Message]) -> list[bool]:
        sheet = self.sheet
        sheet.flush()
        ids = [m.id for m in messages]
        waiting = dict(_QUEUED_OF.fetch(self._execute, (), ids))
        if len(waiting) < len(ids):
            waiting.update(_LATER_OF.fetch(self._execute, (), ids))
        verdicts = []
        taken: list[int] = []
        for m in messages:
            id = m.id
            state = waiting.pop(id, None)
            verdicts.append(state is not None)
            if state is None:
                continue
            taken.append(id)
            sheet.unqueue.append(id)
            if state == State.SCHEDULED:
                sheet.delta[State.SCHEDULED] -= 1
                sheet.delta[_QUEUED] += 1
            life = self._memory.lives.get(id)
            if life is not None:
                life.claimed = True
                life.stored_queued = False
                life.promote()
        if taken:
            if sheet.leave_queue() != len(taken):
                raise Stale("a message to be claimed was not in the queue")
            if _CLAIM.run(self._execute, (self._memory.node,), taken) != len(taken):
                raise Stale("a message to be claimed was not open")
            self._own(taken)
        return verdicts

    # Outcomes

    def _settle(self, pairs: Sequence[tuple[Changes, Committed]]) -> None:
        sheet = self.sheet
        fates = self._fates
        memory = self._memory
        claimed = memory.claimed
        awaiting = memory.awaiting.young
        early = memory.parked
        if early is None:
            early = fates.early([sent for call, _ in pairs for sent in call.outcomes if isinstance(sent, Sent)])
        enroute = sheet.enroute.extend
        remotes = sheet.remotes
        keep = sheet.keys.append
        own: list[Any] = []  # the rows of remote ids of this connector, until something else writes what there is
        sent_by = ""
        now = self._now
        moved = 0
        for call, result in pairs:
            for outcome in call.outcomes:
                if type(outcome) is Sent:
                    m = outcome.message
                    id = m.id
                    if m.parts == 1 and id in claimed:
                        claimed.discard(id)
                        moved += 1
                        remote_id = outcome.remote_id
                        connector = m.connector
                        enroute((id, now, remote_id))
                        if connector != sent_by:
                            own = remotes[connector, 1]
                            sent_by = connector
                        own += (remote_id, id, outcome.due)
                        key = (remote_id, connector)
                        keep(key)
                        awaiting[key] = m
                        if TELLS[m.notify][2]:
                            sheet.tell(result, m, _TOLD_ENROUTE, _ENROUTE, 0, now)
                        if early and key in early:
                            fates.match_parked(key, result)
                            sent_by = ""
                        continue
                    fates.sent(outcome, result, early)
                elif isinstance(outcome, Ended):
                    fates.ended(outcome, result)
                elif isinstance(outcome, Requeued):
                    fates.requeued(outcome)
                sent_by = ""
        sheet.delta[_QUEUED] -= moved
        sheet.delta[_ENROUTE] += moved

    # Receipts

    def _report(self, pairs: Sequence[tuple[Changes, Committed]]) -> None:
        sheet = self.sheet
        young = self._memory.awaiting.young
        old = self._memory.awaiting.old
        finals = sheet.finals
        plain_gone = sheet.plain_gone
        keep = sheet.keys.append
        rows = sheet.events
        own: list[Any] = []  # the rows of events that agree with the last one
        told = path = ""
        now = self._now
        ended: list[int] = []
        ended_as: State | None = None
        ended_by = 0
        fetched = False
        others: list[tuple[Committed, int, Reported]] = []
        for call, result in pairs:
            words = result.receipts
            events = result.events
            for reported in call.receipts:
                report = reported.report
                state = report.state
                if state is None or state not in FINAL:
                    words.append("ignored")
                    continue
                remote_id = report.remote_id
                connector = reported.connector
                key = (remote_id, connector)
                m: Awaiting | None = young.get(key)
                if m is None:
                    m = old.get(key)
                    if m is None and not fetched:
                        fetched = True
                        self._fates.fetch_awaited(reported for call, _ in pairs for reported in call.receipts)
                        ended_as = None
                        m = young.get(key)
                if type(m) is Message:
                    words.append("matched")
                    keep(key)
                    young[key] = False
                    id = m.id
                    error = 0 if state is _DELIVERED else report.error
                    if state is not ended_as or error != ended_by:
                        ended = finals[state, error]
                        ended_as = state
                        ended_by = error
                        told = ""
                    ended.append(id)
                    remote_ids, ids = plain_gone[connector]
                    remote_ids.append(remote_id)
                    ids.append(id)
                    if m.path and TELLS[m.notify][state]:
                        at = report.at
                        at = now if at > now else at  # noqa: FURB136 - min() costs more
                        at = m.created if at < m.created else at  # noqa: FURB136
                        events.append(Event(m, _TOLD_FINAL, state, error, at))
                        if m.account != told or m.path != path:
                            told, path = m.account, m.path
                            own = rows[told, path, 2, state + 0, error]
                        own += (id, at)
                elif m is False:
                    words.append("repeated")
                else:
                    others.append((result, len(words), reported))
                    words.append("parked")
        if others:
            self._fates.reported(others)

    # Acknowledgements

    def _acknowledge(self, calls: Sequence[Changes]) -> None:
        told: defaultdict[tuple[str, str, int], list[int]] = defaultdict(list)
        later: list[Any] = []
        ids: list[int] = []
        account = path = ""
        kind = 0
        for call in calls:
            for event in call.told:
                m = event.message
                if m.account != account or m.path != path or event.kind != kind:
                    account, path, kind = m.account, m.path, event.kind
                    ids = told[account, path, kind + 0]
                ids.append(m.id)
            for wish in call.later:
                m = wish.event.message
                later += (m.account, m.path, m.id, wish.event.kind + 0, wish.due)
        for where, messages in told.items():
            DELETE_EVENTS.run(self._execute, where, messages)
        _LATER.run(self._execute, later)

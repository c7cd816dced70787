"""Writes a write set into the tables, inside an open transaction. Guards compare counts: if fewer rows changed than the
write set names, :class:`~smsgw.stores.steps.Stale` is raised."""

from __future__ import annotations

from typing import Any, Final

from smsgw.stores.rows import CONDITION, CONFIRMATION, EVENT, INCOMING, PARKED, PART, WORDS
from smsgw.stores.sqlite.statements import Execute, GroupedInsert, GroupedUpdate, InList, MultiRow
from smsgw.stores.steps import Stale
from smsgw.stores.writeset import COMMON, EARLY, EVENT_COMMON, OWN, PROGRESS, Upkeep, WriteSet

_LEAVE_WAITING: Final = InList(
    "DELETE FROM waiting WHERE (connector, account, rank, message) IN"
    " (SELECT connector, account, -priority, id FROM message WHERE id IN ({marks}))"
)
_LEAVE_DEFERRED: Final = InList(
    "DELETE FROM deferred WHERE (due, message) IN (SELECT due, id FROM message WHERE id IN ({marks}))"
)
_RELEASE: Final = MultiRow(
    "DELETE FROM deferred WHERE (due, message) IN (SELECT d.due, d.message FROM (VALUES ",
    2,
    ") AS v CROSS JOIN deferred d ON d.due = v.column1 AND d.message = v.column2)",
)
_MESSAGES: Final = GroupedInsert("INSERT INTO message", COMMON, OWN, {"changed": "created"})
_CUT_MESSAGES: Final = GroupedInsert("INSERT INTO message", COMMON, (*OWN, "cut"), {"changed": "created"})
_CLAIM: Final = InList(
    "UPDATE message SET leased_to = ?1, claimed = 1, state = ?2, version = version + 1"
    " WHERE state = ?3 AND claimed = 0 AND id IN ({marks})"
)
_SENT: Final = MultiRow(
    "UPDATE message SET state = ?1, leased_to = '', claimed = 0, changed = ?2, sent = ?2, remote_id = v.column2"
    " FROM (VALUES ",
    2,
    ") AS v WHERE message.id = v.column1 AND state = ?3 AND leased_to = ?4 AND claimed = 1",
    4,
    "UPDATE message SET state = ?1, leased_to = '', claimed = 0, changed = ?2, sent = ?2, remote_id = ?6"
    " WHERE id = ?5 AND state = ?3 AND leased_to = ?4 AND claimed = 1",
)
_PROGRESS: Final = GroupedUpdate(
    "message",
    PROGRESS,
    ("id", "version", "remote_id"),
    "remote_id = {remote_id}, version = version + 1 WHERE message.id = {id} AND version = {version}",
)
_FINAL: Final = InList("UPDATE message SET state = ?1, error = ?2, changed = ?3 WHERE state = ?4 AND id IN ({marks})")
_PARTS: Final = MultiRow(f"INSERT OR REPLACE INTO part ({', '.join(PART)}) VALUES ", len(PART))
_WORDS: Final = MultiRow(f"INSERT OR REPLACE INTO last_words ({', '.join(WORDS)}) VALUES ", len(WORDS))
_PROMOTE: Final = InList("UPDATE message SET state = ?1, version = version + 1 WHERE state = ?2 AND id IN ({marks})")
_WAITING: Final = MultiRow("INSERT INTO waiting VALUES ", 5)
_DEFERRED: Final = MultiRow("INSERT INTO deferred VALUES ", 6)
_AWAITED: Final = GroupedInsert(
    "INSERT OR REPLACE INTO awaited_receipt", ("connector", "seq"), ("remote_id", "message", "due")
)
_NOT_AWAITED: Final = MultiRow(
    # Without the join SQLite would scan the whole table for such a list.
    "DELETE FROM awaited_receipt WHERE (remote_id, connector, message, seq) IN"
    " (SELECT r.remote_id, r.connector, r.message, r.seq FROM (VALUES ",
    4,
    ") AS v CROSS JOIN awaited_receipt r ON r.remote_id = v.column1 AND r.connector = v.column2"
    " AND r.message = v.column3 AND r.seq = v.column4)",
)
_ENDED_AWAITED: Final = InList(
    # The plus sign keeps SQLite from trying every pair of the two lists. Without the second list, if an upstream gives
    # the same id repeatedly, every receipt would examine all these messages.
    "DELETE FROM awaited_receipt WHERE connector = ? AND remote_id IN ({marks}) AND +message IN ({marks})"
)
_UNPARK: Final = MultiRow(
    "DELETE FROM parked WHERE (remote_id, connector) IN (SELECT p.remote_id, p.connector FROM (VALUES ",
    2,
    ") AS v CROSS JOIN parked p ON p.remote_id = v.column1 AND p.connector = v.column2)",
)
_PARK: Final = MultiRow(
    "INSERT INTO parked VALUES ",
    len(PARKED),
    " ON CONFLICT (remote_id, connector) DO UPDATE SET since = excluded.since, state = excluded.state,"
    f" error = excluded.error, at = excluded.at, raw = excluded.raw WHERE since < excluded.since - {EARLY}",
)
_EVENTS: Final = GroupedInsert("INSERT OR IGNORE INTO event", EVENT_COMMON, ("message", "at"))
_ACKNOWLEDGED: Final = InList("DELETE FROM event WHERE login = ? AND path = ? AND seq = ? AND message IN ({marks})")
_RETRIES: Final = MultiRow(
    "UPDATE event SET attempts = attempts + 1, due = v.column5 FROM (VALUES ",
    5,
    ") AS v WHERE event.login = v.column1 AND event.path = v.column2 AND event.message = v.column3"
    " AND event.seq = v.column4",
)
_SEEN_CONDITIONS: Final = MultiRow(
    "DELETE FROM condition WHERE (scope, key) IN (SELECT c.scope, c.key FROM (VALUES ",
    5,
    ") AS v CROSS JOIN condition c ON c.scope = v.column1 AND c.key = v.column2 AND c.until = v.column3"
    " AND c.used = v.column4 AND c.id = v.column5)",
)
_CONDITIONS: Final = MultiRow("INSERT OR IGNORE INTO condition VALUES ", len(CONDITION))
_FORGET_CONDITIONS: Final = (
    "DELETE FROM condition WHERE (scope, key) IN"
    " (SELECT scope, key FROM condition WHERE until > 0 AND until <= ? ORDER BY until LIMIT ?)"
)
_INCOMING: Final = MultiRow("INSERT INTO incoming VALUES ", len(INCOMING))
_CONFIRMATIONS: Final = MultiRow("INSERT OR REPLACE INTO confirmation VALUES ", len(CONFIRMATION))
_FORGET_CONFIRMATIONS: Final = "DELETE FROM confirmation WHERE expires < ?"
_COUNTS: Final = MultiRow(
    "INSERT INTO state_count VALUES ",
    3,
    " ON CONFLICT (node, state) DO UPDATE SET messages = messages + excluded.messages",
)
_LIST_CLAIMS: Final = MultiRow("INSERT OR IGNORE INTO claim VALUES ", 2)
_LEASE: Final = "UPDATE node SET lease_until = ? WHERE name = ? AND epoch = ?"
_FLOOR: Final = "UPDATE node SET floor = ? WHERE name = ?"
_FORGET_CLAIMS: Final = "DELETE FROM claim WHERE node = ?"

_DELETE_MESSAGES: Final = InList("DELETE FROM message WHERE id IN ({marks})")
_DELETE_PARTS: Final = InList("DELETE FROM part WHERE message IN ({marks})")
_DELETE_WORDS: Final = InList("DELETE FROM last_words WHERE message IN ({marks})")
_DELETE_LETTERS: Final = InList("DELETE FROM dead_letter WHERE message IN ({marks})")
_DELETE_INCOMING: Final = InList("DELETE FROM incoming WHERE id IN ({marks})")
_COUNTER: Final = "UPDATE node SET counter = ? WHERE name = ? AND counter < ?"
_DELETE_EVENTS: Final = MultiRow(
    "DELETE FROM event WHERE (login, path, message, seq) IN (SELECT e.login, e.path, e.message, e.seq FROM (VALUES ",
    4,
    ") AS v CROSS JOIN event e ON e.login = v.column1 AND e.path = v.column2 AND e.message = v.column3"
    " AND e.seq = v.column4)",
)
_LETTERS: Final = MultiRow(f"INSERT OR REPLACE INTO dead_letter ({', '.join(EVENT)}) VALUES ", len(EVENT))
_DELETE_LETTER: Final = MultiRow(
    "DELETE FROM dead_letter WHERE (message, seq, login, path) IN"
    " (SELECT d.message, d.seq, d.login, d.path FROM (VALUES ",
    4,
    ") AS v CROSS JOIN dead_letter d ON d.message = v.column3 AND d.seq = v.column4 AND d.login = v.column1"
    " AND d.path = v.column2)",
)
_REPLAYED: Final = MultiRow(f"INSERT OR REPLACE INTO event ({', '.join(EVENT)}, leased_to) VALUES ", len(EVENT) + 1)
_RECOVER: Final = MultiRow(
    "UPDATE message SET leased_to = ?1, claimed = 1, attempts = attempts + 1, version = version + 1 FROM (VALUES ",
    2,
    ") AS v WHERE message.id = v.column1 AND version = v.column2",
    1,
)
_TAKE: Final = "UPDATE node SET epoch = epoch + 1, lease_until = 0 WHERE name = ? AND epoch = ?"
_TAKE_EVENTS: Final = "UPDATE event SET leased_to = ? WHERE leased_to = ?"


def write(execute: Execute, writes: WriteSet) -> None:
    """Write all of `writes`.

    :raises Stale: a guard failed.
    """
    if writes.lease_until:
        changed = execute(_LEASE, (writes.lease_until, writes.node, writes.epoch)).rowcount
        _expect(changed, 1, "another process has the lease")
    _leave_queues(execute, writes)
    _write_messages(execute, writes)
    if writes.awaited:
        _AWAITED.run(execute, writes.awaited)
    for statement, rows in (
        (_PARTS, writes.parts),
        (_WORDS, writes.words),
        (_WAITING, writes.waiting),
        (_DEFERRED, writes.deferred),
        (_NOT_AWAITED, writes.not_awaited),
    ):
        if rows:
            statement.run(execute, rows)
    for connector, (remote_ids, ids) in writes.ended_awaited.items():
        _ENDED_AWAITED.run(execute, (connector,), remote_ids, ids)
    _write_receipts_and_events(execute, writes)
    if writes.conditions:
        _write_conditions(execute, writes)
    if writes.incoming:
        _INCOMING.run(execute, writes.incoming)
    if writes.confirmations:
        execute(_FORGET_CONFIRMATIONS, (writes.earliest,))
        _CONFIRMATIONS.run(execute, writes.confirmations)
    _write_node(execute, writes)
    if writes.upkeep is not None:
        _write_upkeep(execute, writes, writes.upkeep)


def _leave_queues(execute: Execute, writes: WriteSet) -> None:
    if writes.unqueued:
        left = len(writes.unqueued) - _LEAVE_WAITING.run(execute, (), writes.unqueued)
        if left:
            left -= _LEAVE_DEFERRED.run(execute, (), writes.unqueued)
        _expect(left, 0, "a message was not queued")
    if writes.released:
        _expect(_RELEASE.run(execute, writes.released) * 2, len(writes.released), "a message was not deferred")


def _write_messages(execute: Execute, writes: WriteSet) -> None:
    node = writes.node
    if writes.messages:
        _MESSAGES.run(execute, writes.messages)
    if writes.cut_messages:
        _CUT_MESSAGES.run(execute, writes.cut_messages)
    for (before, after), ids in writes.claims.items():
        _expect(_CLAIM.run(execute, (node, after, before), ids), len(ids), "a message was claimed before")
    if writes.sent:
        changed = _SENT.run(execute, writes.sent, (writes.sent_to, writes.now, writes.sent_from, node))
        _expect(changed * 2, len(writes.sent), "a message sent was not claimed")
    if writes.progress:
        meant = sum(map(len, writes.progress.values()))
        _expect(_PROGRESS.run(execute, writes.progress) * 3, meant, "a message was changed before")
    for (before, state, error), ids in writes.finals.items():
        changed = _FINAL.run(execute, (state, error, writes.now, before), ids)
        _expect(changed, len(ids), "a message that ended was not on its way")
    for (before, state), ids in writes.promoted.items():
        _expect(_PROMOTE.run(execute, (state, before), ids), len(ids), "a message was not scheduled")


def _write_node(execute: Execute, writes: WriteSet) -> None:
    """Write the counts by state, and the claims that a restart reads."""
    node = writes.node
    if any(writes.counts):
        rows: list[Any] = []
        for state, change in enumerate(writes.counts):
            if change:
                rows += (node, state, change)
        _COUNTS.run(execute, rows)
    if writes.floor:
        execute(_FLOOR, (writes.floor, node))
        execute(_FORGET_CLAIMS, (node,))
    if writes.listed_claims:
        _LIST_CLAIMS.run(execute, [value for id in writes.listed_claims for value in (node, id)])


def _write_receipts_and_events(execute: Execute, writes: WriteSet) -> None:
    if writes.unparked:
        _UNPARK.run(execute, writes.unparked)
    if writes.parked:
        _PARK.run(execute, [value for row in writes.parked.values() for value in row])
    if writes.events:
        _EVENTS.run(execute, writes.events)
    for where, ids in writes.acknowledged.items():
        _ACKNOWLEDGED.run(execute, where, ids)
    if writes.retries:
        _RETRIES.run(execute, writes.retries)


def _write_conditions(execute: Execute, writes: WriteSet) -> None:
    """Write new conditions, and delete twice as many expired ones, so that they never accumulate."""
    if writes.seen_conditions:
        changed = _SEEN_CONDITIONS.run(execute, writes.seen_conditions)
        _expect(changed * 5, len(writes.seen_conditions), "a condition was used before")
    width = len(CONDITION)
    changed = _CONDITIONS.run(execute, writes.conditions)
    _expect(changed * width, len(writes.conditions), "a condition was used before")
    execute(_FORGET_CONDITIONS, (writes.earliest, 2 * len(writes.conditions) // width))


def _write_upkeep(execute: Execute, writes: WriteSet, upkeep: Upkeep) -> None:
    if upkeep.highest:
        execute(_COUNTER, (upkeep.highest, writes.node, upkeep.highest))
    if upkeep.messages:
        _expect(_DELETE_MESSAGES.run(execute, (), upkeep.messages), len(upkeep.messages), "a message is gone")
        _DELETE_PARTS.run(execute, (), upkeep.messages)
        _DELETE_WORDS.run(execute, (), upkeep.messages)
        _DELETE_LETTERS.run(execute, (), upkeep.messages)
    if upkeep.incoming:
        _DELETE_LETTERS.run(execute, (), upkeep.incoming)
        _DELETE_INCOMING.run(execute, (), upkeep.incoming)
    if upkeep.parked:
        _UNPARK.run(execute, upkeep.parked)
    width = len(EVENT)
    if upkeep.dead_letters:
        rows = upkeep.dead_letters
        _expect(_DELETE_EVENTS.run(execute, _keys(rows)) * width, len(rows), "an event is gone")
        _LETTERS.run(execute, rows)
    if upkeep.replayed:
        rows = upkeep.replayed
        _expect(_DELETE_LETTER.run(execute, _keys(rows)) * width, len(rows), "a dead letter is gone")
        _REPLAYED.run(
            execute,
            [value for at in range(0, len(rows), width) for value in (*rows[at : at + width], writes.node)],
        )
    if upkeep.recovered:
        changed = _RECOVER.run(execute, upkeep.recovered, (writes.node,))
        _expect(changed * 2, len(upkeep.recovered), "a claimed message was changed before")
    for name, epoch in upkeep.taken:
        _expect(execute(_TAKE, (name, epoch)).rowcount, 1, "a node is back")
        execute(_TAKE_EVENTS, (writes.node, name))


def _keys(rows: list[Any]) -> list[Any]:
    """(login, path, message, seq) of rows with the columns EVENT."""
    width = len(EVENT)
    return [value for at in range(0, len(rows), width) for value in rows[at : at + 4]]


def _expect(changed: int, meant: int, why: str) -> None:
    if changed != meant:
        raise Stale(why)

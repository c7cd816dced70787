"""Writes a write set into the tables. Guards are checked row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from smsgw.model.errors import StoreDown
from smsgw.stores.memory.tables import Tables, storable
from smsgw.stores.rows import CONDITION, CONFIRMATION, EVENT, INCOMING, MESSAGE, WORDS
from smsgw.stores.steps import Row, Stale
from smsgw.stores.writeset import COMMON, EARLY, EVENT_COMMON, OWN, PROGRESS, Upkeep, WriteSet

_CLAIMED_BY_NONE: Final = {"leased_to": "", "claimed": 0}


def rows_of(flat: Sequence[Any], width: int) -> Iterator[Row]:
    """The rows of a flat list."""
    return (tuple(flat[at : at + width]) for at in range(0, len(flat), width))


def grouped(groups: Mapping[tuple[Any, ...], list[Any]], width: int) -> Iterator[tuple[Row, Row]]:
    """For each row the values that it shares with its group, and its own values."""
    return ((common, row) for common, flat in groups.items() for row in rows_of(flat, width))


def write(tables: Tables, writes: WriteSet) -> None:
    """Write all of `writes`, in the order of its attributes.

    :raises Stale: a guard failed. :raises StoreDown: the node was registered again.
    """
    node = tables.nodes.rows[writes.node]
    if node.epoch != writes.epoch:
        raise StoreDown(f"another process works as node {writes.node}")
    if writes.lease_until:
        tables.nodes.put(writes.node, node.renewed(writes.lease_until))
    for id in writes.unqueued:
        _leave_queue(tables, id)
    for due, message in rows_of(writes.released, 2):
        _expect(tables.deferred.drop((due, message)), "a message was not deferred")
    _write_messages(tables, writes)
    _write_queues_and_awaited(tables, writes)
    _write_receipts_and_events(tables, writes)
    _write_conditions(tables, writes)
    for row in rows_of(writes.incoming, len(INCOMING)):
        tables.incoming.insert(row[0], tuple(map(storable, row)))
    for phone, number, account, expires in rows_of(writes.confirmations, len(CONFIRMATION)):
        tables.confirmations.put((phone, number), (account, expires))
    for state, change in enumerate(writes.counts):
        key = (writes.node, state)
        tables.counts.put(key, tables.counts.rows.get(key, 0) + change)
    if writes.upkeep is not None:
        _write_upkeep(tables, writes, writes.upkeep)


def _write_queues_and_awaited(tables: Tables, writes: WriteSet) -> None:
    for row in rows_of(writes.parts, 5):
        tables.parts.put((row[0], row[1]), tuple(map(storable, row)))
    for row in rows_of(writes.words, len(WORDS)):
        tables.words.put((row[0], row[1]), tuple(map(storable, row)))
    for connector, account, rank, message, expires in rows_of(writes.waiting, 5):
        tables.waiting.insert((connector, account, rank, message), expires)
    for due, message, *rest in rows_of(writes.deferred, 6):
        tables.deferred.insert((due, message), tuple(rest))
    for (connector, seq), (remote_id, message, due) in grouped(writes.awaited, 3):
        tables.awaited.put((storable(remote_id), connector, message, seq), due)
    for remote_id, connector, message, seq in rows_of(writes.not_awaited, 4):
        tables.awaited.drop((remote_id, connector, message, seq))
    for connector, (remote_ids, ids) in writes.ended_awaited.items():
        for remote_id, message in zip(remote_ids, ids, strict=True):
            tables.awaited.drop((remote_id, connector, message, 1))


def _write_conditions(tables: Tables, writes: WriteSet) -> None:
    for scope, key, *seen in rows_of(writes.seen_conditions, 5):
        stored = tables.conditions.rows.get((scope, key))
        _expect(stored is not None and [*stored[2:5]] == seen, "a condition was used before")
        tables.conditions.drop((scope, key))
    for row in rows_of(writes.conditions, len(CONDITION)):
        _expect((row[0], row[1]) not in tables.conditions.rows, "a condition was used before")
        tables.conditions.put((row[0], row[1]), tuple(map(storable, row)))


def _leave_queue(tables: Tables, id: int) -> None:
    """Delete the row of the message in `waiting` or `deferred`."""
    _expect(id in tables.messages.rows, "a message is gone")
    connector, account, priority, due = (
        tables.column(id, name) for name in ("connector", "account", "priority", "due")
    )
    waited = tables.waiting.drop((connector, account, -priority, id))
    _expect(waited or tables.deferred.drop((due, id)), "a message was not queued")


def _write_messages(tables: Tables, writes: WriteSet) -> None:
    now, node = writes.now, writes.node
    for groups, own in ((writes.messages, OWN), (writes.cut_messages, (*OWN, "cut"))):
        for common, row in grouped(groups, len(own)):
            values = dict(zip(COMMON, common, strict=True)) | dict(zip(own, row, strict=True))
            values |= {"changed": values["created"], "version": 0, "cut": values.get("cut", b"")}
            tables.messages.insert(values["id"], tuple(storable(values[name]) for name in MESSAGE))
    for (before, after), ids in writes.claims.items():
        for id in ids:
            _expect(_is(tables, id, state=before, claimed=0), "a message was claimed before")
            tables.set_message(id, {"leased_to": node, "claimed": 1, "state": after})
    for id, remote_id in rows_of(writes.sent, 2):
        _expect(_is(tables, id, state=writes.sent_from, leased_to=node, claimed=1), "a message sent was not claimed")
        sent = {"state": writes.sent_to, "changed": now, "sent": now, "remote_id": remote_id}
        tables.set_message(id, {**_CLAIMED_BY_NONE, **sent})
    for common, (id, version, remote_id) in grouped(writes.progress, 3):
        _expect(_is(tables, id, version=version), "a message was changed before")
        tables.set_message(id, dict(zip(PROGRESS, common, strict=True)) | {"remote_id": remote_id})
    for id, version in rows_of(writes.checked, 2):
        _expect(_is(tables, id, version=version), "a message was changed before")
    for (before, state, error), ids in writes.finals.items():
        for id in ids:
            _expect(_is(tables, id, state=before), "a message that ended was not on its way")
            tables.set_message(id, {"state": state, "error": error, "changed": now})
    for (before, state), ids in writes.promoted.items():
        for id in ids:
            _expect(_is(tables, id, state=before), "a message was not scheduled")
            tables.set_message(id, {"state": state})


def _write_receipts_and_events(tables: Tables, writes: WriteSet) -> None:
    for remote_id, connector in rows_of(writes.unparked, 2):
        tables.parked.drop((remote_id, connector))
    for key, row in writes.parked.items():
        parked = tables.parked.rows.get(key)
        if parked is None or parked[2] < row[2] - EARLY:
            tables.parked.put(key, tuple(map(storable, row)))
    for common, (message, at) in grouped(writes.events, 2):
        login, path, seq, kind, state, error, leased_to = dict(zip(EVENT_COMMON, common, strict=True)).values()
        where = (login, path, message, seq)
        if where not in tables.events.rows:
            tables.events.put(where, (*where, kind, state, error, at, 0, 0.0, 0.0, leased_to))
    for (login, path, seq), ids in writes.acknowledged.items():
        for id in ids:
            tables.events.drop((login, path, id, seq))
    for login, path, message, seq, due in rows_of(writes.retries, 5):
        event = tables.events.rows.get((login, path, message, seq))
        if event is not None:
            tables.events.put((login, path, message, seq), (*event[:8], event[8] + 1, due, *event[10:]))


def _delete_messages(tables: Tables, upkeep: Upkeep) -> None:
    for id in upkeep.messages:
        _expect(tables.messages.drop(id), "a message is gone")
    for id in upkeep.incoming:
        tables.incoming.drop(id)
    gone = {*upkeep.messages, *upkeep.incoming}
    for table in (tables.parts, tables.words):
        for part in [part for part in table.rows if part[0] in gone]:
            table.drop(part)
    for letter in [letter for letter in tables.letters.rows if letter[0] in gone]:
        tables.letters.drop(letter)


def _write_upkeep(tables: Tables, writes: WriteSet, upkeep: Upkeep) -> None:
    _delete_messages(tables, upkeep)
    for remote_id, connector in rows_of(upkeep.parked, 2):
        tables.parked.drop((remote_id, connector))
    for row in rows_of(upkeep.dead_letters, len(EVENT)):
        login, path, message, seq = row[:4]
        _expect(tables.events.drop((login, path, message, seq)), "an event is gone")
        tables.letters.put((message, seq, login, path), row)
    for row in rows_of(upkeep.replayed, len(EVENT)):
        login, path, message, seq = row[:4]
        _expect(tables.letters.drop((message, seq, login, path)), "a dead letter is gone")
        tables.events.put((login, path, message, seq), (*row, writes.node))
    for id, version in rows_of(upkeep.recovered, 2):
        _expect(_is(tables, id, version=version), "a claimed message was changed before")
        attempts = tables.column(id, "attempts") + 1
        tables.set_message(id, {"leased_to": writes.node, "claimed": 1, "attempts": attempts})
    for name, epoch in upkeep.taken:
        node = tables.nodes.rows[name]
        _expect(node.epoch == epoch, "a node is back")
        tables.nodes.put(name, node.taken())
        for where, event in list(tables.events.rows.items()):
            if event[-1] == name:
                tables.events.put(where, (*event[:-1], writes.node))


def _is(tables: Tables, id: int, **values: Any) -> bool:
    """Whether the message exists and has these values."""
    return id in tables.messages.rows and all(tables.column(id, name) == value for name, value in values.items())


def _expect(held: bool, why: str) -> None:
    if not held:
        raise Stale(why)

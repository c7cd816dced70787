"""Idempotency keys in the SQLite store: what was asked for under each, for as long as that is remembered."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from smsgw.model.changes import Changes, Committed, KeyUsed
from smsgw.model.message import Message
from smsgw.stores.rows import Lists, Rows
from smsgw.stores.sheet import Sheet

_USED: Final = Lists("SELECT key, id, digest FROM idempotency WHERE account = ? AND at >= ? AND key IN ({marks})")
_USE: Final = Rows("INSERT OR REPLACE INTO idempotency VALUES ", "(?,?,?,?,?)")
_FORGET: Final = (
    "DELETE FROM idempotency WHERE (account, key) IN"
    " (SELECT account, key FROM idempotency WHERE at < ? ORDER BY at LIMIT ?)"
)


def use(sheet: Sheet, call: Changes, result: Committed) -> None:
    """Find out which keys of a call were used before, and keep the others. As many old ones go as new ones come, twice
    over, so that they never pile up."""
    execute = sheet.execute
    wished: defaultdict[tuple[str, float], list[str]] = defaultdict(list)
    for keyed in call.keys:
        wished[keyed.account, keyed.since].append(keyed.key)
    used = {
        (account, key): KeyUsed(id, digest)
        for (account, since), keys in wished.items()
        for key, id, digest in _USED.fetch(execute, (account, since), keys)
    }
    rows: list[Any] = []
    for keyed in call.keys:
        before = used.get((keyed.account, keyed.key))
        result.keys.append(before)
        if before is None:
            used[keyed.account, keyed.key] = KeyUsed(keyed.id, keyed.digest)
            rows += (keyed.account, keyed.key, keyed.digest, keyed.id, sheet.now)
    _USE.run(execute, rows)
    execute(_FORGET, (min(since for _, since in wished), 2 * len(call.keys)))


def fresh(call: Changes, result: Committed) -> list[Message]:
    """The accepts of a call but for those whose key was used before."""
    repeated = {
        message.id
        for keyed, before in zip(call.keys, result.keys, strict=True)
        if before is not None
        for message in keyed.messages
    }
    return [message for message in call.accepts if message.id not in repeated]

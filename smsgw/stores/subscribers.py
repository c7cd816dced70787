"""What comes from subscribers, and the calls of theirs that are waited for, in the SQLite store."""

from __future__ import annotations

from typing import Any, Final

from smsgw.model.changes import Changes, Committed
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, EventKind
from smsgw.stores.rows import Rows
from smsgw.stores.sheet import Sheet

_INSERT: Final = Rows("INSERT INTO incoming VALUES ", "(?,?,?,?,?,?,?,?,?,?,?,?)")
_CONFIRM: Final = Rows("INSERT OR REPLACE INTO confirmation VALUES ", "(?,?,?,?)")
_FORGET: Final = "DELETE FROM confirmation WHERE expires < ?"


def take_in(sheet: Sheet, call: Changes, result: Committed) -> None:
    """Keep what a call brings, to be told where there is a way."""
    execute = sheet.execute
    rows: list[Any] = []
    for one in call.incoming:
        rows += (one.id, one.account, one.path, one.kind + 0, one.connector, one.source, one.destination)
        rows += (one.text, one.at, one.answers, one.seconds, one.callback)
        if one.path:
            result.events.append(Event(one, EventKind.INCOMING, State.DELIVERED, 0, one.at))
            sheet.events[one.account, one.path, EventKind.INCOMING + 0, State.DELIVERED + 0, 0] += (one.id, one.at)
    _INSERT.run(execute, rows)
    if call.confirmations:
        execute(_FORGET, (sheet.now,))
        _CONFIRM.run(
            execute,
            [value for one in call.confirmations for value in (one.phone, one.number, one.account, one.expires)],
        )

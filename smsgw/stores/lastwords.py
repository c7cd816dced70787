"""Reads the last words of upstreams, and adds them to the events of messages that failed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from smsgw.model.changes import Committed, Ending
from smsgw.model.lifecycle import State
from smsgw.model.message import Event, Message
from smsgw.model.outcome import LastWords, reason
from smsgw.stores.questions import WordsOf
from smsgw.stores.rows import STATES, WORDS
from smsgw.stores.steps import NO_ID, Row, Steps
from smsgw.stores.writeset import WriteSet

_DELIVERED: Final = State.DELIVERED
_STATE: Final = 4
"""The position of the state in the key of a group of events."""


def last_words(ids: Sequence[int]) -> Steps[dict[int, list[LastWords]]]:
    """The steps of :meth:`smsgw.interfaces.IMessageStore.last_words`."""
    rows: list[Row] = (yield WordsOf([id for id in ids if 0 < id <= NO_ID])) if ids else []
    return _by_message(rows)


def _by_message(rows: Iterable[Row]) -> dict[int, list[LastWords]]:
    """The words by message and part; a later row of a part replaces an earlier one."""
    found: dict[int, dict[int, LastWords]] = {}
    for id, seq, state, connector, at, text in rows:
        found.setdefault(id, {})[seq] = LastWords(seq, STATES[state], connector, at, text)
    return {id: [parts[seq] for seq in sorted(parts)] for id, parts in found.items()}


def add_words(events: Iterable[Event]) -> Steps[None]:
    """Add the stored words to the events of messages that failed."""
    failed = _failed(events)
    if failed:
        words = yield from last_words([event.message.id for event in failed])
        _add(failed, words)


def concerns(writes: WriteSet) -> bool:
    """Whether there may be messages that failed among the events and endings of a commit."""
    if writes.listing:
        return True
    for group in writes.events:  # noqa: SIM110 - any() costs more, for every commit
        if group[_STATE] > _DELIVERED:
            return True
    return False


def add_new_words(results: Sequence[Committed], writes: WriteSet) -> Steps[None]:
    """Add the words to the events and endings of messages that failed in a commit, which will write `writes`. The words
    about a message of one part are in `writes` too, since they came with its end."""
    failed: list[Event | Ending] = []
    for result in results:
        failed += _failed(result.events)
        failed += [ending for ending in result.endings if ending.state > _DELIVERED]
    width = len(WORDS)
    new = [tuple(writes.words[at : at + width]) for at in range(0, len(writes.words), width)]
    several = [one.message.id for one in failed if isinstance(one.message, Message) and one.message.parts > 1]
    stored: list[Row] = (yield WordsOf(several)) if several else []
    _add(failed, _by_message([*stored, *new]))


def _failed(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event.state > _DELIVERED]


def _add(failed: Iterable[Event | Ending], words: dict[int, list[LastWords]]) -> None:
    for one in failed:
        one.words = reason(words.get(one.message.id, ()), one.state)

"""What a group commit has to load: finds the calls that go the straight way, for which the cache answers everything.

A message of one part is accepted claimed, sent and reported. Everything else is decided on its progress
(:mod:`smsgw.stores.decisions`), which comes from the cache or is loaded. A message is the one or the other throughout a
commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from smsgw.model.changes import Changes, Committed, PartSent
from smsgw.model.message import Message
from smsgw.stores.cache import Cache
from smsgw.stores.steps import NO_ID, Key, Load

_ONLY_SENT: Final = {PartSent}
_ONLY_KNOWN: Final[set[type]] = {Message, bool}


@attrs.define(eq=False)
class Work:
    """One call, its result, and what was looked up for it.

    :ivar ids: of the messages of its outcomes. :ivar straight: the outcomes are all of claimed messages of one part,
        which were sent.
    :ivar keys: of its receipts. :ivar known: what the cache knows of each.
    """

    call: Changes
    result: Committed
    ids: Sequence[int] = ()
    straight: bool = True
    keys: Sequence[Key] = ()
    known: Sequence[Any] = ()


@attrs.define(eq=False)
class Needs:
    """What :func:`look_up` found.

    :ivar load: what is to be loaded, false when nothing is.
    :ivar fresh: ids that are accepted and changed again in the same commit.
    :ivar early: keys of parts that were sent and may have a parked receipt.
    """

    works: list[Work]
    load: Load
    fresh: set[int]
    early: set[Key]


def look_up(calls: Sequence[Changes], cache: Cache) -> Needs:
    """Look everything up that `calls` touch."""
    load = Load()
    works: list[Work] = []
    general: set[int] = set()  # ids that are decided on their progress
    unknown: set[Key] = set()
    for call in calls:
        work = Work(call, Committed([], [], [], []))
        works.append(work)
        if call.outcomes:
            _look_up_outcomes(work, cache.claimed, general)
        if call.receipts:
            _look_up_receipts(work, cache, general, unknown)
        if call.claims:
            load.claims.update([message.id for message in call.claims])
        if call.cancels:
            load.cancels.update([wish.id for wish in call.cancels if 0 < wish.id <= NO_ID])
        if call.conditions:
            load.conditions.update(
                (condition.scope, condition.key) for one in call.conditions for condition in one.conditions
            )
    fresh: set[int] = set()
    if general or load.claims or load.cancels or cache.doubtful:
        general |= _in_general(works, load.claims, cache)
        fresh = _fresh(calls, general, load)
        load.messages = {id for id in general if id not in fresh and cache.progress.get(id) is None}
    if unknown:
        load.awaited = unknown - _sent_keys(calls)
    early: set[Key] = set()
    if cache.parked or cache.parked is None:
        early = _sent_keys(calls)
        if cache.parked is not None:
            early &= cache.parked
        load.parked = early
    return Needs(works, load, fresh, early)


def _look_up_outcomes(work: Work, claimed: set[int], general: set[int]) -> None:
    """Whether all go the straight way; else which messages do not."""
    outcomes = work.call.outcomes
    work.ids = ids = [outcome.message.id for outcome in outcomes]
    if not claimed.issuperset(ids) or set(map(type, outcomes)) != _ONLY_SENT:
        work.straight = False
        general.update(
            id for id, outcome in zip(ids, outcomes, strict=True) if type(outcome) is not PartSent or id not in claimed
        )


def _look_up_receipts(work: Work, cache: Cache, general: set[int], unknown: set[Key]) -> None:
    """What the cache knows of their keys; else which messages they are for, and which keys it does not know."""
    receipts = work.call.receipts
    work.keys = keys = [(reported.report.remote_id, reported.connector) for reported in receipts]
    work.known = known = list(map(cache.awaiting.young.get, keys))
    if set(map(type, known)) <= _ONLY_KNOWN:
        return
    if old := cache.awaiting.old:
        work.known = known = [old.get(key) if value is None else value for key, value in zip(keys, known, strict=True)]
    for reported, key, value in zip(receipts, keys, known, strict=True):
        if value is None:
            if reported.report.state is not None:
                unknown.add(key)
        elif isinstance(value, tuple):
            general.add(value[0])


def _in_general(works: Sequence[Work], claims: set[int], cache: Cache) -> set[int]:
    """Messages of which more is to be decided in this commit than one outcome, or of which the cache was wrong. (Where
    nothing but two outcomes of one message come together the guard finds that out.)"""
    outcomes = [id for work in works for id in work.ids]
    touched = set(outcomes)
    general = touched & claims | touched & cache.doubtful
    if len(touched) < len(outcomes):
        seen: set[int] = set()
        for id in outcomes:
            if id in seen and id in cache.claimed:
                general.add(id)
            seen.add(id)
    return general


def _fresh(calls: Sequence[Changes], general: set[int], load: Load) -> set[int]:
    """Accepted messages that other changes of the same commit are about; nothing of them is to be loaded."""
    fresh = set()
    for call in calls:
        for m in call.accepts:
            if m.id in general or m.id in load.claims or m.id in load.cancels or (m.batch and m.batch in load.cancels):
                fresh.add(m.id)
    load.claims -= fresh
    return fresh


def _sent_keys(calls: Sequence[Changes]) -> set[Key]:
    return {
        (outcome.remote_id, outcome.message.connector)
        for call in calls
        for outcome in call.outcomes
        if type(outcome) is PartSent
    }

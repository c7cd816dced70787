"""Finds what a group commit has to load, and the calls that go the straight way, for which the cache is enough.

The straight way: a message of one part is claimed with its acceptance, sent, and reported. All other messages are
decided on by :mod:`smsgw.stores.decisions`, with their progress from the cache or loaded. Within one commit a message
belongs to one of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
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
    """One call, its result, and the cache entries for it.

    :ivar ids: ids of the messages of its outcomes. :ivar straight: True if all outcomes say that a claimed message of
        one part was sent.
    :ivar keys: the keys of its receipts. :ivar known: the cache entry of each key.
    """

    call: Changes
    result: Committed
    ids: Sequence[int] = ()
    straight: bool = True
    keys: Sequence[Key] = ()
    known: Sequence[Any] = ()


@attrs.define(eq=False)
class Needs:
    """The result of :func:`look_up`.

    :ivar load: the rows to be loaded; false if there are none.
    :ivar fresh: ids of messages that are accepted and changed again in the same commit.
    :ivar guessed: states of messages to be claimed that are not loaded: those of the messages given, which this node
        read from the queue. The guards of the claim decide.
    :ivar early: keys of sent parts that may have a parked receipt.
    :ivar accepts, outcomes, receipts: whether there are any.
    """

    works: list[Work]
    load: Load
    fresh: set[int]
    guessed: dict[int, int]
    early: set[Key]
    accepts: bool
    outcomes: bool
    receipts: bool


def look_up(calls: Sequence[Changes], cache: Cache) -> Needs:
    """Look up the cache entries of everything that `calls` change."""
    load = Load()
    works: list[Work] = []
    general: set[int] = set()  # ids of messages that do not go the straight way
    unknown: set[Key] = set()
    claims: dict[int, int] = {}
    accepts = outcomes = receipts = False
    for call in calls:
        work = Work(call, Committed([], [], [], []))
        works.append(work)
        if call.accepts or call.conditions:
            accepts = True
        if call.outcomes:
            outcomes = True
            _look_up_outcomes(work, cache.claimed, general)
        if call.receipts:
            receipts = True
            _look_up_receipts(work, cache, general, unknown)
        if call.claims:
            claims.update([(message.id, message.state + 0) for message in call.claims])
        if call.cancels:
            load.cancels.update([wish.id for wish in call.cancels if 0 < wish.id <= NO_ID])
        if call.conditions:
            load.conditions.update(
                (condition.scope, condition.key) for one in call.conditions for condition in one.conditions
            )
    fresh: set[int] = set()
    if general or claims or load.cancels or cache.doubtful:
        fresh = _look_up_messages(works, general, claims, load, cache)
    if unknown:
        load.awaited = unknown - _sent_keys(calls)
    early: set[Key] = set()
    if cache.parked or cache.parked is None:
        early = _sent_keys(calls)
        if cache.parked is not None:
            early &= cache.parked
        load.parked = early
    return Needs(works, load, fresh, claims, early, accepts, outcomes, receipts)


def _look_up_messages(
    works: Sequence[Work], general: set[int], claims: dict[int, int], load: Load, cache: Cache
) -> set[int]:
    """Set the messages and claims to load, and leave in `claims` those whose state is a guess; returns the ids of
    messages that are accepted and changed again in this commit."""
    load.claims = {*claims} if cache.shared else claims.keys() & cache.doubtful
    general |= _in_general(works, claims.keys(), cache)
    fresh = _fresh(works, general | claims.keys(), load)
    load.messages = {id for id in general if id not in fresh and cache.progress.get(id) is None}
    for id in load.claims | fresh:
        claims.pop(id, None)
    return fresh


def _look_up_outcomes(work: Work, claimed: set[int], general: set[int]) -> None:
    """Set whether all outcomes of a call go the straight way; add the messages that do not to `general`."""
    outcomes = work.call.outcomes
    work.ids = ids = [outcome.message.id for outcome in outcomes]
    if not claimed.issuperset(ids) or set(map(type, outcomes)) != _ONLY_SENT:
        work.straight = False
        general.update(
            id for id, outcome in zip(ids, outcomes, strict=True) if type(outcome) is not PartSent or id not in claimed
        )


def _look_up_receipts(work: Work, cache: Cache, general: set[int], unknown: set[Key]) -> None:
    """Set the cache entries of a call's receipts; add messages that do not go the straight way to `general`, and keys
    without an entry to `unknown`."""
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


def _in_general(works: Sequence[Work], claims: AbstractSet[int], cache: Cache) -> set[int]:
    """Messages with an outcome and a claim, or with several outcomes, in this commit; and those for which a guard
    failed before."""
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


def _fresh(works: Sequence[Work], touched: AbstractSet[int], load: Load) -> set[int]:
    """Messages that are accepted and changed again in this commit; their rows need not be loaded."""
    fresh = set()
    for work in works:
        for m in work.call.accepts:
            if m.id in touched or m.id in load.cancels or (m.batch and m.batch in load.cancels):
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


def slices(calls: Sequence[Changes]) -> list[tuple[int, int]]:
    """Cut `calls` into slices; within a slice each kind of change is applied for all calls before the next kind.

    The result has to be the same as if the calls were applied one by one. So a new slice begins where a later call has
    a change of an earlier kind for a message for which an earlier call has a change of a later kind.
    """
    found = []
    start = 0
    cancels = receipts = False
    for number, call in enumerate(calls):
        if (
            (cancels and (call.accepts or call.claims or call.outcomes or call.receipts))
            or (receipts and any(type(outcome) is not PartSent for outcome in call.outcomes))
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
    """Whether `call` claims a message for which one of the calls `before` has an outcome."""
    ids = {m.id for m in call.claims}
    return any(outcome.message.id in ids for earlier in before for outcome in earlier.outcomes)

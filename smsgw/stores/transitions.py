"""Applies :class:`~smsgw.model.changes.Changes` kind by kind, given the cache, the loaded rows and the decisions on
earlier calls of the same commit. Pure.

New messages and claims are decided on here; sent parts and receipts by :mod:`smsgw.stores.straight`, or by
:mod:`smsgw.stores.decisions` if they do not go the straight way. All three move messages only by the table of
:mod:`smsgw.model.lifecycle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from smsgw.model.changes import Changes, Committed
from smsgw.model.content import WHOLE
from smsgw.model.lifecycle import MOVES, State
from smsgw.model.message import Event, EventKind, Message
from smsgw.stores.cache import Cache
from smsgw.stores.conditions import Conditions, admit
from smsgw.stores.decisions import Decisions
from smsgw.stores.needs import Needs, Work, slices
from smsgw.stores.packed import pack, pack_cut
from smsgw.stores.progress import MessageProgress, to_progress
from smsgw.stores.steps import Loaded
from smsgw.stores.straight import StraightWay
from smsgw.stores.writeset import WriteSet

# A global is faster than the attribute of the enumeration.
_QUEUED: Final = State.QUEUED
_DELIVERED: Final = State.DELIVERED

_FINAL: Final = tuple(not MOVES[state] for state in State)

CLAIMED_AS: Final = tuple(_QUEUED if _QUEUED in MOVES[state] else state for state in State)
"""By the state of a message: its state after it is claimed."""

FLOOR_STEP: Final = 10_000
"""How many ids a restart may have to examine for claimed messages."""


class Transitions:
    """Decides one group commit. Until :meth:`update_cache` it only reads the cache, and takes progress out of it."""

    def __init__(self, cache: Cache, writes: WriteSet, needs: Needs, loaded: Loaded) -> None:
        self._cache = cache
        self._writes = writes
        self._needs = needs
        self._decisions = Decisions(cache, writes, loaded)
        self._claimable: dict[int, int] = {**needs.guessed, **dict(loaded.claimable)}
        self._conditions = Conditions(loaded.conditions, writes.now, writes.earliest) if needs.load.conditions else None
        self._straight = StraightWay(cache, writes, needs, self._decisions)
        self._born: list[MessageProgress] = []
        self._claimed: list[int] = []
        self._claimed_parts: list[int] = []
        self._top = 0

    def decide(self, calls: Sequence[Changes]) -> list[Committed]:
        """Apply `calls`, as if one came after the other; returns one result for each."""
        works = self._needs.works
        if len(calls) == 1:
            self._decide(works)
        else:
            for start, end in slices(calls):
                self._decide(works[start:end])
        self._decisions.finish()
        for (before, after, _), ids in self._writes.finals.items():
            self._writes.counts[before] -= len(ids)
            self._writes.counts[after] += len(ids)
        if self._conditions is not None:
            self._conditions.write(self._writes)
        self._list_claims()
        return [work.result for work in works]

    def _decide(self, works: Sequence[Work]) -> None:
        needs = self._needs
        if needs.accepts:
            self._accept(works)
        for work in works:
            if work.call.claims:
                work.result.claims = self._claim(work.call.claims)
        if needs.outcomes:
            self._straight.send(works)
        if needs.receipts:
            self._straight.report(works)
        acknowledges = False
        for work in works:
            call = work.call
            acknowledges = acknowledges or bool(call.acknowledged or call.retries)
            if call.cancels:
                work.result.cancels = [self._decisions.cancel(wish, work.result) for wish in call.cancels]
            if call.incoming or call.confirmations:
                self._take_in(call, work.result)
        if acknowledges:
            self._acknowledge(works)

    # Accepting

    def _admitted(self, work: Work) -> Sequence[Message]:
        """The messages of a call that are stored, according to their conditions."""
        call, result = work.call, work.result
        assert self._conditions is not None
        result.conditions = [self._conditions.met(one.conditions) for one in call.conditions]
        return admit(call.accepts, call.conditions, result.conditions)

    def _accept(self, works: Sequence[Work]) -> None:
        writes = self._writes
        node = writes.node
        fresh = self._needs.fresh
        groups = writes.messages
        counts = writes.counts
        common: tuple[Any, ...] = ()
        own: list[Any] = []
        claimed_ids = self._claimed
        top = self._top
        plain = 0
        for work in works:
            call = work.call
            for m in self._admitted(work) if call.conditions else call.accepts:
                id = m.id
                if id > top:
                    top = id
                state = m.state
                if m.claimed:
                    leased_to = node
                    claimed = 1
                    plain += 1
                    state = _QUEUED
                    if m.parts == 1:
                        claimed_ids.append(id)
                    else:
                        self._claimed_parts.append(id)
                        self._born.append(to_progress(m, node))
                else:
                    leased_to = ""
                    claimed = 0
                    counts[state] += 1
                    if _FINAL[state]:
                        writes.end(work.result, m, state, m.error, m.created)
                    elif id not in fresh:
                        writes.enqueue(m, m.connector, m.due)
                alike = (
                    m.account,
                    m.login,
                    m.path,
                    m.connector,
                    state + 0,
                    m.priority,
                    leased_to,
                    claimed,
                    m.attempts,
                    m.parts,
                    m.due,
                    m.error,
                    m.batch,
                    m.sent,
                    m.remote_id,
                )
                if m.cut is WHOLE:
                    if alike != common:
                        common = alike
                        own = groups[alike]
                    own += (id, m.expires, m.created, m.recipient, pack(m))
                else:
                    cut = pack_cut(m.cut, m.content.octets)
                    writes.cut_messages[alike] += (id, m.expires, m.created, m.recipient, pack(m), cut)
                if fresh and id in fresh:
                    progress = to_progress(m, leased_to)
                    progress.place = None
                    progress.dirty = True
                    self._decisions.progress[id] = progress
        self._top = top
        counts[_QUEUED] += plain

    # Claiming

    def _claim(self, messages: Sequence[Message]) -> list[bool]:
        writes = self._writes
        decisions = self._decisions
        cached = self._cache.progress
        general = bool(decisions.progress or cached.young or cached.old)
        claimable = self._claimable
        granted = []
        for m in messages:
            id = m.id
            progress = decisions.of(id) if general else None
            if progress is not None:
                claimable.pop(id, None)
                granted.append(decisions.claim(progress))
                continue
            state = claimable.pop(id, None)
            granted.append(state is not None)
            if state is not None:
                after = CLAIMED_AS[state]
                writes.unqueued.append(id)
                writes.claims[state, after + 0].append(id)
                if after != state:
                    writes.counts[state] -= 1
                    writes.counts[after] += 1
                (self._claimed if m.parts == 1 else self._claimed_parts).append(id)
        return granted

    # Incoming texts, and acknowledgements

    def _take_in(self, call: Changes, result: Committed) -> None:
        """Store incoming texts, calls and keys, with an event if there is a return path; and waits for calls."""
        writes = self._writes
        for one in call.incoming:
            self._top = max(self._top, one.id)
            writes.incoming += (one.id, one.account, one.path, one.kind + 0, one.connector, one.sender, one.recipient)
            writes.incoming += (one.text, one.at, one.answers, one.seconds, one.callback)
            if one.path:
                kind = EventKind.INCOMING
                result.events.append(Event(one, kind, _DELIVERED, 0, one.at))
                common = (one.account, one.path, kind + 0, kind + 0, _DELIVERED + 0, 0, writes.node)
                writes.events[common] += (one.id, one.at)
        for waited in call.confirmations:
            writes.confirmations += (waited.phone, waited.number, waited.account, waited.expires)

    def _acknowledge(self, works: Sequence[Work]) -> None:
        acknowledged = self._writes.acknowledged
        ids: list[int] = []
        account = login = path = ""
        kind = 0
        for work in works:
            for event in work.call.acknowledged:
                m = event.message
                if m.account != account or m.path != path or event.kind != kind or m.login != login:
                    account, login, path, kind = m.account, m.login, m.path, event.kind
                    ids = acknowledged[login or account, path, kind + 0]
                ids.append(m.id)
            for wish in work.call.retries:
                m = wish.event.message
                self._writes.retries += (m.login or m.account, m.path, m.id, wish.event.kind + 0, wish.due)

    # Claims for a restart

    def _list_claims(self) -> None:
        """List claimed ids below the floor. Raise the floor from time to time, so that a restart has fewer ids to
        examine."""
        cache, writes = self._cache, self._writes
        claimed = self._claimed + self._claimed_parts
        for id, progress in self._decisions.progress.items():
            if progress.leased_to == writes.node and id not in cache.claimed and id not in cache.claimed_parts:
                claimed.append(id)
        floor = cache.floor
        below = [id for id in claimed if id < floor] if claimed and min(claimed) < floor else []
        listed = cache.listed + len(below)
        every = len(cache.claimed) + len(cache.claimed_parts) + len(claimed)
        if self._top >= floor + FLOOR_STEP or listed > FLOOR_STEP + every:
            writes.floor = max(floor, self._top + 1)
            below = sorted({*cache.claimed, *cache.claimed_parts, *claimed}.difference(self._straight.released))
        writes.listed_claims = below

    def update_cache(self) -> None:
        """Add the decisions to the cache, after the commit."""
        cache, writes = self._cache, self._writes
        cache.claimed.update(self._claimed)
        cache.claimed_parts.update(self._claimed_parts)
        cache.claimed.difference_update(self._straight.released)
        general = self._decisions.progress
        for progress in self._born:
            if progress.message.id not in general:
                cache.progress.put(progress.message.id, progress, progress.message.parts)
        self._decisions.update_cache()
        cache.doubtful -= self._needs.load.claims
        if self._needs.load.messages:
            gone = self._needs.load.messages.difference(general)
            cache.claimed -= gone
            cache.doubtful -= gone
        if writes.floor:
            cache.floor, cache.listed = writes.floor, len(writes.listed_claims)
        else:
            cache.listed += len(writes.listed_claims)
        cache.awaiting.trim()
        cache.progress.trim()

    def forget(self) -> None:
        """Remove everything that was decided on from the cache, after a guard failed."""
        cache = self._cache
        cache.doubtful.update(self._straight.released, self._needs.guessed)
        for work in self._needs.works:
            for key in work.keys:
                cache.awaiting.take(key)

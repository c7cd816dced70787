"""The straight way: messages of one part that are sent, and reported. Pure.

Everything needed is in the cache, so nothing is loaded; loops over all calls decide on these messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from smsgw.model.changes import Committed, Ending, PartSent
from smsgw.model.lifecycle import MOVES, State
from smsgw.model.message import Event, EventKind, Message
from smsgw.stores.cache import Awaiting, Cache
from smsgw.stores.decisions import Decisions
from smsgw.stores.needs import Needs, Work
from smsgw.stores.writeset import NOTIFIES, WriteSet

# A global is faster than the attribute of the enumeration.
_QUEUED: Final = State.QUEUED
_ENROUTE: Final = State.ENROUTE
_DELIVERED: Final = State.DELIVERED
_NOTIFIED_ENROUTE: Final = EventKind.ENROUTE
_NOTIFIED_FINAL: Final = EventKind.FINAL
_FINAL_KIND: Final = EventKind.FINAL + 0
_FROM: Final = _ENROUTE + 0

_REPORTABLE: Final = tuple(state in MOVES[_ENROUTE] for state in State)
"""By state: whether a receipt with this state may end an ENROUTE message."""

_FEW: Final = 8
"""Parts sent, below which columns would take longer to make than rows."""

assert _ENROUTE in MOVES[_QUEUED]


def _interleaved(*columns: Sequence[Any]) -> list[Any]:
    """The rows with these columns, as a flat list."""
    width = len(columns)
    rows: list[Any] = [None] * (width * len(columns[0]))
    for place, column in enumerate(columns):
        rows[place::width] = column
    return rows


class StraightWay:
    """Decides on messages that go the straight way, and passes the others to :class:`~.decisions.Decisions`.

    :ivar released: ids of messages that were sent, so that this node no longer has them claimed.
    """

    def __init__(self, cache: Cache, writes: WriteSet, needs: Needs, decisions: Decisions) -> None:
        self._cache = cache
        self._writes = writes
        self._needs = needs
        self._decisions = decisions
        self.released: list[int] = []

    def send(self, works: Sequence[Work]) -> None:
        """Apply the outcomes of all calls."""
        general = self._decisions.progress
        straight: list[PartSent] = []
        ids: list[int] = []
        for work in works:
            if work.straight and not (general and general.keys() & work.ids):
                straight += work.call.outcomes  # type: ignore[arg-type]
                ids += work.ids
            else:
                own = self._send_in_general(work)
                straight += own
                ids += [sent.message.id for sent in own]
        if straight:
            self._send_straight(works, straight, ids)

    def _send_straight(self, works: Sequence[Work], straight: Sequence[PartSent], ids: list[int]) -> None:
        writes = self._writes
        if len(ids) < _FEW:
            asked = False
            for sent in straight:
                m = sent.message
                writes.sent += (m.id, sent.remote_id)
                writes.awaited[m.connector, 1] += (sent.remote_id, m.id, sent.due)
                self._decisions.awaiting[sent.remote_id, m.connector] = m
                asked = asked or NOTIFIES[m.notify][_ENROUTE]
        else:
            asked = self._send_many(straight, ids)
        self.released += ids
        writes.counts[_QUEUED] -= len(ids)
        writes.counts[_ENROUTE] += len(ids)
        early = self._needs.early or writes.parked
        if early or asked:
            known = set(ids)
            for work in works:
                for outcome in work.call.outcomes:
                    if type(outcome) is PartSent and outcome.message.id in known:
                        writes.notify(work.result, outcome.message, _NOTIFIED_ENROUTE, _ENROUTE, 0, writes.now)
                        if early:
                            self._early(outcome, work.result)

    def _send_many(self, straight: Sequence[PartSent], ids: Sequence[int]) -> bool:
        """Column by column, which takes half as long for many; returns whether a sender asked for a report."""
        writes = self._writes
        messages = [sent.message for sent in straight]
        remote_ids = [sent.remote_id for sent in straight]
        connectors = [m.connector for m in messages]
        writes.sent += _interleaved(ids, remote_ids)
        awaited = _interleaved(remote_ids, ids, [sent.due for sent in straight])
        if len(set(connectors)) == 1:
            writes.awaited[connectors[0], 1] += awaited
        else:
            for number, connector in enumerate(connectors):
                writes.awaited[connector, 1] += awaited[3 * number : 3 * number + 3]
        self._decisions.awaiting.update(zip(zip(remote_ids, connectors, strict=True), messages, strict=True))
        return any(NOTIFIES[notify][_ENROUTE] for notify in {m.notify for m in messages})

    def _send_in_general(self, work: Work) -> list[PartSent]:
        """Pass the outcomes of a call that do not go the straight way on; returns the others."""
        decisions = self._decisions
        claimed = self._cache.claimed
        straight = []
        for outcome in work.call.outcomes:
            id = outcome.message.id
            if type(outcome) is PartSent and id in claimed and id not in decisions.progress:
                straight.append(outcome)
            else:
                decisions.outcome(outcome, work.result)
                if type(outcome) is PartSent:
                    self._early(outcome, work.result)
        return straight

    def _early(self, sent: PartSent, result: Committed) -> None:
        """Apply a receipt that came before the commit of the outcome."""
        key = (sent.remote_id, sent.message.connector)
        known = self._decisions.awaiting.get(key)
        row = self._decisions.early(key) if known else None
        if row is None or known is None:
            return
        _, _, _, number, error, at, raw = row
        state = State(number)
        if type(known) is Message and known.id not in self._decisions.progress:
            self._writes.note_receipt(known.id, 1, state, key[1], bytes(raw))
            self._end(known, key, state, error, at, result)
        else:
            self._decisions.receive(key, known, state, error, at, bytes(raw), result)

    def _end(self, m: Message, key: tuple[str, str], state: State, error: int, at: float, result: Committed) -> None:
        """End a message that goes the straight way, by the receipt under `key`."""
        writes = self._writes
        error = 0 if state is _DELIVERED else error
        self._decisions.awaiting[key] = False
        writes.finals[_ENROUTE + 0, state + 0, error].append(m.id)
        remote_ids, ids = writes.ended_awaited[key[1]]
        remote_ids.append(key[0])
        ids.append(m.id)
        writes.end(result, m, state, error, max(min(at, writes.now), m.created), key[1], key[0])

    def report(self, works: Sequence[Work]) -> None:
        writes = self._writes
        decisions = self._decisions
        general = decisions.progress
        awaiting = decisions.awaiting
        just_now = awaiting.get
        finals = writes.finals
        ended_awaited = writes.ended_awaited
        node = writes.node
        rows = writes.events
        connector = account = ""
        remote_ids: list[str] = []
        ids: list[int] = []
        own: list[Any] = []  # the rows of events that agree with the last one
        login = path = ""
        now = writes.now
        ended: list[int] = []
        ended_as = _DELIVERED
        ended_by = -1  # no receipt has this error: the first message begins a run
        for work in works:
            result = work.result
            words = result.receipts
            events = result.events
            endings = result.endings if writes.listing else None
            counted = len(ended)  # those of the run that are counted, or belong to an earlier call
            for reported, key, known in zip(work.call.receipts, work.keys, work.known, strict=True):
                report = reported.report
                state = report.state
                if state is None or not _REPORTABLE[state]:
                    words.append("ignored")
                    continue
                m: Awaiting | None = just_now(key, known)
                if m is None:
                    m = decisions.found.get(key)
                if type(m) is not Message or (general and m.id in general):
                    words.append("repeated" if m is False else decisions.reported(reported, key, m, result))
                    continue
                words.append("matched")
                awaiting[key] = False
                id = m.id
                if state is _DELIVERED:
                    error = 0
                else:
                    error = report.error
                    writes.note_receipt(id, 1, state, key[1], report.raw)
                if state is not ended_as or error != ended_by or m.account != account or key[1] != connector:
                    result.count(account, connector, ended_as, len(ended) - counted)
                    ended_as, ended_by, account, connector = state, error, m.account, key[1]
                    ended = finals[_FROM, state + 0, error]
                    counted = len(ended)
                    remote_ids, ids = ended_awaited[connector]
                    login = ""
                ended.append(id)
                remote_ids.append(key[0])
                ids.append(id)
                if endings is not None:
                    endings.append(Ending(m, connector, key[0], state, error, max(min(report.at, now), m.created)))
                if m.path and NOTIFIES[m.notify][state]:
                    at = report.at
                    at = now if at > now else at  # noqa: FURB136 - min() costs more
                    at = m.created if at < m.created else at  # noqa: FURB136
                    events.append(Event(m, _NOTIFIED_FINAL, state, error, at))
                    its_login = m.login or m.account
                    if its_login != login or m.path != path:
                        login, path = its_login, m.path
                        own = rows[login, path, _FINAL_KIND, _FINAL_KIND, state + 0, error, node]
                    own += (id, at)
            result.count(account, connector, ended_as, len(ended) - counted)

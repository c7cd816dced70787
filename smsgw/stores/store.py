"""The message store: joins an engine, the cache, the rules and the group commit."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail, inlineCallbacks, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import (
    Awaited,
    BatchCount,
    IMessageStore,
    MessageDetails,
    MessageFilter,
    Parked,
    StoreCondition,
)
from smsgw.model.changes import Changes, Committed
from smsgw.model.errors import GatewayError, StoreDown, StoreFull, UnknownOutcome
from smsgw.model.message import Event, Incoming, Message, Part
from smsgw.model.outcome import LastWords
from smsgw.stores import lastwords, queries
from smsgw.stores.cache import Cache
from smsgw.stores.commit import CommitSteps, retried
from smsgw.stores.groupcommit import GroupCommit
from smsgw.stores.maintenance import Maintenance
from smsgw.stores.metrics import StoreMetrics
from smsgw.stores.questions import ConfirmationBy, EventLogins, Nodes, QueuedConnectors, QueueDepth, StateCounts
from smsgw.stores.steps import Engine, MoreIds, Question, Register, Registration, Steps
from smsgw.stores.writeset import EARLY, WriteSet

T = TypeVar("T")

LEASE: Final = 30.0
"""Seconds without a write after which other nodes may take over the messages of a node."""

RENEW: Final = 10.0
"""Seconds after which the next write renews the lease."""

IDS: Final = 10_000
"""Ids that a node reserves at once if other nodes may share the data."""

_log = Logger()


class NodeClock(Protocol):
    """The clock of a node that doubts a wall clock which does not go on where the former process of the node ended."""

    def start(self, last_seen: float) -> object:
        """Compare the time with the last sign of the former process, in seconds since 1970; 0 for none."""

    def sign_of_life(self) -> float:
        """The time to store as the last sign of this process, in seconds since 1970."""

    def earliest(self) -> float:
        """The earliest time that it may be, in seconds since 1970."""


@implementer(IMessageStore)
class MessageStore:
    """Stores messages in an engine.

    ``changed`` of a message is the time when its state was stored; ``at`` of an event is the time when the upstream
    says the state was reached. The message of an event may be the object that was accepted, if the cache has it; so its
    state may be older than that of the event.

    :ivar engine: holds the data.
    :param node: the name of this node, which it claims messages with.
    :param now: the time in seconds since 1970. :param cache: a cache with other limits.
    :param listing: whether the results of commits list the messages that ended.
    :param clock: gives the signs of life of this node; None: they have the time of `now`.
    """

    def __init__(
        self,
        engine: Engine,
        node: str,
        now: Callable[[], float],
        metrics: StoreMetrics | None = None,
        cache: Cache | None = None,
        listing: bool = False,
        clock: NodeClock | None = None,
    ) -> None:
        self.failed: Deferred[None] = Deferred()
        self.last_seen = 0.0
        self.engine = engine
        self._node = node
        self._now = now
        self._clock = clock
        self._sign = now if clock is None else clock.sign_of_life
        self._listing = listing
        self._cache = cache = Cache() if cache is None else cache
        cache.shared = engine.shared
        self._metrics = metrics or StoreMetrics()
        self._committer = CommitSteps(cache, self._begin)
        self._group = GroupCommit(engine, self._committer.commit, metrics=self._metrics)
        self._maintenance = Maintenance(cache, self._begin, node, not engine.shared)
        self._open = False
        self._broken = ""
        self._epoch = 0
        self._renewed = 0.0
        self._next = 0
        self._last = 0
        self._spare: tuple[int, int] | None = None
        self._asking = False

    @inlineCallbacks
    def open(self) -> Generator[Deferred[Any], Any, None]:
        yield maybeDeferred(self.engine.open, self._broke)
        try:
            nodes: Sequence[tuple[str, int, float]] = yield self._group.run(_ask(Nodes()))
            self.last_seen = max((until - LEASE for name, _, until in nodes if name == self._node), default=0.0)
            self.last_seen = max(self.last_seen, 0.0)
            if self._clock is not None:
                self._clock.start(self.last_seen)
            self._renewed = self._now()
            register = Register(self._node, self._sign() + LEASE, IDS)
            registered: Registration = yield self._group.run(_ask(register))
        except Exception:
            yield maybeDeferred(self.engine.close)
            raise
        cache = self._cache
        self._epoch = registered.epoch
        self._next, self._last = registered.first_id, registered.last_id
        cache.floor, cache.listed = registered.floor, registered.listed
        cache.claimed.update(id for id, parts in registered.claimed if parts == 1)
        cache.claimed_parts.update(id for id, parts in registered.claimed if parts > 1)
        parked = set(registered.parked or ())
        cache.parked = parked if len(parked) <= cache.parked_limit else None
        self._maintenance.inherit([id for id, _ in registered.claimed])
        self._open = True

    @inlineCallbacks
    def close(self) -> Generator[Deferred[Any], Any, None]:
        yield self._group.close()
        if self._open:
            self._open = False
            yield maybeDeferred(self.engine.close)

    def _broke(self, why: str) -> None:
        """Refuse all further calls: the engine's data can no longer be trusted."""
        if not self._broken:
            self._broken = why
            self.failed.errback(UnknownOutcome(why))

    def _begin(self) -> WriteSet:
        now = self._now()
        writes = WriteSet(self._node, self._epoch, now, self.engine.shared, self._next - 1, self._listing)
        if self._clock is not None:
            writes.earliest = self._clock.earliest()
        if not 0 <= now - self._renewed < RENEW:
            self._renewed = now
            writes.lease_until = self._sign() + LEASE
        return writes

    def check(self) -> StoreCondition:
        condition = self.engine.check() if self._open else StoreCondition()
        self._metrics.disk_free.set(condition.free)
        self._metrics.disk_short.set(condition.short)
        self._metrics.lost_commits.set(condition.lost_commits)
        return condition

    def forget(self) -> None:
        """Empty the parts of the cache that can be loaded again."""
        self._cache.awaiting.clear()
        self._cache.progress.clear()

    # Changing

    def next_id(self) -> int:
        if not self._open or self._broken:
            raise StoreDown(self._broken or "the store is not open")
        id = self._next
        if id > self._last:
            if self._spare is None:
                self._more_ids()
                raise StoreDown("no ids are reserved for this node yet")
            (id, self._last), self._spare = self._spare, None
        self._next = id + 1
        if self._spare is None and self._last - id < IDS // 2:
            self._more_ids()
        return id

    def _more_ids(self) -> None:
        if not self._asking:
            self._asking = True
            self._group.run(_ask(MoreIds(self._node, IDS))).addCallbacks(self._have_ids, self._no_ids)

    def _have_ids(self, ids: tuple[int, int]) -> None:
        self._asking = False
        self._spare = ids

    def _no_ids(self, failure: Failure) -> None:
        self._asking = False
        _log.warn("no ids could be reserved: {why}", why=failure.getErrorMessage())

    def commit(self, changes: Changes) -> Deferred[Committed]:
        if not self._open or self._broken:
            return fail(StoreDown(self._broken or "the store is not open"))
        if changes.accepts and not self.engine.room():
            return fail(StoreFull("the disk is nearly full"))
        return self._group.commit(changes)

    # Looking up

    def _run(self, steps: Steps[T]) -> Deferred[T]:
        if not self._open:
            return fail(StoreDown("the store is not open"))
        return self._group.run(_with_own_failures(steps))

    def awaited_receipts(self, connector: str, after: tuple[int, int], limit: int) -> Deferred[list[Awaited]]:
        return self._run(queries.awaited_receipts(connector, after, limit))

    def queued_connectors(self) -> Deferred[list[str]]:
        return self._run(_ask(QueuedConnectors()))

    def queue_depth(self, connector: str) -> Deferred[dict[str, int]]:
        return self._run(_ask(QueueDepth(connector)))

    def queue_page(self, connector: str, account: str, after: tuple[int, int], limit: int) -> Deferred[list[Message]]:
        return self._run(queries.queue_page(connector, account, after, limit))

    def retry_page(
        self, connector: str, after: tuple[float, int], limit: int
    ) -> Deferred[tuple[list[Message], tuple[float, int] | None]]:
        return self._run(queries.retry_page(connector, after, limit))

    def find(self, account: str | None, ids: Sequence[int], of_batch: int = 0) -> Deferred[list[list[Message]]]:
        return self._run(queries.find(account, ids, of_batch))

    @inlineCallbacks
    def batch_counts(
        self, account: str | None, id: int
    ) -> Generator[Deferred[tuple[list[BatchCount], int]], tuple[list[BatchCount], int], list[BatchCount]]:
        counts, after = yield self._run(queries.batch_counts(account, id, 0))
        while after:
            # Other steps run between slices of the table.
            more, after = yield self._run(queries.batch_counts(account, id, after))
            counts = queries.add_counts([*counts, *more])
        return queries.add_counts(counts)

    def last_words(self, ids: Sequence[int]) -> Deferred[dict[int, list[LastWords]]]:
        return self._run(lastwords.last_words(ids))

    def details(self, id: int) -> Deferred[MessageDetails | None]:
        return self._run(queries.details(id))

    @inlineCallbacks
    def list_messages(
        self, account: str | None, wanted: MessageFilter, before: int, limit: int
    ) -> Generator[Deferred[tuple[list[Message], int]], tuple[list[Message], int], list[Message]]:
        found: list[Message] = []
        while len(found) < limit:
            # Other steps run between slices of the table.
            some, before = yield self._run(queries.list_messages(account, wanted, before, limit - len(found)))
            found += some
            if not before:
                break
        return found

    def list_incoming(self, account: str | None, before: int, limit: int) -> Deferred[list[Incoming]]:
        return self._run(queries.list_incoming(account, before, limit))

    def find_confirmation(self, phone: str, number: str, now: float) -> Deferred[str]:
        return self._run(_ask(ConfirmationBy(phone, number, now)))

    def counts(self) -> Deferred[dict[int, int]]:
        return self._run(_ask(StateCounts()))

    def events(self, account: str, path: str, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        return self._run(queries.events(self._node, account, path, after, limit))

    def accounts_with_events(self, path: str) -> Deferred[list[str]]:
        return self._run(_ask(EventLogins(self._node, path)))

    def parked(self, limit: int) -> Deferred[list[Parked]]:
        return self._run(queries.parked(limit))

    def dead_letters(self, account: str | None, after: tuple[int, int], limit: int) -> Deferred[list[Event]]:
        return self._run(queries.dead_letters(account, after, limit))

    # Maintenance

    def recover_claims(self, after: int, limit: int) -> Deferred[list[Part]]:
        return self._run(retried(lambda: self._maintenance.recover_claims(after, limit, self._now())))

    def back_up(self, target: Path) -> Deferred[int]:
        if not self._open:
            return fail(StoreDown("the store is not open"))
        return self.engine.back_up(target)

    def match_parked(self, limit: int) -> Deferred[Committed]:
        if not self.engine.shared:  # a parked receipt was applied when its part was sent
            return succeed(Committed([], [], [], []))
        return self._run(retried(lambda: self._committer.match_parked(self._now() - EARLY, limit)))

    def release_due(
        self, now: float, limit: int, earliest: float | None = None
    ) -> Deferred[list[tuple[str, str, int]]]:
        scheduled = now if earliest is None else earliest
        return self._run(retried(lambda: self._maintenance.release_due(now, limit, scheduled)))

    def release_retries(self, limit: int) -> Deferred[list[tuple[str, str, int]]]:
        return self._run(retried(lambda: self._maintenance.release_retries(limit)))

    def scan_overdue(self, now: float, limit: int) -> Deferred[list[tuple[Message, int]]]:
        return self._run(retried(lambda: self._maintenance.scan_overdue(now, limit)))

    def replay(self, account: str | None, ids: Sequence[int], limit: int) -> Deferred[list[Event]]:
        return self._run(retried(lambda: self._maintenance.replay(account, ids, limit, self._now())))

    def purge(self, before: float, events_before: float, limit: int) -> Deferred[tuple[int, int]]:
        return self._run(retried(partial(self._maintenance.purge, before, events_before, limit)))


def _ask(step: Question[T] | Register | MoreIds) -> Steps[Any]:
    """A generator of one step, which returns its answer."""
    return (yield step)


def _with_own_failures(steps: Steps[T]) -> Steps[T]:
    """The same steps; any exception other than StoreDown and UnknownOutcome becomes a StoreDown."""
    try:
        return (yield from steps)
    except GatewayError:
        raise
    except Exception as why:
        raise StoreDown(f"the store cannot do this: {why}") from why

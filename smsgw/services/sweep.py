"""The sweep: once a second it releases messages that are due, ends overdue ones, and purges old ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from smsgw.config import Settings
from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Changes, PartEnded
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.services.clock import TOLERANCE, CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.dispatch import Dispatch
from smsgw.services.metrics import ServiceMetrics

INTERVAL: Final = 1.0
"""Seconds between two sweeps."""

PAGE: Final = 1_000
"""Rows that one step reads or deletes at once."""

MOST_PAGES: Final = 20
"""Pages of one step in one sweep; further pages wait for the next sweep."""

_log = Logger()


class Sweep:
    """Handles all deadlines of messages, so that no message needs a timer."""

    def __init__(
        self,
        settings: Settings,
        store: IMessageStore,
        commits: Commits,
        dispatch: Dispatch,
        clock: IReactorTime,
        time: CheckedClock,
        metrics: ServiceMetrics | None = None,
    ) -> None:
        self._metrics = metrics or ServiceMetrics()
        self._store = store
        self._dispatch = dispatch
        self._commits = commits
        self._time = time
        self._before = time.now()
        self._set_back = False
        self._failing: set[str] = set()
        self._sweeping: Deferred[None] = succeed(None)
        self._loop = LoopingCall(self.once)
        self._loop.clock = clock
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Keep messages and events as long as is configured now."""
        self._keep = settings.gateway.keep
        self._event_keep = settings.gateway.event_keep

    def start(self) -> None:
        """Run the first sweep now, and one every second from then on. The store must be open."""
        self._before = max(self._before, self._store.last_seen)
        self._loop.start(INTERVAL).addErrback(lambda failure: _log.failure("the sweep ended", failure))

    def stop(self) -> Deferred[None]:
        """End the sweeps; fires when the sweep under way is done."""
        if self._loop.running:
            self._loop.stop()
        done: Deferred[None] = Deferred()
        self._sweeping.addCallback(lambda _: done.callback(None))
        return done

    def once(self) -> Deferred[None]:
        """Run one sweep. A step that fails is counted and tried again in the next sweep; the Deferred never fails."""
        self._sweeping = ensureDeferred(self._sweep())
        return self._sweeping

    async def _sweep(self) -> None:
        steps: Sequence[tuple[str, Callable[[], Awaitable[None]]]] = (
            ("dispatch", self._tick),
            ("set back", self._retry_all),
            ("due", self._promote),
            ("overdue", self._end),
            ("parked", self._match_parked),
            ("purge", self._purge),
        )
        for name, step in steps:
            try:
                await step()
            except (StoreDown, UnknownOutcome) as error:
                self._failed(name, str(error))
            except Exception as error:  # noqa: BLE001 - one step's fault must not stop the others, nor the next sweep
                _log.failure("sweep: {step}", step=name)
                self._failed(name, type(error).__name__)
            else:
                self._failing.discard(name)

    def _failed(self, step: str, why: str) -> None:
        self._metrics.sweep_failures[step] += 1
        if step not in self._failing:
            self._failing.add(step)
            _log.warn("sweep: {step} failed and is tried again every second: {why}", step=step, why=why)

    async def _tick(self) -> None:
        self._dispatch.tick()

    async def _retry_all(self) -> None:
        """After the time was set back, try again what would have to wait until the same time comes again."""
        before, self._before = self._before, self._time.now()
        if self._before < before - TOLERANCE:
            self._set_back = True
        if self._set_back:
            self._set_back = not await self._release(self._store.release_retries)

    async def _promote(self) -> None:
        now, earliest = self._time.now(), self._time.earliest()
        await self._release(partial(self._store.release_due, now, earliest=earliest))

    async def _release(self, page: Callable[[int], Awaitable[list[tuple[str, str, int]]]]) -> bool:
        """Give dispatch the messages of some pages; returns whether there are no more."""
        for _ in range(MOST_PAGES):
            found = await page(PAGE)
            if found:
                await self._dispatch.promoted(found)
            if len(found) < PAGE:
                return True
        return False

    async def _end(self) -> None:
        overdue = await self._store.scan_overdue(self._time.earliest(), PAGE)
        queued: list[Message] = [message for message, seq in overdue if not seq]
        ends = [
            PartEnded(message, part, State.EXPIRED, 0)
            for message in self._dispatch.withdraw(queued)
            for part in message.unsent or (0,)
        ]
        expired = len(ends)
        ends += [PartEnded(message, seq, State.UNKNOWN, ErrorCode.NO_RECEIPT) for message, seq in overdue if seq]
        if not ends:
            return
        await self._commits.commit(Changes(outcomes=[*ends]))
        self._metrics.overdue[State.EXPIRED.word] += expired
        self._metrics.overdue[State.UNKNOWN.word] += len(ends) - expired

    async def _match_parked(self) -> None:
        await self._commits.match_parked(PAGE)

    async def _purge(self) -> None:
        given_up = 0
        for _ in range(MOST_PAGES):
            now = self._time.earliest()
            messages, events = await self._store.purge(now - self._keep, now - self._event_keep, PAGE)
            self._metrics.purged[()] += messages
            self._metrics.given_up[()] += events
            given_up += events
            if messages < PAGE and events < PAGE:
                break
        if given_up:
            _log.warn(
                "{count} events were given up, as no client took them within event_keep; "
                "smsgw list events shows them, smsgw replay sends them again",
                count=given_up,
            )

"""One processor for the two threads that share Python's lock: only one of them runs at a time anyway, and what one has
in the caches of another processor the other has to fetch from there, message by message.

They keep to the processor on which the program happens to start, and look for another one if that is busy with somebody
else's work. All other threads go where they like. Where the system does not let itself be told, nothing is done.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.stores import groupcommit

TOGETHER: Final = frozenset({threading.main_thread().name, groupcommit.THREAD})
"""Names of the threads that keep together."""

LOOK: Final = 10.0
"""Seconds between two looks at how busy the processor is."""

IN_THE_WAY: Final = 0.2
"""Share of the time for which the reactor's thread had to wait while others had the processor, above which another
processor is tried."""

_log: Final = Logger()


@attrs.frozen
class Times:
    """What the system counts of the threads that keep together, in seconds: how long all of them ran, and how long the
    reactor's could have run but had to wait."""

    ran: float
    waited: float


def _times(threads: Iterable[threading.Thread]) -> Times:
    """:raises OSError: where the system does not count, or a thread has gone."""
    ran = waited = 0.0
    for thread in threads:
        numbers = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text("ascii").split()
        ran += int(numbers[0]) / 1e9
        if thread is threading.main_thread():
            waited = int(numbers[1]) / 1e9
    return Times(ran, waited)


def _current() -> int:
    """The processor on which the reactor's thread runs."""
    return int(Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[36])


@attrs.define(eq=False)
class Processor:
    """Keeps the threads together from :meth:`start` to :meth:`stop`."""

    _clock: IReactorTime
    _allowed: frozenset[int] = attrs.field(factory=frozenset, init=False)
    _chosen: int = attrs.field(default=-1, init=False)
    _before: Times = attrs.field(default=Times(0.0, 0.0), init=False)
    _looked: float = attrs.field(default=0.0, init=False)
    _timer: IDelayedCall | None = attrs.field(default=None, init=False)

    def start(self) -> None:
        """Choose a processor, if there is a choice."""
        try:
            self._allowed = frozenset(os.sched_getaffinity(0))
            self._before = _times(self._together())
            self._chosen = _current()
        except (AttributeError, OSError) as why:
            _log.debug("the system decides where threads run: {why}", why=why)
            return
        if len(self._allowed) > 1 and self._chosen in self._allowed:
            self._sit()
            self._looked = self._clock.seconds()
            self._timer = self._clock.callLater(LOOK, self._look)

    def stop(self) -> None:
        """Let all threads go where they like."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            for thread in threading.enumerate():
                self._let(thread, self._allowed)

    @staticmethod
    def _together() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name in TOGETHER]

    def _sit(self) -> None:
        """Also those that came since: a thread begins where the one that made it is."""
        chosen = frozenset({self._chosen})
        for thread in threading.enumerate():
            self._let(thread, chosen if thread.name in TOGETHER else self._allowed)

    @staticmethod
    def _let(thread: threading.Thread, processors: frozenset[int]) -> None:
        if thread.native_id is not None:
            try:
                os.sched_setaffinity(thread.native_id, processors)
            except OSError as why:  # it has ended, or we may not: then it stays where it is
                _log.debug("thread {name} cannot be placed: {why}", name=thread.name, why=why)

    def _look(self) -> None:
        self._timer = self._clock.callLater(LOOK, self._look)
        try:
            now = _times(self._together())
        except OSError:  # one of them has just ended
            return
        passed = self._clock.seconds() - self._looked
        ran, waited = now.ran - self._before.ran, now.waited - self._before.waited
        self._before, self._looked = now, self._looked + passed
        if min(waited, passed - ran) > IN_THE_WAY * passed:
            self._chosen = random.choice(sorted(self._allowed - {self._chosen}))  # noqa: S311 - any other will do
            _log.debug("others are busy on our processor: trying number {number}", number=self._chosen)
        self._sit()

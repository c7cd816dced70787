"""Worker threads that the accounts share: each has one job at a time, and the accounts take turns."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from smsgw.protocols.overload import Overloads

PLACES: Final = 64
"""Jobs of one account, running and waiting."""

ALL_PLACES: Final = 1024
"""Jobs of all accounts."""

SLICE: Final = 0.0005
"""Seconds for which a job computes before it rests."""

REST: Final = 0.002
"""Seconds of each rest. So a job leaves the interpreter to other threads for most of the time: these would otherwise
wait for it up to 5 ms each time that they need it, which is several times for a message."""

_Answer = TypeVar("_Answer")
_Job = tuple[Callable[..., Any], tuple[object, ...], "Deferred[Any]"]


def rests() -> Callable[[], None]:
    """Return a function that a long computation calls often, in its thread: it sleeps whenever the computation has run
    for :data:`SLICE`."""
    until = time.perf_counter() + SLICE

    def rest() -> None:
        nonlocal until
        if time.perf_counter() >= until:
            time.sleep(REST)
            until = time.perf_counter() + SLICE

    return rest


class FairWorkers:
    """The jobs of all accounts in a few threads.

    :param run: calls a function in a thread: :meth:`smsgw.services.passwords.WorkerPool.run`.
    :param threads: how many functions it runs at a time.
    """

    def __init__(
        self,
        run: Callable[..., Deferred[Any]],
        clock: IReactorTime,
        threads: int = 2,
        overloads: Overloads | None = None,
    ) -> None:
        self._run = run
        self._threads = threads
        self._overloads = overloads or Overloads(clock)
        self._running: set[str] = set()
        self._waiting: OrderedDict[str, deque[_Job]] = OrderedDict()  # accounts in the order of their turns
        self._number = 0

    def run(self, account: str, function: Callable[..., _Answer], *arguments: object) -> Deferred[_Answer] | None:
        """Call `function` in a thread when it is the account's turn; None if too many of its jobs wait."""
        waiting = self._waiting.get(account)
        own = (0 if waiting is None else len(waiting)) + (account in self._running)
        if own >= PLACES or self._number >= ALL_PLACES:
            self._overloads.hit("mails", account, "too many of its mails wait to be read; further ones get 451")
            return None
        answer: Deferred[_Answer] = Deferred()
        if waiting is None:
            waiting = self._waiting[account] = deque()
        waiting.append((function, arguments, answer))
        self._number += 1
        self._start()
        return answer

    def _start(self) -> None:
        while len(self._running) < self._threads:
            account = next((name for name in self._waiting if name not in self._running), None)
            if account is None:
                return
            waiting = self._waiting[account]
            function, arguments, answer = waiting.popleft()
            if not waiting:
                del self._waiting[account]
            self._running.add(account)
            self._run(function, *arguments).addBoth(self._ended, account, answer)

    def _ended(self, result: Any | Failure, account: str, answer: Deferred[Any]) -> None:
        self._running.discard(account)
        if account in self._waiting:
            self._waiting.move_to_end(account)
        self._number -= 1
        self._start()
        answer.callback(result)

"""The slow checks of hashed passwords: who gets a place, in which order, and when a refusal is given.

Clients without an account cannot use the places up, and learn nothing from the time that an answer takes:

* A login that does not exist waits in the queue like any other, but takes no place and no thread.
* A source and a login have a few places each. Addresses that the account of the login lists have places of their own.
* A refusal is given a whole number of seconds after its question.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from smsgw.protocols.overload import Overloads
from smsgw.services.passwords import THREADS, ScryptHash

PLACES: Final = 32
"""Checks under way and waiting together, for addresses that the account of the login does not list."""

LISTED_PLACES: Final = 128
"""The same for addresses that the account lists."""

PER_SOURCE: Final = 8
"""Checks of one source that the account of the login does not list, under way and waiting."""

PER_LISTED_SOURCE: Final = 32
"""The same for a source that the account lists."""

PER_LOGIN: Final = 16
"""Checks of one login from addresses that its account does not list, under way and waiting."""

STEP: Final = 1.0
"""A refusal comes a multiple of these seconds after its question."""

_FIRST_GUESS: Final = 0.1 / (1 << 18)
"""Seconds for a unit of work of scrypt before one has been measured."""


@attrs.frozen
class Question:
    """A password to be checked.

    :ivar mark: equal for the same login and password only. :ivar real: whether the login exists and its password is
        hashed; the check of another ends as that of a wrong password, after the time that it would take.
    :ivar source: the network that asks. :ivar listed: whether the account of the login lists its address.
    """

    mark: bytes
    login: bytes
    source: str
    listed: bool
    stored: ScryptHash = attrs.field(repr=False)
    password: bytes = attrs.field(repr=False)
    real: bool = True


@attrs.define(eq=False)
class _Check:
    """A question under way or waiting, with all who asked it.

    :ivar ahead: how many questions of its source or login that are not real came before it.
    """

    question: Question
    ahead: int
    asked: list[tuple[float, Deferred[bool]]] = attrs.field(factory=list)


class PasswordChecks:
    """The queue of slow checks.

    :param run: calls a function in one of :data:`~smsgw.services.passwords.THREADS` threads.
    """

    def __init__(
        self, clock: IReactorTime, run: Callable[..., Deferred[bool]], overloads: Overloads | None = None
    ) -> None:
        self._clock = clock
        self._run = run
        self._overloads = overloads or Overloads(clock)
        self._checks: dict[bytes, _Check] = {}
        self._queues: tuple[deque[_Check], deque[_Check]] = (deque(), deque())  # of listed addresses, of others
        self._places: Counter[bool] = Counter()
        self._sources: Counter[tuple[str, bool]] = Counter()
        self._logins: Counter[bytes] = Counter()
        self._pretended: Counter[object] = Counter()  # questions that are not real, by source and by login
        self._running = 0
        self._listed_next = True
        self._pace = _FIRST_GUESS

    def ask(self, question: Question) -> Deferred[bool] | None:
        """Return whether the password is right, once that is known; None if no place is left.

        A question that waits already is not asked again: its answer is given to all.
        """
        check = self._checks.get(question.mark)
        if check is None:
            full = self._full(question)
            if full:
                self._overloads.hit("password_checks", "", f"{full}; further logins are refused for now")
                return None
            ahead = max(self._pretended[question.source], self._pretended[question.login])
            check = self._checks[question.mark] = _Check(question, ahead)
            self._count(question, 1)
            self._queues[not question.listed].append(check)
        answer: Deferred[bool] = Deferred()
        check.asked.append((self._clock.seconds(), answer))
        self._start()
        return answer

    def _full(self, question: Question) -> str:
        """Return which places are taken that a question needs, empty if it has one. A question that is not real needs
        the same."""
        if self._sources[question.source, question.listed] >= (PER_LISTED_SOURCE if question.listed else PER_SOURCE):
            return f"all places of {question.source}"
        if not question.listed and question.login and self._logins[question.login] >= PER_LOGIN:
            return "all places of one login"
        if self._places[question.listed] >= (LISTED_PLACES if question.listed else PLACES):
            return "all places of listed addresses" if question.listed else "all places of addresses not listed"
        return ""

    def _count(self, question: Question, one: int) -> None:
        if question.real:
            self._places[question.listed] += one
        else:
            for key in (question.source, question.login):
                self._pretended[key] += one
                if not self._pretended[key]:
                    del self._pretended[key]
        source = question.source, question.listed
        self._sources[source] += one
        self._logins[question.login] += 0 if question.listed else one
        if not self._sources[source]:
            del self._sources[source]
        if not self._logins[question.login]:
            del self._logins[question.login]

    def _start(self) -> None:
        """Start what has a thread; listed addresses and others take turns."""
        while self._running < THREADS and any(self._queues):
            queue = self._queues[not self._listed_next] or self._queues[self._listed_next]
            self._listed_next = queue is not self._queues[0]
            check = queue.popleft()
            question = check.question
            if question.real:
                self._running += 1
                begun = self._clock.seconds()
                running = self._run(question.stored.matches, question.password)
                running.addBoth(self._ran, check, begun)
            else:
                # Real ones of the same source or login would have to wait for each other.
                turns = 1 + check.ahead // THREADS
                self._clock.callLater(turns * question.stored.work * self._pace, self._done, check, False)

    def _ran(self, result: bool | Failure, check: _Check, begun: float) -> None:
        self._running -= 1
        if isinstance(result, bool):
            self._pace = (self._clock.seconds() - begun) / check.question.stored.work
        self._done(check, result)
        self._start()

    def _done(self, check: _Check, result: bool | Failure) -> None:
        del self._checks[check.question.mark]
        self._count(check.question, -1)
        now = self._clock.seconds()
        for asked, answer in check.asked:
            if result is False:
                taken = now - asked
                self._clock.callLater(max(1.0, math.ceil(taken / STEP)) * STEP - taken, answer.callback, False)
            else:
                answer.callback(result)

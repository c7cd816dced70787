"""The circuit breaker of a connector that connects when it sends: whether its upstream can be reached."""

from __future__ import annotations

from collections.abc import Callable
from random import random
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.model.pacing import back_off

FIRST_PAUSE: Final = 1.0
"""Seconds before the first attempt to connect; doubled for each further one."""

LONGEST_PAUSE: Final = 60.0
"""The longest pause in seconds between two attempts to connect."""

JITTER: Final = 0.25
"""By which share a pause is shorter at most, so that gateways and connectors do not connect all at once."""

_log = Logger()


class Circuit:
    """Notes that a message failed because the upstream could not be reached; from then on connects once after each
    pause, without a message, until that succeeds.

    An attempt takes no message, so the link recovers also if all messages have taken another connector.

    :param connect: makes one attempt. Fires with why the upstream cannot be reached, empty if it can be; may be
        cancelled. :param changed: called after each change of `up`. :param dice: returns a number from 0 to 1.
    :ivar up: whether the upstream can be reached, as far as is known.
    """

    def __init__(
        self,
        name: str,
        clock: Any,
        connect: Callable[[], Deferred[str]],
        changed: Callable[[], None],
        dice: Callable[[], float] = random,
    ) -> None:
        self.up = True
        self._name = name
        self._clock = clock
        self._connect = connect
        self._changed = changed
        self._dice = dice
        self._attempts = 0
        self._pause: IDelayedCall | None = None
        self._attempt: Deferred[str] | None = None
        self._stopped = False

    def fail(self, why: str) -> None:
        """Note that the upstream could not be reached; further failures while it is down change nothing."""
        if self._stopped or not self.up:
            return
        self.up = False
        _log.warn("connector {name} is down: {why}; connecting until it succeeds", name=self._name, why=why)
        self._attempts = 0
        self._wait()
        self._changed()

    def retry(self) -> None:
        """End a pause between two attempts at the next turn of the reactor."""
        if self._pause is not None:
            self._pause.reset(0)

    def stop(self) -> None:
        """Make no further attempts; cancel the current one."""
        self._stopped = True
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._attempt is not None:
            self._attempt.cancel()

    def _wait(self) -> None:
        self._attempts += 1
        pause = back_off(self._attempts, FIRST_PAUSE, LONGEST_PAUSE)
        self._pause = self._clock.callLater(pause * (1 - JITTER * self._dice()), self._try)

    def _try(self) -> None:
        self._pause = None
        self._attempt = attempt = self._connect()
        attempt.addErrback(self._raised).addCallback(self._tried)

    def _raised(self, failure: Failure) -> str:
        """The result of an attempt that failed in another way than `connect` may: a fault of the code."""
        if not self._stopped:
            _log.failure("connector {name} failed", failure, name=self._name)
        return "failed"

    def _tried(self, why: str) -> None:
        self._attempt = None
        if self._stopped:
            return
        if why:
            self._wait()
            return
        self.up = True
        _log.info("connector {name} is up again", name=self._name)
        self._changed()

"""The signals of the gateway's process: those of its first moments, and those of the running gateway.

The module imports little: the plugin of twistd installs :class:`Early` before the gateway is imported, which takes most
of the time of a start.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

ENDS: Final = (signal.SIGTERM, signal.SIGINT)
"""Signals that stop the gateway."""


class Early:
    """The handler of all signals until the gateway is made: nothing is open and nothing was accepted.

    A signal that stops ends the process at once with status 0. SIGUSR1 needs no action, as no log file is open yet.

    :ivar reload: whether SIGHUP came: the configuration may have been read before it changed.
    """

    def __init__(self) -> None:
        self.reload = False

    def install(self) -> None:
        """Handle the signals from now on."""
        for number in (*ENDS, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle one signal."""
        if number in ENDS:
            os._exit(0)  # not SystemExit: code that imports plugins catches that
        self.reload = self.reload or number == signal.SIGHUP


class Signals:
    """The handlers of the gateway. Each only calls a function in the reactor's next turn.

    A second signal that stops ends the process at once, with the status that a shell shows for it. The first one does
    not, even if the gateway stops already because a part failed: it may still write what it has.

    :param reactor: provides IReactorFromThreads. :param stop: stops the gateway in order; may be called while it stops.
    :param reload: reads the configuration again.
    :param reopen: opens the log file again.
    """

    def __init__(
        self,
        reactor: Any,
        stop: Callable[[], None],
        reload: Callable[[], None],
        reopen: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._stop = stop
        self._actions = {signal.SIGHUP: reload, signal.SIGUSR1: reopen}
        self._asked = False

    def install(self) -> None:
        """Handle the signals from now on, in place of any other handler. Call it in the main thread."""
        early = signal.getsignal(signal.SIGHUP)
        for number in ENDS:
            signal.signal(number, self._on_stop)
        for number in self._actions:
            signal.signal(number, self._on_action)
        if isinstance(early, Early) and early.reload:
            self._on_action(signal.SIGHUP, None)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        self._reactor.callFromThread(self._stop)

    def _on_action(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._actions[signal.Signals(number)])

"""The signals of the running gateway."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smsgw.program import signals


class Reactor:
    """Calls at once."""

    def callFromThread(self, call: Callable[[], Any]) -> None:
        """Call it."""
        call()


class SignalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Install handlers that take notes, and have the former ones back after the test."""
        for number in (*signals.ENDS, signal.SIGHUP, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.seen: list[object] = []
        self.patch(os, "_exit", self.seen.append)
        say = self.seen.append
        signals.Signals(Reactor(), lambda: say("stop"), lambda: say("reload"), lambda: say("reopen")).install()

    def test_f6_second_signal(self) -> None:
        """The first signal stops in order, whatever the gateway does already; only a second one ends it at once."""
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(self.seen, ["stop"])
        os.kill(os.getpid(), signal.SIGINT)
        self.assertEqual(self.seen[:2], ["stop", 128 + signal.SIGINT])

    def test_actions(self) -> None:
        """SIGHUP reloads, SIGUSR1 opens the log again."""
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(self.seen, ["reload", "reopen"])

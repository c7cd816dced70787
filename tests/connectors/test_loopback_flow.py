from __future__ import annotations

from typing import Any

from smsgw.config import Globs
from smsgw.connectors.loopback import Loopback, LoopbackSettings
from smsgw.model.lifecycle import State
from smsgw.services.commits import Commits
from smsgw.services.dispatch import Dispatch
from smsgw.services.sweep import Sweep
from tests.configured import configured
from tests.services.dispatch.support import DAY, DispatchTestCase, RecordingIncoming, RecordingOutbox, message

KINDS = ("rejected", "throttled", "unanswered", "early", "undeliverable", "expired", "twice", "never")


class FlowTests(DispatchTestCase):
    """The simulated SMSC behind dispatch, the sweep and a real store."""

    def run_gateway(self, name: str = "sim", **settings: Any) -> None:
        """Start everything but the listeners."""
        made = LoopbackSettings(name=name, **{"rate": 0.0, "delay": 2.0, "retry_first": 5.0, **settings})
        loopback = Loopback(made, self.clock, self.now)
        self.outbox, self.incoming = RecordingOutbox(), RecordingIncoming()
        commits = Commits(self.store, self.outbox)
        self.dispatch = Dispatch(
            configured(made, report_timeout=DAY), self.store, commits, self.clock, self.time, {name: loopback},
            self.reroute, incoming=self.incoming, metrics=self.metrics,
        )
        self.successResultOf(self.dispatch.start())
        settings = configured(keep=DAY * 9, event_keep=DAY * 9)
        self.sweep = Sweep(settings, self.store, commits, self.dispatch, self.clock, self.time)
        self.sweep.start()

    def pass_time(self, seconds: int) -> None:
        """Advance the clock second by second."""
        self.clock.pump([1.0] * seconds)

    def test_every_kind(self) -> None:
        """For each list, the message gets its final state and its account one report."""
        lists: dict[str, Any] = {kind: Globs((f"7999{number}*",)) for number, kind in enumerate(KINDS)}
        self.run_gateway(**lists)
        self.accept(*[message(number + 1, recipient=f"7999{number}001122", expires=self.now() + 2 * DAY)
                      for number in range(len(KINDS) + 1)])
        self.pass_time(60)
        states = dict(zip((*KINDS, "other"), (self.state(id) for id in range(1, 10)), strict=True))
        self.assertEqual(states, {
            "rejected": State.REJECTED, "throttled": State.DELIVERED, "unanswered": State.QUEUED,
            "early": State.DELIVERED, "undeliverable": State.UNDELIVERABLE, "expired": State.EXPIRED,
            "twice": State.DELIVERED, "never": State.ENROUTE, "other": State.DELIVERED,
        })
        self.clock.advance(DAY)
        self.pass_time(5)
        self.assertEqual(self.state(8), State.UNKNOWN)
        final = [event for event in self.outbox.reported if event[1] is not State.ENROUTE]
        self.assertEqual(len(final), len({id for id, _ in final}))
        self.assertGreater(self.metrics.receipts["sim", "parked"], 0)
        self.assertGreater(self.metrics.receipts["sim", "repeated"], 0)

    def test_restart(self) -> None:
        """After a kill, outstanding receipts still arrive, and parts with an unknown outcome are sent once more."""
        self.run_gateway("again", latency=1.0)
        self.accept(*[message(id, connector="again") for id in range(1, 6)])
        self.pass_time(1)
        self.accept(*[message(id, connector="again") for id in range(6, 9)])
        self.crash()
        self.run_gateway("again", latency=1.0)
        self.assertEqual(self.metrics.resends["again"], 3)
        self.pass_time(5)
        self.assertEqual({self.state(id) for id in range(1, 9)}, {State.DELIVERED})
        delivered = sorted(id for id, state in self.outbox.reported if state is State.DELIVERED)
        self.assertEqual(delivered, list(range(1, 9)))

    def test_graceful_restart(self) -> None:
        """A graceful stop leaves no part with an unknown outcome."""
        self.run_gateway("gentle", latency=1.0, window=3)
        self.accept(*[message(id, connector="gentle") for id in range(1, 11)])
        self.sweep.stop()
        draining = self.dispatch.drain()
        self.clock.advance(1)
        self.successResultOf(draining)
        self.crash()
        self.run_gateway("gentle", latency=1.0, window=3)
        self.pass_time(20)
        self.assertEqual(self.metrics.resends["gentle"], 0)
        self.assertEqual({self.state(id) for id in range(1, 11)}, {State.DELIVERED})

    def test_parts_and_rate(self) -> None:
        """Long texts are delivered completely over a small window at a low rate."""
        self.run_gateway("slow", window=2, rate=5.0)
        self.accept(*[message(id, connector="slow", parts=3) for id in range(1, 6)])
        self.clock.pump([0.1] * 80)
        self.assertEqual({self.state(id) for id in range(1, 6)}, {State.DELIVERED})

"""The simulated SMSC misbehaves as its lists of recipients say."""

from __future__ import annotations

from typing import Any

from smsgw.model.errors import StoreDown
from smsgw.model.lifecycle import State
from smsgw.model.outcome import Busy, Lost, Rejected, Sent
from tests.connectors.test_loopback import LoopbackTestCase
from tests.services.dispatch.support import message, names


class MisbehavingTests(LoopbackTestCase):
    """The lists of recipients with special behaviour; other recipients are treated as usual."""

    def served(self, **settings: Any) -> tuple[list[type], list[tuple[str, State | None, int]]]:
        """Send to a listed recipient (message 1) and to another one (message 2)."""
        loopback = self.make(**settings)
        self.send(loopback, message(1, recipient="79990000001"), message(2))
        self.clock.pump([2.0] * 10)
        return self.outcomes(), self.sink.said()

    def test_undeliverable(self) -> None:
        """A message to an undeliverable recipient is accepted and then reported undeliverable."""
        self.assertEqual(
            self.served(undeliverable=("7999*",)),
            ([Sent, Sent], [("1.1.0", State.UNDELIVERABLE, 1), ("2.1.0", State.DELIVERED, 0)]),
        )

    def test_expired(self) -> None:
        """A message to an expiring recipient is accepted and then reported expired."""
        self.assertEqual(
            self.served(expired=("7999*",)),
            ([Sent, Sent], [("1.1.0", State.EXPIRED, 6), ("2.1.0", State.DELIVERED, 0)]),
        )

    def test_rejected(self) -> None:
        """A message to a rejected recipient is rejected at once, without a receipt."""
        self.assertEqual(
            self.served(rejected=("7999*",)), ([Rejected, Sent], [("2.1.0", State.DELIVERED, 0)])
        )

    def test_never(self) -> None:
        """A message to a recipient without receipts is accepted."""
        self.assertEqual(self.served(never=("7999*",)), ([Sent, Sent], [("2.1.0", State.DELIVERED, 0)]))

    def test_twice(self) -> None:
        """A receipt can be repeated, after the first was acknowledged."""
        _, said = self.served(twice=("7999*",))
        self.assertEqual([id for id, _, _ in said], ["1.1.0", "2.1.0", "1.1.0"])

    def test_unanswered(self) -> None:
        """A part without an answer is lost after the patience."""
        loopback = self.make(unanswered=("7999*",), patience=10.0)
        self.send(loopback, message(1, recipient="79990000001"), message(2))
        self.clock.advance(9)
        self.assertEqual(self.outcomes(), [Sent])
        self.clock.advance(1)
        self.assertEqual(self.outcomes(), [Sent, Lost])

    def test_throttled(self) -> None:
        """A part to a throttled recipient is busy at its first attempts."""
        loopback = self.make(throttled=("7999*",), throttles=2)
        for attempts in range(3):
            self.send(loopback, message(1, recipient="79990000001", attempts=attempts))
        self.assertEqual(self.outcomes(), [Busy, Busy, Sent])

    def test_early(self) -> None:
        """An early receipt is stored before the outcome is reported."""
        for latency in (0.0, 1.0):
            loopback = self.make(early=("7999*",), latency=latency)
            self.sink.by_hand = True
            self.send(loopback, message(1, recipient="79990000001"))
            self.clock.advance(5)
            self.assertEqual((self.sink.log, self.sink.answers), (["receipts"], []))
            self.sink.unacknowledged.pop().callback(None)
            self.clock.advance(5)
            self.assertEqual(self.sink.log, ["receipts", "outcomes"])
            self.assertEqual(self.sink.said(), [("1.1.0", State.DELIVERED, 0)])

    def test_early_not_stored(self) -> None:
        """An early receipt that could not be stored is repeated later; the outcome is still reported."""
        loopback = self.make(early=("7999*",))
        self.sink.broken = StoreDown("full")
        self.send(loopback, message(1, recipient="79990000001"))
        self.assertEqual(self.outcomes(), [Sent])
        self.sink.broken = None
        self.clock.advance(2)
        self.assertEqual(self.sink.said(), [("1.1.0", State.DELIVERED, 0)])

    def test_each_part_once(self) -> None:
        """For all lists, each part has exactly one outcome."""
        loopback = self.make(
            window=1000, latency=0.5, rejected=("*1",), throttled=("*2",), unanswered=("*3",), early=("*4",),
            twice=("*5",), never=("*6",), expired=("*7",),
        )
        parts = self.send(loopback, *[message(id, parts=2) for id in range(1, 101)])
        self.clock.advance(0.5)
        self.clock.advance(100)
        self.assertEqual(sorted(names(part for part, _ in self.sink.answers)), sorted(names(parts)))

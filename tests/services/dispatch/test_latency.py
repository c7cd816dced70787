"""How long upstreams take to answer."""

from __future__ import annotations

from smsgw.model.outcome import Busy, Rejected
from tests.services.dispatch.support import DispatchTestCase, HandConnector, message


class LatencyTests(DispatchTestCase):
    """The histogram of the time from the sending of a part to its outcome."""

    def below(self, bound: str, connector: str = "sim") -> float:
        """How many answers came within `bound` seconds."""
        return dict(self.metrics.latency[connector].cumulated())[bound]

    def test_u8_from_send_to_outcome(self) -> None:
        """Every answered part is counted once, with its own time, also where one read answers parts of several
        sends."""
        sim = self.begin(HandConnector(window=9))
        self.accept(message(1), message(2))
        self.clock.advance(0.2)
        sim.answer()
        self.accept(message(3))
        self.clock.advance(2)
        self.accept(message(4), message(5, parts=2))
        self.clock.advance(0.04)
        sim.answer()
        self.assertEqual([self.below(bound) for bound in ("0.025", "0.05", "0.25", "1.0", "2.5", "+Inf")],
                         [0, 3, 5, 5, 6, 6])

    def test_u8_refused_and_busy(self) -> None:
        """Refusals count too; the time in the queue before the sending does not, nor that between two attempts."""
        sim = self.begin(HandConnector(window=1))
        self.accept(message(1), message(2))
        self.clock.advance(0.2)
        sim.answer(Rejected(1))
        self.clock.advance(0.02)
        sim.answer(Busy(0.0))
        sim.ready()
        self.dispatch.tick()
        self.clock.advance(0.02)
        sim.answer()
        self.assertEqual([self.below("0.025"), self.below("0.25"), self.below("+Inf")], [2, 3, 3])

    def test_u8_stray(self) -> None:
        """An outcome for a part that the connector did not have is not counted."""
        sim = self.begin(HandConnector(window=1))
        self.accept(message(1))
        (part,) = sim.waiting
        sim.answer()
        sim.waiting.append(part)
        sim.answer()
        self.assertEqual(self.below("+Inf"), 1)

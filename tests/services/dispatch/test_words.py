"""The upstream's last words on their way into the store."""

from __future__ import annotations

from smsgw.model.lifecycle import State
from smsgw.model.outcome import Busy, Lost, Rejected
from tests.services.dispatch.support import DispatchTestCase, HandConnector, message


class WordsTests(DispatchTestCase):
    """What an upstream says of parts that it does not take."""

    def words(self, id: int) -> list[tuple[int, State, str]]:
        """The stored words about a message."""
        found = self.successResultOf(self.store.last_words([id]))
        return [(one.seq, one.state, one.text) for one in found.get(id, ())]

    def test_u5_each_outcome(self) -> None:
        """The reason of a refusal, of a busy upstream and of a lost answer is stored; a part that was taken, or given
        no reason for, has none."""
        sim = self.begin(HandConnector(window=9))
        self.accept(*[message(id) for id in range(1, 6)])
        for outcome in (Rejected(255, "550 unknown\n"), Busy(60.0, True, "421 try later"), Lost("link lost"),
                        Rejected(1), None):
            sim.answer(outcome, 1)
        self.assertEqual(self.words(1), [(1, State.REJECTED, "550 unknown")])
        self.assertEqual(self.words(2), [(1, State.QUEUED, "421 try later")])
        self.assertEqual(self.words(3), [(1, State.QUEUED, "link lost")])
        self.assertEqual(self.words(4) + self.words(5), [])

    def test_u5_parts(self) -> None:
        """Each part has its own words."""
        sim = self.begin(HandConnector(window=9))
        self.accept(message(1, parts=2))
        sim.answer(Rejected(255, "first"), 1)
        sim.answer(Busy(60.0, True, "second"), 1)
        self.assertEqual(self.words(1), [(1, State.REJECTED, "first"), (2, State.QUEUED, "second")])

    def test_u5_link_down(self) -> None:
        """Parts that come back unsent because the link is down have no words of an upstream."""
        sim = self.begin(HandConnector(window=2))
        self.accept(message(1))
        self.accept(message(2, parts=3))
        sim.go_down()
        self.assertEqual(self.words(1), [(1, State.QUEUED, "link down")])
        self.assertEqual([seq for seq, *_ in self.words(2)], [])

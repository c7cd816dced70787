"""Tests of the states of a message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.lifecycle import FINAL, MOVES, OPEN, Notify, State, combine_parts, notifies

parts = st.lists(st.tuples(st.sampled_from(State), st.integers(0, 255)), min_size=1, max_size=8)


class LifecycleTests(SynchronousTestCase):
    """What may follow what."""

    def test_final_is_final(self) -> None:
        """Nothing follows a final state, and every other state has a way to each kind of end it needs."""
        for state in FINAL:
            self.assertEqual(MOVES[state], frozenset())
        for state in OPEN:
            self.assertLessEqual({State.EXPIRED, State.CANCELLED, State.FAILED}, MOVES[state])

    def test_every_state_has_a_row(self) -> None:
        """The table knows every state, so that an illegal move is a refusal and never an error."""
        self.assertEqual(set(MOVES), set(State))

    def test_never_backwards(self) -> None:
        """A message the operator took is never queued again by a move of its own."""
        self.assertFalse({State.SCHEDULED, State.QUEUED} & MOVES[State.ENROUTE])
        self.assertNotIn(State.SCHEDULED, MOVES[State.QUEUED])

    @given(parts)
    def test_whole_waits_for_every_part(self, states: list[tuple[State, int]]) -> None:
        """A message is final exactly when every part is."""
        self.assertEqual(combine_parts(states) is None, any(state not in FINAL for state, _ in states))

    @given(parts)
    def test_lowest_undelivered_part_decides(self, states: list[tuple[State, int]]) -> None:
        """Delivered if all parts are, else the first part that was not decides, with its error."""
        verdict = combine_parts(states)
        if verdict is not None:
            bad = [pair for pair in states if pair[0] is not State.DELIVERED]
            self.assertEqual(verdict, bad[0] if bad else (State.DELIVERED, 0))

    def test_wants(self) -> None:
        """A sender gets the reports it asked for, and no others."""
        self.assertTrue(notifies(Notify.FINAL, State.DELIVERED))
        self.assertTrue(notifies(Notify.FINAL, State.EXPIRED))
        self.assertFalse(notifies(Notify.DELIVERED, State.EXPIRED))
        self.assertFalse(notifies(Notify.FAILED, State.DELIVERED))
        self.assertFalse(notifies(Notify.FINAL, State.ENROUTE))
        self.assertTrue(notifies(Notify.ENROUTE, State.ENROUTE))
        self.assertFalse(notifies(Notify.ENROUTE | Notify.FINAL, State.QUEUED))

    def test_word(self) -> None:
        """People read states as plain words."""
        self.assertEqual(State.NO_MONEY.word, "no_money")

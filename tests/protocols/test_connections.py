"""The connections of a factory: one timer, counts of unauthenticated ones, isolated faults, shutdown."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.connections import Connections


@attrs.define(eq=False)
class Link:
    """A connection that records its calls and may raise at them."""

    peer: str = "192.0.2.1"
    calls: list[str] = attrs.field(factory=list)
    fails_at: str = ""
    when_cut: Callable[[Link], None] = lambda link: None

    def _asked(self, what: str) -> None:
        self.calls.append(what)
        if what == self.fails_at:
            raise RuntimeError(what)

    def check_time(self, now: float) -> None:
        """Record the reading."""
        self._asked(f"time {now:g}")

    def drain(self) -> None:
        """Record it."""
        self._asked("drain")

    def cut(self) -> None:
        """Record it, and close."""
        self.calls.append("cut")
        self.when_cut(self)


class ConnectionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Make an empty Connections."""
        self.clock = Clock()
        self.here: Connections[Link] = Connections(self.clock)

    def linked(self, *peers: str) -> list[Link]:
        """Add connections from these addresses."""
        links = [Link(peer) for peer in peers]
        for link in links:
            self.here.add(link)
        return links

    def test_lines_about_unauthenticated(self) -> None:
        """Log lines about unauthenticated connections are limited in rate, those about authenticated ones are not."""
        links = self.linked(*("a" * 100))
        self.assertEqual([self.here.may_log(link) for link in links], [True] * 20 + [False] * 80)
        self.here.admit(links[50])
        self.assertTrue(self.here.may_log(links[50]))
        self.clock.advance(60)
        self.assertEqual(sum(self.here.may_log(links[0]) for _ in range(100)), 20)

    def test_one_timer(self) -> None:
        """One timer checks every connection once a second and ends with the last connection."""
        links = self.linked("a", "b", "c")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.pump([1, 1])
        self.assertEqual([link.calls for link in links], [["time 1", "time 2"]] * 3)
        for link in links:
            self.here.discard(link)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_faults_stay_apart(self) -> None:
        """A connection that raises at check_time or drain is cut; the others go on."""
        for what in ("time 1", "drain"):
            self.setUp()
            broken = Link(fails_at=what)
            others = self.linked("a", "b")
            self.here.add(broken)
            others += self.linked("c", "d")
            if what == "drain":
                self.here.shut_down(None)
            else:
                self.clock.advance(1)
            self.assertEqual([link.calls for link in others], [[what]] * 4)
            self.assertEqual(broken.calls, [what, "cut"])
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_unauthenticated(self) -> None:
        """Unauthenticated connections are counted, in all and by address, until admitted or closed; a connection may
        become unauthenticated again."""
        first, second, third = self.linked("a", "a", "b")
        self.assertEqual((len(self.here.unauthenticated), self.here.unauthenticated_from("a")), (3, 2))
        for _ in range(2):
            self.here.admit(first)
            self.assertEqual((len(self.here.unauthenticated), self.here.unauthenticated_from("a")), (2, 1))
        for _ in range(2):
            self.here.deauthenticate(first)
            self.assertEqual((len(self.here.unauthenticated), self.here.unauthenticated_from("a")), (3, 2))
        self.here.admit(second)
        for link in (first, second, third):
            self.here.discard(link)
            self.here.discard(link)
        self.assertEqual((self.here.unauthenticated, self.here.unauthenticated_from("a")), (set(), 0))

    @given(st.lists(st.tuples(st.sampled_from(["add", "admit", "deauthenticate", "discard"]), st.integers(0, 5))))
    def test_counts_agree(self, steps: list[tuple[str, int]]) -> None:
        """After any steps, the count of an address is the number of its unauthenticated connections."""
        here: Connections[Link] = Connections(Clock())
        links = [Link("ab"[number % 2]) for number in range(6)]
        for step, number in steps:
            if step == "add" or links[number] in here.all:
                getattr(here, step)(links[number])
        for peer in "abc":
            self.assertEqual(here.unauthenticated_from(peer), sum(link.peer == peer for link in here.unauthenticated))
        self.assertLessEqual(here.unauthenticated, here.all)
        self.assertLessEqual(set(here._from), {"a", "b"})
        self.assertNotIn(0, here._from.values())

    def test_shut_down(self) -> None:
        """All connections are drained; shut_down fires when none is left, at once if there was none."""
        self.assertIsNone(self.successResultOf(self.here.shut_down(5)))
        links = self.linked("a", "b")
        gone = [self.here.shut_down(None), self.here.shut_down(5)]
        self.assertTrue(self.here.draining)
        self.here.discard(links[0])
        self.assertNoResult(gone[0])
        self.here.discard(links[1])
        for each in gone:
            self.assertIsNone(self.successResultOf(each))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_within(self) -> None:
        """The connections left after the given time are cut."""
        (link,) = self.linked("a")
        link.when_cut = self.here.discard
        gone = self.here.shut_down(2.5)
        self.clock.advance(2)
        self.assertNoResult(gone)
        self.clock.advance(0.5)
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual(link.calls[-1], "cut")

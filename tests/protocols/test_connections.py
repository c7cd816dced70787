"""The connections of a factory: one timer, counts of unauthenticated ones, isolated faults, shutdown."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import ConnectionLimits
from smsgw.protocols.connections import Connections, Surroundings
from smsgw.protocols.overload import Overloads


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
        """A connection is unauthenticated until admitted or closed, and may become so again."""
        first, second, third = self.linked("a", "a", "b")
        self.assertEqual(list(self.here.unauthenticated), [first, second, third])
        for _ in range(2):
            self.here.admit(first)
            self.assertEqual(list(self.here.unauthenticated), [second, third])
        for _ in range(2):
            self.here.deauthenticate(first)
            self.assertEqual(list(self.here.unauthenticated), [second, third, first])
        self.here.admit(second)
        for link in (first, second, third):
            self.here.discard(link)
            self.here.discard(link)
        self.assertEqual(self.here.unauthenticated, {})

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


class F4Tests(SynchronousTestCase):
    """Crowds of unauthenticated connections."""

    def setUp(self) -> None:
        """Six places, at most three of them for one source; two places for the address "listed"."""
        self.clock = Clock()
        self.overloads = Overloads(self.clock)
        limits = ConnectionLimits(unauthenticated=6, unauthenticated_listed=2, unauthenticated_per_source=3)
        surroundings = Surroundings("mail", lambda peer: peer.startswith("listed"), self.overloads)
        self.here: Connections[Link] = Connections(self.clock, limits, surroundings)

    def linked(self, *peers: str) -> list[Link]:
        """Add connections from these addresses, each of which is discarded when it is cut."""
        links = [Link(peer, when_cut=self.here.discard) for peer in peers]
        for link in links:
            self.here.add(link)
        return links

    def left(self, links: list[Link]) -> str:
        """Return the peers of the connections that are left after a while."""
        self.clock.pump([0.05] * 30)
        return "".join(link.peer[0] for link in links if link in self.here.all)

    def test_f4_oldest_of_the_most_gives_way(self) -> None:
        """At the limit the oldest connection of the source that has most gives way to a new one, from any source."""
        links = self.linked("a", "b", "a", "c", "b", "a")
        links += self.linked("d")
        self.assertEqual(self.left(links), "bacbad")
        links += self.linked("d")
        self.assertNotIn(links[1], self.here.unauthenticated)
        self.assertEqual(self.left(links), "acbadd")

    def test_f4_one_source(self) -> None:
        """The connections of one source replace each other above its part of the places."""
        links = self.linked(*"baaaaaa")
        self.assertEqual(self.left(links), "baaa")
        self.assertEqual([link in self.here.all for link in links[1:]], [False] * 3 + [True] * 3)

    def test_f4_many_sources(self) -> None:
        """Where no source has more than another, the oldest gives way."""
        self.assertEqual(self.left(self.linked(*"abcdefgh")), "cdefgh")

    def test_f4_ipv6(self) -> None:
        """Addresses of one /64 are one source."""
        links = self.linked(*(f"2001:db8::{number:x}" for number in range(1, 6)))
        self.clock.pump([0.05] * 30)
        self.assertEqual([link in self.here.all for link in links], [False, False, True, True, True])

    def test_f4_listed(self) -> None:
        """Addresses that an account lists have places of their own, which other addresses cannot take, nor they
        others'."""
        listed = self.linked("listed1", "listed2")
        others = self.linked(*"aabbccdd")
        self.assertEqual((self.left(listed), self.left(others)), ("ll", "abccdd"))
        listed += self.linked("listed3")
        self.assertEqual((self.left(listed), self.left(others)), ("ll", "abccdd"))
        self.assertNotIn(listed[0], self.here.all)

    def test_f4_authenticated(self) -> None:
        """Authenticated connections never give way, nor one that authenticates before it is closed."""
        links = self.linked(*"aaa")
        for link in links:
            self.here.admit(link)
        links += self.linked(*"aaaa")
        self.here.admit(links[3])
        self.assertEqual(self.left(links), "aaaaaaa")
        self.linked(*"bcdefgh")
        self.assertTrue(all(link in self.here.all for link in links[:4]))

    def test_f4_bounded(self) -> None:
        """What waits to be closed is bounded too: beyond as many as there are places, the oldest is cut at once."""
        links = self.linked(*"aaaaaaaaaaaaaaaaaaaaaa")
        self.assertLessEqual(len(self.here.all), 9)
        self.assertIn(links[-1], self.here.unauthenticated)

    def test_f4_closed_one_after_the_other(self) -> None:
        """Connections that gave way are closed one after the other, so that the clients do not come back together."""
        limits = ConnectionLimits(unauthenticated=100, unauthenticated_listed=2, unauthenticated_per_source=100)
        self.here = Connections(self.clock, limits)
        links = self.linked(*"a" * 200)
        left = []
        for _ in range(100):
            self.clock.advance(0.05)
            left.append(sum(link in self.here.all for link in links))
        self.assertLessEqual(max(before - after for before, after in pairwise([200, *left])), 6)
        self.assertEqual((left[-1], self.here._tick), (100, None))

    def test_f4_shown(self) -> None:
        """The administrator learns of it: an overload with the number of connections that gave way."""
        self.linked(*"aaaaa")
        (found,) = self.overloads.current()
        self.assertEqual((found["limit"], found["of"], found["hits"]), ("connections", "mail", 2))

    @given(
        st.lists(st.tuples(st.sampled_from(["add", "admit", "deauthenticate", "discard"]), st.integers(0, 20))),
    )
    def test_f4_any_steps(self, steps: list[tuple[str, int]]) -> None:
        """After any steps the limits hold, and the places know exactly the unauthenticated connections."""
        self.setUp()
        here = self.here
        links = [Link("abcl"[number % 4].replace("l", "listed"), when_cut=here.discard) for number in range(21)]
        for step, number in steps:
            if (step == "add") != (links[number] in here.all):
                getattr(here, step)(links[number])
            for places, size in ((here._open, 6), (here._listed, 2)):
                known = [link for own in places.sources.values() for link in own]
                held = [link for link, (of, _) in here.unauthenticated.items() if of is places]
                self.assertEqual(sorted(known, key=id), sorted(held, key=id))
                self.assertEqual(places.size, len(known))
                self.assertLessEqual(len(known), size)
                self.assertLessEqual(max(map(len, places.sources.values()), default=0), 3)
                self.assertNotIn({}, places.sources.values())

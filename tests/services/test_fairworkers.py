"""Worker threads that the accounts share."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.overload import Overloads
from smsgw.services import fairworkers
from smsgw.services.fairworkers import PLACES, REST, SLICE, FairWorkers, rests


class F5Tests(SynchronousTestCase):
    """Two threads, whose jobs end when a test says so."""

    def setUp(self) -> None:
        """No job so far."""
        clock = Clock()
        self.running: list[tuple[Deferred[Any], str]] = []
        self.overloads = Overloads(clock)
        self.workers = FairWorkers(self.thread, clock, 2, self.overloads)

    def thread(self, function: Any, account: str) -> Deferred[Any]:
        """Take the place of the threads."""
        self.running.append((Deferred(), account))
        return self.running[-1][0]

    def ask(self, accounts: str) -> list[Deferred[str]]:
        """Ask for a job for each of these accounts."""
        found = [self.workers.run(account, str.upper, account) for account in accounts]
        return [one for one in found if one is not None]

    def test_f5_one_job_of_an_account(self) -> None:
        """An account has one thread at most, so another account finds one free however many jobs wait."""
        self.ask("aaaaaaaa")
        self.assertEqual([account for _, account in self.running], ["a"])
        self.ask("b")
        self.assertEqual([account for _, account in self.running], ["a", "b"])

    def test_f5_turns(self) -> None:
        """The accounts take turns, whatever the number of their jobs."""
        self.ask("aaaabbc")
        order = ""
        while self.running:
            done, account = self.running.pop(0)
            order += account
            done.callback(account)
        self.assertEqual(order, "abcabaa")

    def test_f5_places(self) -> None:
        """Jobs of an account are bounded, running and waiting together; the administrator learns of it."""
        self.assertEqual(len(self.ask("a" * (PLACES + 3))), PLACES)
        (found,) = self.overloads.current()
        self.assertEqual((found["limit"], found["of"], found["hits"]), ("mails", "a", 3))
        self.assertEqual(len(self.ask("b")), 1)
        self.running[0][0].callback("A")
        self.assertEqual(len(self.ask("aa")), 1)

    def test_f5_all_places(self) -> None:
        """Jobs of all accounts together are bounded."""
        self.patch(fairworkers, "ALL_PLACES", 3)
        self.assertEqual(len(self.ask("abcd")), 3)

    def test_failure(self) -> None:
        """A job that fails gives its failure to its caller and its thread to the next."""
        first, second = self.ask("aa")
        self.running[0][0].errback(ValueError("x"))
        self.failureResultOf(first, ValueError)
        self.running[1][0].callback("A")
        self.assertEqual(self.successResultOf(second), "A")

    @given(st.text("abcd", max_size=30), st.lists(st.integers(0, 1), max_size=40))
    def test_f5_any_order(self, accounts: str, ends: list[int]) -> None:
        """In any order of ends, each job ends once with its own result, and no account has two threads."""
        self.setUp()
        asked = self.ask(accounts)
        while self.running:
            running = [account for _, account in self.running]
            self.assertEqual(len(running), len(set(running)))
            self.assertLessEqual(len(running), 2)
            done, account = self.running.pop((ends.pop() if ends else 0) % len(self.running))
            done.callback(account.upper())
        self.assertEqual([self.successResultOf(one) for one in asked], [account.upper() for account in accounts])
        self.assertEqual((self.workers._number, self.workers._waiting), (0, {}))

    def test_f5_rests(self) -> None:
        """A long computation sleeps whenever it has run for a slice."""
        now, slept = 0.0, []

        def sleep(seconds: float) -> None:
            nonlocal now
            slept.append(seconds)
            now += seconds

        self.patch(time, "perf_counter", lambda: now)
        self.patch(time, "sleep", sleep)
        rest = rests()
        for _ in range(10):
            now += SLICE * 0.6
            rest()
        self.assertEqual(slept, [REST] * 5)

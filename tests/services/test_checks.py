"""The queue of slow password checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import AccountSettings, AllowList, Secret
from smsgw.config.values import folded_network
from smsgw.model.errors import Refused
from smsgw.protocols.overload import Overloads
from smsgw.services.accounts import Account, Accounts
from smsgw.services.checks import LISTED_PLACES, PER_LISTED_SOURCE, PER_LOGIN, PER_SOURCE, PLACES
from smsgw.services.passwords import THREADS, hash_password
from tests.configured import configured

HASH = Secret(hash_password("slow", 16))
TIME = 0.25
"""Seconds that each check takes."""


class F3Tests(SynchronousTestCase):
    """Accounts with hashed passwords, in two threads whose checks take a quarter of a second."""

    def setUp(self) -> None:
        """The account "listed" names its addresses, the accounts "open0" ... take all."""
        self.clock = Clock()
        self.overloads = Overloads(self.clock)
        listed = AllowList((folded_network("192.0.2.0/24"),))
        accounts = [AccountSettings(name="listed", password_hash=HASH, allow_from=listed)]
        anywhere = AllowList((), True)
        accounts += [AccountSettings(name=f"open{n}", password_hash=HASH, allow_from=anywhere) for n in range(40)]
        self.running = self.most = self.run = 0
        self.accounts = Accounts(configured(*accounts), self.clock, self.thread, None, self.overloads)

    def thread(self, check: Callable[..., bool], *args: Any) -> Deferred[bool]:
        """Take the place of the threads."""
        self.run += 1
        self.running += 1
        self.most = max(self.most, self.running)
        result: Deferred[bool] = Deferred()

        def done() -> None:
            self.running -= 1
            maybeDeferred(check, *args).chainDeferred(result)

        self.clock.callLater(TIME, done)
        return result

    def ask(self, login: str, password: str, peer: str) -> list[tuple[float, str]]:
        """Ask; return a list to which the time of the answer and its name are added."""
        answers: list[tuple[float, str]] = []
        begun = self.clock.seconds()

        def answered(answer: Account | Refused) -> None:
            name = answer.name if isinstance(answer, Account) else answer.refusal.name
            answers.append((round(self.clock.seconds() - begun, 3), name))

        self.accounts.check(login.encode(), password.encode(), peer, "smpp").addCallback(answered)
        return answers

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.pump([1 / 32] * round(seconds * 32))

    def warm_up(self) -> None:
        """Have one check measured, so that the time of others is known."""
        self.ask("open39", "slow", "203.0.113.250")
        self.wait(1)

    def test_f3_unknown_logins_take_no_place(self) -> None:
        """However many unknown logins wait, a right password is checked at once, from any address."""
        self.warm_up()
        unknown = [self.ask(f"unknown{n}", "x", f"203.0.113.{n % 200}") for n in range(400)]
        self.assertEqual(self.run, 1)
        listed, other = self.ask("listed", "slow", "192.0.2.1"), self.ask("open1", "slow", "198.51.100.1")
        self.wait(TIME)
        self.assertEqual((listed, other), ([(TIME, "listed")], [(TIME, "open1")]))
        self.wait(3)
        self.assertEqual({name for answers in unknown for _, name in answers}, {"WRONG_CREDENTIALS"})
        self.assertEqual(self.run, 3)

    def test_f3_listed_addresses_have_places(self) -> None:
        """While all other places are taken by logins that exist, from many addresses, listed ones are checked next."""
        for n in range(100):
            self.ask(f"open{n % 30}", f"wrong{n}", f"203.0.113.{n}")
        refused = self.ask("open31", "slow", "203.0.113.200")
        self.assertEqual(refused, [(0.0, "TOO_MANY_CHECKS")])
        listed = [self.ask("listed", "slow", f"192.0.2.{n}") for n in range(1, 30)]
        self.wait(2 * TIME)
        self.assertTrue(all(answers == [(2 * TIME, "listed")] for answers in listed))
        (found,) = self.overloads.current()
        self.assertEqual((found["limit"], found["hits"]), ("password_checks", 100 - PLACES + 1))

    def test_f3_turns(self) -> None:
        """Listed addresses and others take turns, so neither keeps the other waiting for ever."""
        for n in range(LISTED_PLACES):
            self.ask("listed", f"wrong{n}", f"192.0.2.{n % 200}")
        other = self.ask("open1", "slow", "203.0.113.1")
        self.wait(3 * TIME)
        self.assertEqual([name for _, name in other], ["open1"])
        self.assertEqual(self.most, THREADS)

    def test_f3_places_of_a_source(self) -> None:
        """One source has a few places; a source that the account lists has more."""
        for login, peer, places in (("open{}", "203.0.113.1", PER_SOURCE), ("listed", "192.0.2.1", PER_LISTED_SOURCE)):
            self.setUp()
            answers = [self.ask(login.format(n % 30), f"wrong{n}", peer) for n in range(places + 5)]
            self.assertEqual([bool(one) for one in answers], [False] * places + [True] * 5)
            self.assertEqual(answers[-1], [(0.0, "TOO_MANY_CHECKS")])

    def test_f3_places_of_a_login(self) -> None:
        """One login has some places, except for the addresses that its account lists."""
        for login in ("listed", "open1", "unknown"):
            self.setUp()
            answers = [self.ask(login, f"wrong{n}", f"203.0.113.{n}") for n in range(PER_LOGIN + 2)]
            self.assertEqual([bool(one) for one in answers], [False] * PER_LOGIN + [True] * 2, login)
        listed = self.ask("listed", "slow", "192.0.2.1")
        self.wait(6)
        self.assertEqual([name for _, name in listed], ["listed"])

    def test_f3_the_same_question(self) -> None:
        """Who asks what is being checked already waits for that check: it takes one place."""
        answers = [self.ask("open1", "slow", f"203.0.113.{n % 50}") for n in range(200)]
        self.wait(TIME)
        self.assertEqual((self.run, {tuple(one) for one in answers}), (1, {((TIME, "open1"),)}))

    def times(self, login: str, peers: int, count: int, before: int) -> list[list[tuple[float, str]]]:
        """Return the answers to `count` wrong passwords for a login, after other questions."""
        self.setUp()
        self.warm_up()
        for n in range(before):
            self.ask(f"open{n + 2}", "wrong", f"198.51.100.{n}")
        answers = [self.ask(login, f"wrong{n}", f"203.0.113.{n % peers}") for n in range(count)]
        self.wait(12)
        return answers

    def test_f3_time_shows_nothing(self) -> None:
        """The time of a refusal is the same for a login that exists and for one that does not: alone, behind other
        checks, and for several at once."""
        for peers, count, before in ((1, 1, 0), (1, 1, 5), (1, 1, 20), (1, 12, 0), (8, 8, 0), (20, 20, 0)):
            known = self.times("open1", peers, count, before)
            self.assertEqual(known, self.times("unknown", peers, count, before), (peers, count, before))
            self.assertEqual([time for ((time, _),) in known if time != int(time)], [])

    def test_f3_nothing_stays(self) -> None:
        """When all is answered, nothing is kept of it."""
        for n in range(60):
            self.ask(("listed", "open1", "unknown", "")[n % 4], f"x{n}", f"192.0.2.{n % 30}")
        self.wait(20)
        checks = self.accounts._checks
        self.assertEqual((checks._checks, checks._sources, checks._logins, checks._pretended), ({}, {}, {}, {}))
        self.assertEqual((dict(checks._places), checks._running), ({True: 0, False: 0}, 0))

    def test_f3_listed(self) -> None:
        """An address is listed if an enabled account names it; an account for all addresses names none."""
        listed = [self.accounts.listed(peer) for peer in ("192.0.2.9", "203.0.113.1", "")]
        self.assertEqual(listed, [True, False, False])
        off = AccountSettings(
            name="off", enabled=False, password_hash=HASH, allow_from=AllowList((folded_network("203.0.113.0/24"),))
        )
        self.accounts.apply(configured(off))
        self.assertEqual([self.accounts.listed(peer) for peer in ("192.0.2.9", "203.0.113.1")], [False, False])
